"""Undo of one line of the activity: the order, and a page that tells what became of it.

The same page tells of the undo of a whole sync: both are runs, and what a run put back is listed.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from shared.web.api.undo import UndoReply
from shared.web.console.inside import at
from shared.web.console.pages.activity import ACTIVITY
from shared.web.console.visits import Onward, Page, View, Visit, inside

UNDONE = "/console/undone"
_A_PAGE = 50


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("POST", f"{ACTIVITY}/{{id}}/undo", undo),
        Page("GET", f"{UNDONE}/{{syncId}}", undone),
    ]


def undo(visit: Visit) -> View | Onward:
    """POST /console/activity/{id}/undo."""
    reply = visit.api.post(UndoReply, at("/api/activity/{}/undo", visit.path["id"]))
    back = _way_back(visit.form.text("back"))
    connection_id = visit.form.text("connectionId")
    if reply.sync_id is None:  # there was nothing to carry out, so nothing is kept of it
        return _result(reply, connection_id, back)
    query = urlencode({"connectionId": connection_id, "back": back})
    return Onward(f"{UNDONE}/{quote(reply.sync_id, safe='')}?{query}")


def undone(visit: Visit) -> View:
    """GET /console/undone/{syncId}: what was put back, what was not, and why."""
    reply = visit.api.get(
        UndoReply,
        at("/api/syncs/{}/outcome", visit.path["syncId"]),
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    shown = _result(reply, visit.asked("connectionId"), _way_back(visit.asked("back")))
    address = at(UNDONE + "/{}", visit.path["syncId"])
    asked = urlencode(visit.query)
    values = {
        **shown.values,
        "address": address,
        "reload": f"{address}?{asked}" if asked else address,
    }
    return View("undone_part.html" if visit.wants_part else shown.template, values)


def _result(reply: UndoReply, connection_id: str, back: str) -> View:
    values = {
        "here": ACTIVITY,
        "reply": reply,
        "connection_id": connection_id,
        "back": back,
        "address": "",
        "reload": "",
    }
    return View("undone.html", values)


def _way_back(wanted: str) -> str:
    """The page that the form was on; never an address elsewhere."""
    return inside(wanted, ACTIVITY)
