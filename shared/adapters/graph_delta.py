"""Delta queries on users and groups (graph.md section 3).

Links are opaque and followed exactly as given. What a page holds is a hint that something changed,
never a state: items repeat, come in any order, and are read afresh before anything is decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shared.adapters.graph_calls import (
    GraphCalls,
    codes_of,
    error_body,
    error_of,
    next_link,
    object_of,
)
from shared.adapters.graph_shapes import USER_FIELDS, delta_items
from shared.adapters.http import Answer
from shared.errors import Rejected, SyncError, TryLater
from shared.ports import CursorDead, DeltaPage

# What is not selected is not tracked; `id` always comes, and may not be asked for.
_TRACKED: Final = {
    # An employee's manager may change while he himself stays as he is (R11).
    "users": f"{USER_FIELDS.removeprefix('id,')},manager",
    "groups": "displayName,members",
}
_MINIMAL: Final = {"Prefer": "return=minimal"}
_DEAD: Final = {"syncstatenotfound", "resyncrequired", "syncstateinvalid"}


def start_cursor(calls: GraphCalls, resource: str) -> str:
    """See ports.Directory.start_cursor."""
    first = f"/{resource}/delta?$select={_TRACKED[resource]}"
    try:
        return _last_link(calls, f"{first}&$deltatoken=latest")
    except (Rejected, CursorDead):
        # "From now on" together with $select is seen to work but not promised: read all instead.
        return _last_link(calls, first)


def _last_link(calls: GraphCalls, url: str) -> str:
    cursor = ""
    for page in _round(calls, url, {}):
        cursor = page.cursor or cursor
    return cursor


def delta(calls: GraphCalls, link: str) -> Iterator[DeltaPage]:
    """See ports.Directory.delta."""
    if not calls.http.allows(link):
        # A cursor of another Graph (GRAPH_URL has changed): the token must not go there.
        raise CursorDead("The stored delta link belongs to another host.")
    return _round(calls, link, _MINIMAL)


def _round(calls: GraphCalls, link: str, headers: dict[str, str]) -> Iterator[DeltaPage]:
    following, restarted = link, False
    while True:
        answer = calls.request("GET", following, headers=headers)
        if not answer.ok:
            error = _refusal(answer)
            if following != link and not restarted and not isinstance(error, TryLater):
                # How long a nextLink of a delta round lives is not documented: begin again once.
                following, restarted = link, True
                continue
            raise error
        page = _page(object_of(answer))
        if page[1] == following:
            raise TryLater("Microsoft Graph sent a page that leads to itself.")
        yield page[0]
        if page[0].cursor is not None:
            return
        following = page[1]


def _page(body: dict[str, Any]) -> tuple[DeltaPage, str]:
    rows, following = body.get("value"), next_link(body)
    last = body.get("@odata.deltaLink")
    cursor = last if isinstance(last, str) and last and not following else None
    if not isinstance(rows, list) or not (following or cursor):
        raise TryLater("Microsoft Graph sent a delta page without its rows or links.")
    return DeltaPage(delta_items(rows), cursor), following


def _refusal(answer: Answer) -> SyncError:
    """Every answer that has been seen to mean "start again", else what any refusal means."""
    codes = set(codes_of(answer))
    dead = answer.status == 410 or (400 <= answer.status < 500 and bool(codes & _DEAD))
    if answer.status == 400 and not dead:
        # The same code also means a bad query, so here alone the message decides.
        text = str(error_body(answer).get("message") or "").lower()
        unsupported = "request_unsupportedquery" in codes and "deltalink" in text
        dead = unsupported or ("request_badrequest" in codes and "token" in text)
    if dead:
        return CursorDead("Microsoft Graph no longer takes the stored delta link.")
    return error_of(answer)
