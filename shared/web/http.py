"""A request and a reply as plain values, so that nothing below the triggers knows the host.

`function_app.py` makes a `Request` of what the Functions host hands in and turns the `Reply` back.
Every refusal is a problem detail (RFC 9457) with a sentence for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

JSON = "application/json"
PROBLEM = "application/problem+json"
# Replies hold people's names and addresses: no cache keeps them, no browser guesses their type.
_SAFE = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is percent-encoded as it came, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class ProblemPart(msgspec.Struct, kw_only=True):
    """One of several things that are wrong."""

    detail: str
    field: str | None


class Problem(msgspec.Struct, rename="camel", kw_only=True):
    """A refusal (RFC 9457): `detail` is a sentence for a person, `field` names what is at fault.

    `nextStep` says what a person has to do, `code` names the trouble for good, `errorId` is the one
    that the app's log names, `errors` holds the parts where several things are wrong at once.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str | UnsetType = UNSET
    next_step: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    error_id: str | UnsetType = UNSET
    errors: list[ProblemPart] | UnsetType = UNSET


def request_from(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A request from a full URL, as the Functions host gives it."""
    parts = urlsplit(url)
    return Request(
        method=method.upper(),
        path=parts.path or "/",
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
    )


def json_reply(
    value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """A JSON reply of a struct (or of anything else that msgspec can write)."""
    return Reply(status, msgspec.json.encode(value), JSON, _SAFE + headers)


def empty_reply(status: int = 204) -> Reply:
    """A reply without a body."""
    return Reply(status, b"", JSON, _SAFE)


def problem(
    status: int,
    sentence: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    **members: object,
) -> Reply:
    """A refusal: `sentence` is for a person; `members` extend it (field, nextStep, errors …)."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
    }
    body.update({name: value for name, value in members.items() if value is not None})
    return Reply(status, msgspec.json.encode(body), PROBLEM, _SAFE + headers)


def cookies_of(request: Request) -> dict[str, str]:
    """The cookies that came along."""
    pairs = (part.partition("=") for part in request.headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as a browser's Origin header writes them."""
    parts = urlsplit(url)
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, standard) else f":{parts.port}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
