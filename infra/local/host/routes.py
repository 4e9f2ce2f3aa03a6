"""Route templates of HTTP triggers, matched as ASP.NET's inline routes are.

Matching ignores case and a slash at the end. Among templates that match, the most exact one wins:
segment by segment a literal comes before a constrained parameter, that before a free one, and a
catch-all is last; the method is looked at afterwards, so another template may still take the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from infra.local.host.refusal import Refused
from infra.local.host.triggers import Function, HttpTrigger

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::[^{}]+?)*)(\?)?\}")
_CONSTRAINTS = {
    "int": r"-?\d{1,10}",
    "long": r"-?\d{1,19}",
    "bool": r"true|false",
    "alpha": r"[a-z]+",
    "guid": r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?",
}
_INT_RANGE = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Match:
    """The function that a request is for, with the route's parameters."""

    function: Function
    trigger: HttpTrigger
    parameters: dict[str, str]


@dataclass(frozen=True)
class _Route:
    function: Function
    trigger: HttpTrigger
    pattern: re.Pattern[str]
    # Group of the pattern, name in the template, whether it must fit into 32 bits.
    parameters: tuple[tuple[str, str, bool], ...]
    precedence: tuple[int, ...]

    def match(self, path: str, method: str) -> Match | None:
        if self.trigger.methods and method not in self.trigger.methods:
            return None
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        parameters: dict[str, str] = {}
        for group, name, is_int in self.parameters:
            value = found[group]
            # A parameter without a value does not reach the function.
            if value:
                if is_int and int(value) not in _INT_RANGE:
                    return None
                parameters[name] = value
        return Match(self.function, self.trigger, parameters)


class Routes:
    """All HTTP functions of the app by their routes."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._literal: dict[str, list[Match]] = {}
        patterns: list[_Route] = []
        for function in functions:
            trigger = function.trigger
            if not isinstance(trigger, HttpTrigger):
                continue
            if "{" in trigger.route or "}" in trigger.route:
                patterns.append(_compile(function, trigger))
            else:
                matches = self._literal.setdefault(trigger.route.lower(), [])
                matches.append(Match(function, trigger, {}))
        self._patterns = sorted(patterns, key=lambda route: route.precedence)

    def find(self, method: str, raw_path: str) -> Match | None:
        """Find the function for a request's method and path, as they came over the wire."""
        path = raw_path.strip("/")
        if "%" in path:
            # An encoded slash stays encoded: it does not separate segments.
            path = unquote(re.sub("%2f", "%252F", path, flags=re.IGNORECASE))
        # A route without parameters is more exact than any with them.
        for match in self._literal.get(path.lower(), ()):
            if not match.trigger.methods or method in match.trigger.methods:
                return match
        for route in self._patterns:
            if (found := route.match(path, method)) is not None:
                return found
        return None


def _compile(function: Function, trigger: HttpTrigger) -> _Route:
    template = trigger.route
    pattern = ""
    parameters: list[tuple[str, str, bool]] = []
    precedence: list[int] = []
    segments = template.split("/")
    for index, segment in enumerate(segments):
        wrong = _PARAMETER.sub("", segment)
        if "{" in wrong or "}" in wrong:
            raise Refused(f'Function {function.name}: the route "{template}" cannot be read.')
        found = list(_PARAMETER.finditer(segment))
        slash = "/" if index else ""
        if not found:
            pattern += slash + re.escape(segment)
            precedence.append(1)
            continue
        last = index == len(segments) - 1
        stars, optional = found[0][1], found[0][4]
        alone = len(found) == 1 and found[0][0] == segment
        if (stars or optional) and not (alone and last):
            raise Refused(
                f'Function {function.name}: in the route "{template}" only the last segment may be '
                "optional or a catch-all."
            )
        piece, position = "", 0
        for match in found:
            group = f"p{len(parameters)}"
            piece += re.escape(segment[position : match.start()])
            piece += f"(?P<{group}>{_value(match, function.name)})"
            parameters.append((group, match[2], ":int" in match[3]))
            position = match.end()
        piece += re.escape(segment[position:])
        pattern += f"(?:{slash}{piece})?" if stars or optional else slash + piece
        constrained = any(match[3] for match in found) or not alone
        precedence.append((4 if constrained else 5) if stars else 2 if constrained else 3)
    return _Route(
        function,
        trigger,
        re.compile(pattern, re.IGNORECASE | re.ASCII | re.DOTALL),
        tuple(parameters),
        tuple(precedence),
    )


def _value(match: re.Match[str], function: str) -> str:
    constraints = [name for name in match[3].split(":") if name]
    for name in constraints:
        if name not in _CONSTRAINTS:
            raise Refused(f'Function {function}: this host knows no route constraint "{name}".')
    if constraints:
        return _CONSTRAINTS[constraints[0]]
    return ".*" if match[1] else "[^/]+"
