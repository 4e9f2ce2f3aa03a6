"""Query options of Graph, and as much of $filter as a console or a sync needs.

$filter knows and/or/not, parentheses, eq, ne, ge, le, gt, lt, in, startswith, endswith and
any() over a collection of strings. Anything else is refused as Graph refuses it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from infra.local.entra.graph_errors import bad_request, unsupported

Test = Callable[[Mapping[str, Any]], bool]
_OPTIONS = frozenset(
    [
        "select",
        "top",
        "count",
        "filter",
        "search",
        "orderby",
        "expand",
        "skiptoken",
        "deltatoken",
        "skip",
        "format",
    ]
)


@dataclass(slots=True)
class Query:
    """The query options of one request; `raw` is the query as it came."""

    raw: str = ""
    select: tuple[str, ...] | None = None
    top: int | None = None
    count: bool = False
    filter: str | None = None
    search: str | None = None
    orderby: str | None = None
    expand: str | None = None
    skiptoken: str | None = None
    deltatoken: str | None = None
    names: frozenset[str] = frozenset()


def parse_query(raw: str) -> Query:
    """Read the query options; an unknown or malformed one is a 400."""
    query = Query(raw)
    if not raw:
        return query
    values: dict[str, str] = {}
    for key, value in parse_qsl(raw, keep_blank_values=True):
        name = key.lstrip("$").lower()
        if name not in _OPTIONS:
            if key.startswith("$"):
                raise bad_request(f"The query parameter '{key}' is not recognized.")
            continue
        if name in values:
            raise bad_request(f"Query option '{key}' was specified more than once.")
        values[name] = value
    query.names = frozenset(values)
    if "skip" in values:
        raise bad_request("'$skip' is not supported by the service.")
    if values.get("select"):
        query.select = tuple(
            dict.fromkeys(part.strip() for part in values["select"].split(",") if part.strip())
        )
    if "top" in values:
        if not values["top"].isdigit() or int(values["top"]) == 0:
            raise bad_request(f"Invalid page size specified: '{values['top']}'.")
        query.top = int(values["top"])
    if "count" in values:
        if values["count"].lower() not in ("true", "false"):
            raise bad_request(f"Invalid value '{values['count']}' for $count.")
        query.count = values["count"].lower() == "true"
    query.filter = values.get("filter") or None
    query.search = values.get("search") or None
    query.orderby = values.get("orderby") or None
    query.expand = values.get("expand") or None
    query.skiptoken = values.get("skiptoken")
    query.deltatoken = values.get("deltatoken")
    return query


@dataclass(slots=True)
class Filter:
    """A compiled $filter: the test, whether it is an advanced query, and a key when it has one."""

    test: Test
    advanced: bool = False
    equals: tuple[str, str] | None = None
    names: set[str] = field(default_factory=set)


_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<word>[A-Za-z_@][\w./:\-]*|\d[\w.:\-]*)|(?P<mark>[(),]))"
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise bad_request(f"Invalid filter clause: {text}")
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            at = match.end()
        self.at = 0
        self.advanced = False
        self.names: set[str] = set()

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise bad_request("Invalid filter clause: it ends too early.")
        token = self.tokens[self.at]
        if wanted is not None and token[1].lower() != wanted:
            raise bad_request(f"Invalid filter clause near '{token[1]}'.")
        self.at += 1
        return token

    def either(self) -> Test:
        tests = [self.both()]
        while self.peek().lower() == "or":
            self.take()
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda props: any(test(props) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.peek().lower() == "and":
            self.take()
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda props: all(test(props) for test in tests)

    def one(self) -> Test:
        if self.peek() == "(":
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        kind, word = self.take()
        if kind != "word":
            raise bad_request(f"Invalid filter clause near '{word}'.")
        if word.lower() == "not":
            self.advanced = True
            negated = self.one()
            return lambda props: not negated(props)
        if self.peek() == "(" and word.lower() in ("startswith", "endswith"):
            return self.call(word.lower())
        if self.peek() == "(" and word.lower().endswith("/any"):
            return self.any_of(word[:-4])
        return self.comparison(word)

    def call(self, function: str) -> Test:
        self.take("(")
        name = self.take()[1]
        self.take(",")
        wanted = str(self.value()).lower()
        self.take(")")
        self.names.add(name)
        if function == "endswith":
            self.advanced = True
            return lambda props: str(props.get(name) or "").lower().endswith(wanted)
        return lambda props: str(props.get(name) or "").lower().startswith(wanted)

    def any_of(self, name: str) -> Test:
        self.take("(")
        # The lambda's variable and its colon arrive as one word, e.g. "x:x".
        variable = self.take()[1]
        if ":" not in variable:
            raise bad_request("Invalid filter clause: any() needs a variable.")
        inner_name = variable.split(":", 1)[1]
        if inner_name.lower() == "startswith":
            self.take("(")
            self.take()
            self.take(",")
            prefix = str(self.value()).lower()
            self.take(")")
            self.take(")")
            self.names.add(name)
            return lambda props: any(
                str(item).lower().startswith(prefix) for item in props.get(name) or []
            )
        self.take("eq")
        wanted = _folded(self.value())
        self.take(")")
        self.names.add(name)
        return lambda props: any(_folded(item) == wanted for item in props.get(name) or [])

    def comparison(self, name: str) -> Test:
        self.names.add(name)
        operator = self.take()[1].lower()
        if operator == "in":
            self.take("(")
            wanted = {_folded(self.value())}
            while self.peek() == ",":
                self.take()
                wanted.add(_folded(self.value()))
            self.take(")")
            return lambda props: _folded(props.get(name)) in wanted
        value = _folded(self.value())
        if operator == "eq":
            return lambda props: _folded(props.get(name)) == value
        if operator == "ne":
            self.advanced = True
            return lambda props: _folded(props.get(name)) != value
        orders: dict[str, Callable[[Any, Any], bool]] = {
            "ge": lambda left, right: left >= right,
            "le": lambda left, right: left <= right,
            "gt": lambda left, right: left > right,
            "lt": lambda left, right: left < right,
        }
        if operator not in orders:
            raise unsupported(f"Unsupported operator '{operator}'.")
        compare = orders[operator]
        return lambda props: (
            props.get(name) is not None and compare(str(_folded(props.get(name))), str(value))
        )

    def value(self) -> Any:
        kind, text = self.take()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        lowered = text.lower()
        return {"true": True, "false": False, "null": None}.get(lowered, text)


def parse_filter(text: str) -> Filter:
    """Compile a $filter; comparisons ignore case as the directory's do."""
    parser = _Parser(text)
    test = parser.either()
    if parser.at != len(parser.tokens):
        raise bad_request(f"Invalid filter clause near '{parser.peek()}'.")
    equals = None
    if len(parser.tokens) == 3 and parser.tokens[1][1].lower() == "eq":
        kind, word = parser.tokens[2]
        if kind == "string":
            equals = (parser.tokens[0][1], word[1:-1].replace("''", "'").lower())
    return Filter(test, parser.advanced, equals, parser.names)


def parse_search(text: str) -> Test:
    """Compile `"displayName:ada" OR "mail:ada"`; words are found at the start of a word."""
    groups: list[list[tuple[str, str]]] = [[]]
    for quoted, word in re.findall(r'"((?:[^"\\]|\\.)*)"|(\bOR\b|\bAND\b)', text):
        if word == "OR":
            groups.append([])
        elif quoted:
            name, colon, wanted = quoted.partition(":")
            if not colon:
                raise bad_request('Syntax error: a $search clause is "property:value".')
            groups[-1].append((name, wanted.replace('\\"', '"').lower()))
    if not groups[0]:
        raise bad_request('Syntax error: a $search clause is "property:value".')

    def found(props: Mapping[str, Any], name: str, wanted: str) -> bool:
        value = str(props.get(name) or "").lower()
        if value.startswith(wanted):
            return True
        words = re.split(r"[\s.@_\-]+", value)
        return all(any(w.startswith(part) for w in words) for part in wanted.split())

    return lambda props: any(
        clauses and all(found(props, name, wanted) for name, wanted in clauses)
        for clauses in groups
    )


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
