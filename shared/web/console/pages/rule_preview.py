"""The preview of a draft: what saving it would do, and to whom. Writes nothing.

The draft travels on in the page's form; what is counted and listed is the admin API's preview,
asked for again until it is ready.
"""

from __future__ import annotations

from typing import Any

from shared.web.api.connections import ConnectionShown
from shared.web.api.previews import PersonList, PreviewShown
from shared.web.console import rule_draft
from shared.web.console.inside import Inside, Refused, at
from shared.web.console.rule_draft import Draft
from shared.web.console.visits import Page, View, Visit

_PEOPLE = 50  # on one page of the list
# What a reader should look at first comes first.
TILES = (
    ("deactivate", "deactivated", "bad"),
    ("conflict", "conflicts", "look"),
    ("create", "created", ""),
    ("merge", "merged", ""),
    ("move", "moved", ""),
    ("reactivate", "reactivated", ""),
    ("update", "updated", ""),
    ("keep", "left, kept", ""),
    ("skip", "left out", ""),
    ("unchanged", "unchanged", ""),
)
WORDS = {
    "deactivate": "Deactivated",
    "conflict": "Conflict: you choose",
    "create": "Created",
    "merge": "Merged with a record in BMS",
    "move": "Moves",
    "reactivate": "Active again",
    "update": "Updated",
    "keep": "Left, kept",
    "skip": "Left out",
    "unchanged": "Unchanged",
}
TONES = {"deactivate": "bad", "conflict": "look", "create": "good", "merge": "good"}
_LISTED = tuple(kind for kind, _, _ in TILES if kind != "unchanged")


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", "/console/connections/{connectionId}/previews/{previewId}/part", part)]


def shown(
    visit: Visit, connection: ConnectionShown, draft: Draft, changes: int, *, anew: bool
) -> View:
    """The page: a preview of this draft, made anew or looked at again. May raise Refused."""
    api, form = visit.api, visit.form
    if anew:
        body = {"connectionId": connection.id, "items": [rule.wish() for rule in draft.items]}
        preview = api.post(PreviewShown, "/api/mapping-rules/preview", body)
    else:
        preview = _preview(api, form.text("previewId"))
    wanted = "" if anew else form.text("do").partition(":")[2]
    kind, _, cursor = wanted.partition(":")
    values = _values(api, connection, preview, kind, form.text("peopleQ"), cursor, changes=changes)
    return View("preview.html", {**values, "draft": rule_draft.write(draft)})


def part(visit: Visit) -> View:
    """GET …/part: as far as it is, for the page's script."""
    connection = visit.api.get(
        ConnectionShown, at("/api/connections/{}", visit.path["connectionId"])
    )
    preview = _preview(visit.api, visit.path["previewId"])
    if preview.connection_id != connection.id:
        raise Refused(404, "This is no preview of this connection.")
    values = _values(
        visit.api,
        connection,
        preview,
        visit.asked("show"),
        visit.asked("peopleQ"),
        visit.asked("cursor"),
        changes=0 if visit.asked("changes") == "0" else 1,
    )
    return View("preview_part.html", values)


def _preview(api: Inside, preview_id: str) -> PreviewShown:
    return api.get(PreviewShown, at("/api/previews/{}", preview_id))


def _values(
    api: Inside,
    connection: ConnectionShown,
    preview: PreviewShown,
    kind: str,
    q: str,
    cursor: str,
    *,
    changes: int,
) -> dict[str, Any]:
    counts = preview.counts
    if kind not in (*_LISTED, "all"):
        kind = next((each for each in _LISTED if counts.get(each)), "all")
    people: PersonList | None = None
    if preview.state == "ready":
        path = at("/api/previews/{}/people", preview.preview_id)
        people = api.get(
            PersonList,
            path,
            kind="" if kind == "all" else kind,
            q=q,
            limit=_PEOPLE,
            cursor=cursor,
        )
    return {
        "connection": connection,
        "here": "/console/rules",
        "connection_here": at("/console/connections/{}/rules", connection.id),
        "part_here": at(
            "/console/connections/{}/previews/{}/part", connection.id, preview.preview_id
        )
        + f"?changes={changes}",
        "changes": changes,
        "preview": preview,
        "people": people,
        "show": kind,
        "people_q": q,
        "cursor": cursor,
        "tiles": [
            (each, words, tone, counts.get(each, 0), each in _LISTED) for each, words, tone in TILES
        ],
        "listed": sum(counts.get(each, 0) for each in _LISTED),
        "kind_words": WORDS,
        "tones": TONES,
    }
