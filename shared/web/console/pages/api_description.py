"""The admin API as a readable page, and its description as a file."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from shared.web.api.openapi_page import Group, api_page
from shared.web.console.rendering import file_reply
from shared.web.console.visits import Page, View, Visit
from shared.web.http import JSON, Reply

_ADDRESS = "/api/openapi.json"


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", "/console/api", show), Page("GET", "/console/openapi.json", description)]


def show(visit: Visit) -> View:
    """GET /console/api."""
    return View("api.html", {"groups": _groups(visit.api.ask("GET", _ADDRESS).reply.body)})


def description(visit: Visit) -> Reply:
    """GET /console/openapi.json: the same file for a browser that is signed in to the console."""
    return file_reply(visit.api.ask("GET", _ADDRESS).reply.body, JSON)


@lru_cache(maxsize=1)
def _groups(body: bytes) -> tuple[Group, ...]:
    """The description changes with the app's version only."""
    return tuple(api_page(msgspec.json.decode(body)))
