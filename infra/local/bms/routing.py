"""Finding the route of a path: names in any casing, fixed words before parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from infra.local.bms.calls import Call
from infra.local.bms.refusals import Unreadable
from infra.local.bms.replies import Reply
from infra.local.bms.switches import Switches

Handler = Callable[[Call], Reply]
Version = Literal["v1", "v2"]


def _always(_: Switches) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path template, spelled as in the vendor's file."""

    method: str
    template: str
    # None: the vendor has this route, the stand-in does not.
    handler: Handler | None
    anonymous: bool = False
    version: Version = "v2"
    available: Callable[[Switches], bool] = _always

    @property
    def endpoint(self) -> str:
        """Return the name under which calls are counted and limited."""
        return f"{self.method} {self.template}"

    def arguments(self, words: list[str]) -> tuple[int | str, ...]:
        """Read the path parameters: all are 32-bit numbers but a table's name."""
        read: list[int | str] = []
        for name, word in zip(self.template.strip("/").split("/"), words, strict=True):
            if not name.startswith("{"):
                continue
            if name == "{tableName}":
                read.append(unquote(word))
                continue
            if not (word.isascii() and word.isdigit() and int(word) < 2**31):
                raise Unreadable({name.strip("{}"): [f"The value '{word}' is not valid."]})
            read.append(int(word))
        return tuple(read)


@dataclass(slots=True)
class _Node:
    words: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """All routes, as a tree of path words."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for word in route.template.strip("/").split("/"):
                if word.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.words.setdefault(word.lower(), _Node())
            node.routes[route.method] = route

    def find(
        self, method: str, words: list[str], switches: Switches
    ) -> tuple[Route | None, list[str]]:
        """Return the route, or None with the methods that the path would take."""
        there: list[Route] = []
        route = self._search(self._root, method, words, 0, there)
        if route is not None and route.available(switches):
            return route, []
        return None, sorted({each.method for each in there if each.available(switches)})

    def _search(
        self, node: _Node, method: str, words: list[str], depth: int, there: list[Route]
    ) -> Route | None:
        if depth == len(words):
            there.extend(node.routes.values())
            return node.routes.get(method)
        fixed = node.words.get(words[depth].lower())
        if fixed is not None:
            found = self._search(fixed, method, words, depth + 1, there)
            if found is not None:
                return found
        if node.parameter is not None:
            return self._search(node.parameter, method, words, depth + 1, there)
        return None
