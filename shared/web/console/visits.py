"""What a page is made of: the visit that asks for it, and what its handler may answer.

A handler reads what it needs through the admin API and answers with a view (a template and its
values), with a way on (after a form was carried out: the browser gets a page by GET, so that
reloading sends nothing twice), or with a reply of its own (a file).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from shared.web.console.forms import Form
from shared.web.console.inside import Inside
from shared.web.http import Reply, Request
from shared.web.router import LARGEST_BODY

HOME = "/console"
LARGE_FORM = 3 * LARGEST_BODY  # a body that the admin API takes, as a form writes it
_OURS = re.compile(
    r"/console(/[A-Za-z0-9._~%@!$&'()*+,;=:/-]*)?(\?[A-Za-z0-9._~%@!$&'()*+,;=:/?-]*)?"
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in. `path` holds the template's values."""

    request: Request
    path: Mapping[str, str]
    form: Form
    api: Inside
    form_token: str
    now: datetime

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query

    def asked(self, name: str) -> str:
        """A query parameter without blanks around it; empty when it is not there."""
        return self.request.query.get(name, "").strip()

    @property
    def wants_part(self) -> bool:
        """Whether the page's script asks for a part of the page, to put it in place."""
        return wants_part(self.request)


@dataclass(frozen=True, slots=True)
class View:
    """A page: its template, and the values in it."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Onward:
    """After a form: on to this page of the console, which says these words once."""

    to: str
    said: str = ""
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Visit], View | Onward | Reply]


@dataclass(frozen=True, slots=True)
class Page:
    """One row of the console's table."""

    method: str
    template: str  # of the address
    handler: Handler
    largest: int = LARGEST_BODY  # of its form

    def matches(self, method: str, segments: list[str]) -> Mapping[str, str] | None:
        """The template's values in this path; None when it is another page's."""
        wanted = self.template.strip("/").split("/")
        if method != self.method or len(wanted) != len(segments):
            return None
        found: dict[str, str] = {}
        for want, have in zip(wanted, segments, strict=True):
            if want.startswith("{"):
                if not have:
                    return None
                found[want[1:-1]] = unquote(have)
            elif want != have.lower():
                return None
        return found


def wants_part(request: Request) -> bool:
    """Whether a script asks for a part; going back in the history needs the whole page."""
    restored = "hx-history-restore-request" in request.headers
    return request.headers.get("hx-request") == "true" and not restored


def inside(wanted: str, otherwise: str) -> str:
    """The address when it is one of the console's own, as a header may carry it; else the other."""
    plain = _OURS.fullmatch(wanted) and ".." not in unquote(wanted.partition("?")[0])
    return wanted if plain else otherwise


def said_value(words: str) -> str:
    """Words as the value of a cookie."""
    return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def said_words(value: str) -> str:
    """The words again; empty for a value that is none of ours."""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
