"""Syncs: asking for one, watching it, what the last ones did, and taking one back."""

from __future__ import annotations

import msgspec

from shared.web.api.connections import ConnectionShown
from shared.web.api.syncs import SyncList, SyncQueued, SyncShown
from shared.web.console.inside import Refused, at
from shared.web.console.pages.connections import ONE
from shared.web.console.setup_steps import connection_of, goes_on, runs_of
from shared.web.console.visits import Onward, Page, View, Visit

SYNCS = "/console/syncs"
_A_PAGE = 50


class PutBack(msgspec.Struct, rename="camel", kw_only=True):
    """One person whose fields and state were put back, or why they were not."""

    user_id: str
    display_name: str = ""
    record_id: int | None = None
    changes: list[object] = []
    reason: str = ""


class Undone(msgspec.Struct, rename="camel", kw_only=True):
    """What an undo has come to, or that it goes on."""

    state: str = ""
    undone: list[PutBack] = []
    not_undone: list[PutBack] = []
    sync_id: str | None = None


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
        return View("sync_progress.html", {"run": run, "goes_on": goes_on(run), "alone": True})
    connection = _connection(visit, run)
    values = {
        "run": run,
        "goes_on": goes_on(run),
        "alone": True,
        "connection": connection,
        "first": connection is not None and _is_first(visit, run),
    }
    return View("sync.html", values)


def undo(visit: Visit) -> View | Onward:
    """POST /console/syncs/{id}/undo."""
    sync_id = visit.path["syncId"]
    answer = visit.api.ask("POST", at("/api/syncs/{}/undo", sync_id))
    result = answer.read(Undone)
    if answer.reply.status == 202:
        return Onward(at(SYNCS + "/{}", result.sync_id or sync_id), "The undo has begun.")
    run = visit.api.get(SyncShown, at("/api/syncs/{}", sync_id))
    values = {"run": run, "connection": _connection(visit, run), "result": result}
    return View("sync_undone.html", values)


def _connection(visit: Visit, run: SyncShown) -> ConnectionShown | None:
    """The sync's connection; None when it was deleted meanwhile."""
    try:
        return connection_of(visit.api, run.connection_id)
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def _is_first(visit: Visit, run: SyncShown) -> bool:
    full = [each for each in runs_of(visit.api, run.connection_id) if each.kind == "full"]
    return run.kind == "full" and len(full) == 1
