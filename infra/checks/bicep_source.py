"""Reads Bicep files: the syntax tree by pycep, and the names that are used without being there.

pycep proves the syntax and gives the values, but its tree does not tell a name from a text ('api'
and api look alike in it). Names are therefore found by a small scanner of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark.exceptions import LarkError
from pycep import BicepParser

# What the language brings along, as far as these files need it.
_FUNCTIONS = frozenset(
    {
        *("cidrSubnet", "coalesce", "concat", "contains", "empty", "environment", "format", "guid"),
        *("length", "loadTextContent", "resourceGroup", "split", "string", "subscription"),
        *("subscriptionResourceId", "tenant", "toLower", "union", "uniqueString"),
    }
)
_DECORATORS = frozenset(
    {"description", "allowed", "minLength", "maxLength", "minValue", "maxValue"}
)
_WORDS = frozenset({"true", "false", "null", "for", "in", "if", "existing"})
_TYPES = frozenset({"string", "int", "bool", "object", "array"})
_DECLARATION = re.compile(r"^(param|var|resource|module|output)\s+(\w+)", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r]+|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)|(?P<raw>'''.*?''')|(?P<quote>')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<sign>\.\?|\?\?|&&|\|\||[=!<>]=|.)",
    re.DOTALL,
)


class NotBicep(Exception):
    """A file that is no Bicep; says where."""


@dataclass(frozen=True)
class BicepFile:
    """One file: its text and its syntax tree."""

    path: Path
    text: str
    tree: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def read(path: Path) -> BicepFile:
    """The file, parsed; NotBicep when its syntax is wrong."""
    text = path.read_text(encoding="utf-8")
    try:
        tree = _parse(text)
    except LarkError as error:
        raise NotBicep(f"{path.name}: {str(error).splitlines()[0]}") from error
    return BicepFile(path, text, tree)


@lru_cache(maxsize=256)
def _parse(text: str) -> dict[str, Any]:
    # Some tenths of a second a file; nobody changes a tree.
    tree: Any = BicepParser().parse(text=text)
    return dict(tree)


def read_all(folder: Path) -> dict[str, BicepFile]:
    """Every Bicep file of the folder, by its name."""
    return {path.name: read(path) for path in sorted(folder.glob("*.bicep"))}


def undefined_names(file: BicepFile) -> list[str]:
    """Names and functions that are used and neither declared in the file nor known to Bicep."""
    declared = {name for _, name in _DECLARATION.findall(file.text)}
    problems: set[str] = set()
    for kind, name in _uses(list(_tokens(file.text))):
        known = {"call": _FUNCTIONS, "decorator": _DECORATORS}.get(kind, declared)
        if name not in known:
            problems.add(f"{file.name}: {name} is not defined")
    return sorted(problems)


def unused_names(file: BicepFile) -> list[str]:
    """Parameters and variables that nothing uses."""
    used = {name for _, name in _uses(list(_tokens(file.text)))}
    return [
        f"{file.name}: {name} is not used"
        for kind, name in _DECLARATION.findall(file.text)
        if kind in ("param", "var") and name not in used
    ]


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens, those within ${…} of a text included."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None, "the last alternative takes anything"
        kind = str(match.lastgroup)
        position = match.end()
        if kind == "quote":
            inner, position = _inside_quotes(text, position)
            yield _Token("text", "'")
            for expression in inner:
                yield _Token("sign", "(")
                yield from _tokens(expression)
                yield _Token("sign", ")")
        elif kind != "blank":
            yield _Token(kind, match.group())


def _inside_quotes(text: str, position: int) -> tuple[list[str], int]:
    """The expressions within a text that begins here, and where the text ends."""
    expressions: list[str] = []
    while text[position] != "'":
        if text[position] == "\\":
            position += 2
        elif text.startswith("${", position):
            start, depth = position + 2, 1
            position = start
            while depth:
                depth += {"{": 1, "}": -1}.get(text[position], 0)
                position += 1
            expressions.append(text[start : position - 1])
        else:
            position += 1
    return expressions, position + 1


def _uses(tokens: list[_Token]) -> Iterator[tuple[str, str]]:
    """(call | decorator | name, the name) for every name that must be known from elsewhere."""
    end = _Token("newline", "\n")
    own: set[str] = set()  # of the loops seen so far: for x in …, for (x, i) in …
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else end
        after = tokens[at + 1] if at + 1 < len(tokens) else end
        if token.kind != "name":
            continue
        if token.text == "for":
            loop = tokens[at + 1 : at + 7]
            stop = next(i for i, item in enumerate(loop) if item.text == "in")
            own |= {item.text for item in loop[:stop] if item.kind == "name"}
        starts_line = before.kind == "newline"
        is_key = after.text == ":" and (starts_line or before.text in ("{", ","))
        declares = before.text in ("param", "var", "resource", "module", "output")
        is_keyword = starts_line and after.kind == "name"
        is_type = token.text in _TYPES and at >= 2 and tokens[at - 2].text in ("param", "output")
        if before.text in (".", ".?") or is_key or declares or is_keyword or is_type:
            continue
        if before.text == "@":
            yield "decorator", token.text
        elif after.text == "(" and token.text not in _WORDS:
            yield "call", token.text
        elif token.text not in _WORDS and token.text not in own and token.text != "targetScope":
            yield "name", token.text
