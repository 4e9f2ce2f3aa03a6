"""Requests and replies in JSON:API form, as IT Glue writes it (itglue-api.md section 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from infra.local.itglue.switches import Switches

MEDIA_TYPE = "application/vnd.api+json"
DEFAULT_PAGE, LARGEST_PAGE = 50, 1000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire."""

    method: str
    target: str
    key: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that is answered with an error. `pointer` names the attribute, in snake_case."""

    def __init__(self, status: int, words: str, pointer: str | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.pointer = pointer


def reply_of(status: int, body: Json) -> Reply:
    """JSON:API."""
    return Reply(status, json.dumps(body, separators=(",", ":")).encode())


def refused(
    refusal: Refusal, switches: Switches, headers: Mapping[str, str] | None = None
) -> Reply:
    """An error body in one of the forms that were seen; those not published may be empty."""
    bare = refusal.status in (401, 403, 404, 429)
    if bare and switches.bare_refusals == "empty":
        return Reply(refusal.status, b"", headers or {})
    error: Json = {"status": refusal.status, "title": refusal.words}
    if switches.error_form == "detail":
        error = {"status": refusal.status, "title": "Unprocessable Entity", "detail": refusal.words}
    if refusal.pointer:
        if switches.error_form == "detail":
            pointer = f"/data/attributes/{refusal.pointer.replace('_', '-')}"
        else:
            pointer = f"data/attributes/{refusal.pointer}"
        error["source"] = {"pointer": pointer}
    body = json.dumps({"errors": [error]}).encode()
    return Reply(refusal.status, body, headers or {})


def stamp(at: float) -> str:
    """A time as IT Glue writes it."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Query:
    """The query of one request: filters, page, sort and include."""

    def __init__(self, text: str) -> None:
        self.filters: dict[str, list[str]] = {}
        self.page: dict[str, str] = {}
        self.sort: list[str] = []
        self.include: set[str] = set()
        for name, value in parse_qsl(text, keep_blank_values=True):
            plain = name.replace("-", "_")
            if plain.startswith("filter[") and plain.endswith("]"):
                self.filters[plain[7:-1]] = _alternatives(value)
            elif plain.startswith("page[") and plain.endswith("]"):
                self.page[plain[5:-1]] = value
            elif plain == "sort":
                self.sort = [each for each in value.split(",") if each]
            elif plain == "include":
                self.include = {each.replace("-", "_") for each in value.split(",") if each}

    def page_of(self, switches: Switches) -> tuple[int, int]:
        """(number, size)."""
        size = _number(self.page.get("size", str(DEFAULT_PAGE)), "page[size]")
        number = _number(self.page.get("number", "1"), "page[number]")
        if size < 1 or number < 1:
            raise Refusal(400, "page[size] and page[number] begin at 1.")
        if size > LARGEST_PAGE:
            if switches.over_max_page == "refuse":
                raise Refusal(400, f"page[size] must not exceed {LARGEST_PAGE}.")
            size = LARGEST_PAGE
        return number, size


def _alternatives(value: str) -> list[str]:
    """Comma means OR; a literal comma is escaped by a backslash."""
    found, current, escaped = [], "", False
    for letter in value:
        if escaped:
            current, escaped = current + letter, False
        elif letter == "\\":
            escaped = True
        elif letter == ",":
            found.append(current)
            current = ""
        else:
            current += letter
    return [*found, current]


def _number(text: str, name: str) -> int:
    if not text.lstrip("-").isdigit():
        raise Refusal(400, f"{name} is not a number.")
    return int(text)


def listed(
    resources: Sequence[Json], query: Query, path: str, switches: Switches, included: list[Json]
) -> Reply:
    """One page of a list with meta and links."""
    number, size = query.page_of(switches)
    pages = max(1, -(-len(resources) // size))
    data = list(resources[(number - 1) * size : number * size])

    def link(page: int) -> str:
        return f"{path}?{quote('page[number]')}={page}&{quote('page[size]')}={size}"

    wanted = {(each["type"], each["id"]) for one in data for each in _pointed(one)}
    body: Json = {
        "data": data,
        "meta": {
            "current-page": number,
            "next-page": number + 1 if number < pages else None,
            "prev-page": number - 1 if number > 1 else None,
            "total-pages": pages,
            "total-count": len(resources),
            "filters": {},
        },
        "links": {
            "self": link(number),
            "first": link(1),
            "prev": link(number - 1) if number > 1 else None,
            "next": link(number + 1) if number < pages else None,
            "last": link(pages),
        },
    }
    if included:
        body["included"] = [each for each in included if (each["type"], each["id"]) in wanted]
    return reply_of(200, body)


def _pointed(resource: Json) -> list[Json]:
    return [
        each
        for relation in resource.get("relationships", {}).values()
        for each in relation.get("data") or []
    ]


def document(request: Request) -> Any:
    """The `data` of a body; 415 without the media type, 400 for what cannot be read."""
    if request.content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise Refusal(415, "Unsupported Media Type")
    try:
        return json.loads(request.body)["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(400, "The body is not a JSON:API document.") from error


def attributes_of(resource: Any, kind: str) -> Json:
    """The attributes in snake_case."""
    if not isinstance(resource, dict) or not isinstance(resource.get("attributes"), dict):
        raise Refusal(400, "The resource has no attributes.")
    if str(resource.get("type", "")).replace("-", "_") != kind:
        raise Refusal(400, f"The resource is not of type {kind}.")
    return {name.replace("-", "_"): value for name, value in resource["attributes"].items()}
