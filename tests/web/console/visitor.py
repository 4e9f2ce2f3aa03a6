"""Somebody with a browser in the console: he keeps cookies, sends forms with their token, and reads
pages as a person sees them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from shared.web.auth import AdminOnly
from shared.web.console.console import Console, console
from shared.web.console.pages import all_pages
from shared.web.http import Reply, request_from
from shared.web.router import Api, Route
from tests.web.world import World

HOST = "https://sync.example"
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Seen:
    """A reply, as the browser has it."""

    status: int
    source: str
    headers: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """What a person reads: without tags, with single blanks."""
        return " ".join(html.unescape(_TAG.sub(" ", self.source)).split())

    @property
    def location(self) -> str:
        """Where it leads to; empty when it is a page."""
        return dict(self.headers).get("Location", "")

    def section(self, begin: str, end: str) -> str:
        """The text between two texts."""
        return self.text.partition(begin)[2].partition(end)[0]


@dataclass
class Visitor:
    """He is signed in from the start, unless told otherwise."""

    console: Console
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Seen:
        """Open a page."""
        return self._send("GET", path, b"", dict(headers or {}))

    def part(self, path: str) -> Seen:
        """What the page's script asks for."""
        return self.get(path, {"HX-Request": "true"})

    def post(
        self,
        path: str,
        values: Mapping[str, str | Sequence[str]] | None = None,
        *,
        token: str | None = None,
    ) -> Seen:
        """Send a form, with the token of the last page unless another is given."""
        known = self.cookies.get("console-form", "")
        sent = {"form_token": known if token is None else token, **(values or {})}
        body = urlencode(sent, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", path, body, kind)

    def send(self, path: str, values: Mapping[str, str | Sequence[str]] | None = None) -> Seen:
        """Send a form and follow where it leads."""
        answer = self.post(path, values)
        assert answer.status == 303, (answer.status, answer.text)
        return self.get(answer.location)

    def sign_in(self) -> Visitor:
        """With the admin token."""
        self.get("/console/sign-in")
        answer = self.post("/console/sign-in", {"token": self.console.doors.settings.admin_token})
        assert answer.status == 303, answer.text
        return self

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Seen:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**headers, **({"Cookie": cookies} if cookies else {})}
        reply = self.console.dispatch(request_from(method, HOST + path, sent, body))
        self._keep(reply)
        return Seen(reply.status, reply.body.decode(), tuple(reply.headers))

    def _keep(self, reply: Reply) -> None:
        for name, value in reply.headers:
            if name == "Set-Cookie":
                cookie, _, rest = value.partition(";")
                key, _, held = cookie.partition("=")
                if "Max-Age=0" in rest:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = held


def a_visitor(world: World, instead: Iterable[Route] = ()) -> Visitor:
    """Somebody signed in to the console of this world; `instead`: routes that answer as told."""
    told = tuple(instead)
    taken = {(route.method, route.template) for route in told}
    kept = [each for each in world.api.routes if (each.method, each.template) not in taken]
    api = Api(AdminOnly(world.settings), [*told, *kept])
    return Visitor(console(world.settings, api, all_pages(), world.clock)).sign_in()
