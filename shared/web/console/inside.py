"""The admin API as the pages use it: the same routes, called in process.

The console has let the person in already; what comes back is the route's own struct, or `Refused`
with what the problem detail says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from shared.web.http import JSON, PROBLEM, Reply, Request
from shared.web.router import Api

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True):
    """One member that does not fit."""

    detail: str
    field: str | None = None


class _Problem(msgspec.Struct):
    detail: str = ""
    field: str | None = None
    nextStep: str | None = None  # noqa: N815 - the member's name in the problem detail
    errors: list[Fault] | None = None


@dataclass(frozen=True)
class Refused(Exception):
    """The admin API said no. `faults` name the members, for the form."""

    status: int
    sentence: str
    next_step: str = ""
    faults: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before it is read: for redirects, cookies and files."""

    reply: Reply

    def header(self, name: str) -> str:
        """The value of a header; empty when it is not there."""
        named = {key.lower(): value for key, value in self.reply.headers}
        return named.get(name.lower(), "")

    def read(self, shape: type[T]) -> T:
        """The body as that struct."""
        return msgspec.json.decode(self.reply.body, type=shape)


@dataclass(frozen=True, slots=True)
class Inside:
    """Calls the admin API as the person who is signed in. Every call may raise Refused."""

    api: Api

    def get(self, shape: type[T], path: str, **query: object) -> T:
        """GET; the reply as that struct. A query parameter that is None or empty is left out."""
        return self.ask("GET", path, None, query).read(shape)

    def post(self, shape: type[T], path: str, body: object = None) -> T:
        """POST; the reply as that struct."""
        return self.ask("POST", path, body).read(shape)

    def put(self, shape: type[T], path: str, body: object) -> T:
        """PUT; the reply as that struct."""
        return self.ask("PUT", path, body).read(shape)

    def patch(self, shape: type[T], path: str, body: object) -> T:
        """PATCH; the reply as that struct."""
        return self.ask("PATCH", path, body).read(shape)

    def delete(self, path: str) -> None:
        """DELETE."""
        self.ask("DELETE", path)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> Answer:
        """Any call; the reply as it is."""
        given = {
            name: msgspec.json.encode(value).decode() if isinstance(value, bool) else str(value)
            for name, value in (query or {}).items()
            if value not in (None, "")
        }
        encoded = b"" if body is None else msgspec.json.encode(body)
        reply = self.api.answer(Request(method, path, given, {"content-type": JSON}, encoded))
        if reply.status >= 400:
            raise refused_by(reply)
        return Answer(reply)


def at(template: str, *ids: object) -> str:
    """The path with these ids in the places marked `{}`, each percent-encoded."""
    return template.format(*(quote(str(one), safe="") for one in ids))


def refused_by(reply: Reply) -> Refused:
    """What a problem detail says."""
    said: Any = _Problem()
    if reply.content_type == PROBLEM:
        said = msgspec.json.decode(reply.body, type=_Problem)
    faults = tuple(said.errors or ())
    if not faults and said.field:
        faults = (Fault(said.detail, said.field),)
    return Refused(
        reply.status,
        said.detail or "Something went wrong on our side.",
        said.nextStep or "",
        faults,
        dict(reply.headers),
    )
