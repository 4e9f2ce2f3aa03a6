"""Syncs: asking for one, watching it, what the last ones did, and taking one back."""

from __future__ import annotations

from urllib.parse import urlencode

from shared.web.api.connections import ConnectionShown
from shared.web.api.syncs import SyncList, SyncQueued, SyncShown
from shared.web.api.undo import UndoReply
from shared.web.console.inside import Refused, at
from shared.web.console.pages.connections import ONE
from shared.web.console.pages.undoing import UNDONE
from shared.web.console.setup_steps import connection_of, goes_on
from shared.web.console.visits import Onward, Page, View, Visit

SYNCS = "/console/syncs"
_A_PAGE = 50


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", SYNCS, all_of_them),
        Page("GET", f"{SYNCS}/{{syncId}}", one),
        Page("POST", f"{SYNCS}/{{syncId}}/undo", undo),
        Page("POST", f"{ONE}/sync", order),
    ]


def order(visit: Visit) -> Onward:
    """POST /console/connections/{id}/sync."""
    place = at("/api/connections/{}/sync", visit.path["connectionId"])
    queued = visit.api.post(SyncQueued, place, {"kind": visit.form.text("kind")})
    return Onward(at(SYNCS + "/{}", queued.sync_id))


def all_of_them(visit: Visit) -> View:
    """GET /console/syncs?connectionId=."""
    connection: ConnectionShown | None = None
    if visit.asked("connectionId"):
        connection = connection_of(visit.api, visit.asked("connectionId"))
    found = visit.api.get(
        SyncList,
        "/api/syncs",
        connectionId=visit.asked("connectionId"),
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    return View("syncs.html", {"connection": connection, "found": found})


def one(visit: Visit) -> View:
    """GET /console/syncs/{id}: the page, or for its script the figures alone."""
    return _view(visit, visit.api.get(SyncShown, at("/api/syncs/{}", visit.path["syncId"])))


def _view(visit: Visit, run: SyncShown) -> View:
    if visit.wants_part:
        if visit.asked("within") and not goes_on(run):
            # The page around it says another thing now.
            return View("sync_progress.html", _figures(run), headers=(("HX-Refresh", "true"),))
        return View("sync_progress.html", {**_figures(run), "alone": not visit.asked("within")})
    connection = _connection(visit, run)
    values = {
        **_figures(run),
        "alone": True,
        "connection": connection,
    }
    return View("sync.html", values)


def _figures(run: SyncShown) -> dict[str, object]:
    return {"run": run, "goes_on": goes_on(run)}


def undo(visit: Visit) -> Onward:
    """POST /console/syncs/{id}/undo: on to the page that tells what became of it."""
    sync_id = visit.path["syncId"]
    run = visit.api.get(SyncShown, at("/api/syncs/{}", sync_id))
    begun = visit.api.post(UndoReply, at("/api/syncs/{}/undo", sync_id))
    back = at(SYNCS + "/{}", sync_id)
    if begun.sync_id is None:
        return Onward(back, "This sync has written nothing, so there is nothing to put back.")
    query = urlencode({"connectionId": run.connection_id, "back": back})
    return Onward(f"{at(UNDONE + '/{}', begun.sync_id)}?{query}")


def _connection(visit: Visit, run: SyncShown) -> ConnectionShown | None:
    """The sync's connection; None when it was deleted meanwhile."""
    try:
        return connection_of(visit.api, run.connection_id)
    except Refused as refused:
        if refused.status == 404:
            return None
        raise
