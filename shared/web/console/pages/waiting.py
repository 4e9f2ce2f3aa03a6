"""Waiting for you: holds, conflicts, failures and the worklist, each with its buttons.

Everything here waits until a person has said a word; nothing of it is urgent for the app itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.web.api.employees import Looked, WorklistShown
from shared.web.api.waiting import (
    ConflictList,
    FailureList,
    HoldDecided,
    HoldList,
    Replayed,
)
from shared.web.api.what_waits import ConflictDetail, WaitingShown
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Refused, at
from shared.web.console.names import all_connections
from shared.web.console.rendering import file_reply
from shared.web.console.visits import Onward, Page, View, Visit
from shared.web.http import Reply

_HERE = "/console/waiting"
_LIMIT = 50
_WORDS = {"approve": "approve", "approve-some": "approve"}
_WORDS |= {"refuse": "refuse", "refuse-some": "refuse"}
_COUNTED = 20  # seconds that the number in the navigation may be old


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", _HERE, overview),
        Page("GET", f"{_HERE}/count", count),
        Page("GET", f"{_HERE}/holds", holds),
        Page("POST", f"{_HERE}/holds/{{holdId}}", decide),
        Page("GET", f"{_HERE}/conflicts", conflicts),
        Page("GET", f"{_HERE}/conflicts/{{conflictId}}", conflict),
        Page("POST", f"{_HERE}/conflicts/{{conflictId}}", resolve),
        Page("GET", f"{_HERE}/failures", failures),
        Page("POST", f"{_HERE}/failures/replay", replay),
        Page("GET", f"{_HERE}/worklist", worklist),
        Page("GET", f"{_HERE}/worklist.csv", worklist_csv),
        Page("POST", f"{_HERE}/worklist/look", look),
        Page("POST", f"{_HERE}/worklist/{{itemId}}/done", done),
        Page("POST", f"{_HERE}/worklist/{{itemId}}/dismiss", dismiss),
    ]


# --- at a glance ---------------------------------------------------------------------------------


def overview(visit: Visit) -> View:
    """GET /console/waiting."""
    return View("waiting.html", {"counts": visit.api.get(WaitingShown, "/api/waiting")})


def count(visit: Visit) -> View:
    """GET /console/waiting/count: the number in the navigation."""
    # Every page asks for it, and again each minute.
    counts = visit.api.get(WaitingShown, "/api/waiting", maxAgeSeconds=_COUNTED)
    whole = counts.held_people + counts.conflicts + counts.failures + counts.worklist
    return View("waiting_count.html", {"whole": whole})


# --- holds ---------------------------------------------------------------------------------------


def holds(visit: Visit) -> View:
    """GET /console/waiting/holds."""
    return _holds(visit, NOTHING_WRONG, 200)


def _holds(visit: Visit, wrong: Wrong, status: int) -> View:
    state = visit.asked("state") or "open"
    listed = visit.api.get(
        HoldList, "/api/holds", state=state, limit=10, cursor=visit.asked("cursor")
    )
    return View(
        "waiting_holds.html",
        {
            "here": f"{_HERE}/holds",
            "holds": listed,
            "state": state,
            "domains": _domains(visit),
            "wrong": wrong,
        },
        status,
    )


def decide(visit: Visit) -> Onward | View:
    """POST /console/waiting/holds/{holdId}: approve or refuse all, or those who are ticked."""
    try:
        which, body = _word(visit.form)
        place = at(f"/api/holds/{{}}/{which}", visit.path["holdId"])
        decided = visit.api.post(HoldDecided, place, body)
    except Refused as refused:
        return _holds(visit, wrong_of(refused), refused.status)
    verb = "will be deactivated now" if which == "approve" else "stay as they are"
    said = [f"{len(decided.decided)} people {verb}."]
    if decided.not_waiting:
        said.append(f"{len(decided.not_waiting)} did not wait any more.")
    if decided.busy:
        said.append(f"{len(decided.busy)} are being written at this moment: decide them again.")
    return Onward(f"{_HERE}/holds", " ".join(said))


def _word(form: Form) -> tuple[str, Mapping[str, Any]]:
    """Which word was said, and whom it is about; Refused for anything else than such a word."""
    which = _WORDS.get(form.text("word"))
    if which is None:
        raise Refused(422, "Nothing was decided: choose one of the buttons below the list.")
    if form.text("word") == which:  # about all: as many as the page has shown
        shown = form.number("waiting")
        if not isinstance(shown, int):
            raise Refused(422, "Nothing was decided: look at the list again, then decide.")
        return which, {"expected": shown}
    users = form.texts("user")
    if not users:
        raise Refused(422, "Nobody is ticked: tick the people whom your decision is about.")
    return which, {"users": users}


# --- conflicts -----------------------------------------------------------------------------------


def conflicts(visit: Visit) -> View:
    """GET /console/waiting/conflicts."""
    listed = visit.api.get(
        ConflictList, "/api/conflicts", state="open", limit=_LIMIT, cursor=visit.asked("cursor")
    )
    return View("waiting_conflicts.html", {"conflicts": listed, "domains": _domains(visit)})


def conflict(visit: Visit) -> View:
    """GET /console/waiting/conflicts/{conflictId}."""
    return _conflict(visit, NOTHING_WRONG, 200)


def resolve(visit: Visit) -> Onward | View:
    """POST /console/waiting/conflicts/{conflictId}."""
    choice = visit.form.text("choice")
    body: dict[str, object] = {}
    if choice == "create":
        body = {"create": True}
    elif choice == "ignore":
        body = {"ignore": True}
    elif choice:
        body = {"recordId": visit.form.number("choice")}
    path = at("/api/conflicts/{}/resolve", visit.path["conflictId"])
    try:
        visit.api.ask("POST", path, body)
    except Refused as refused:
        if refused.status != 422:
            raise
        words = refused.sentence if choice else "Choose one of the possibilities first."
        return _conflict(visit, Wrong(words, by_field={"choice": words}), 422)
    return Onward(f"{_HERE}/conflicts", "Chosen. It is being carried out now, and remembered.")


def _conflict(visit: Visit, wrong: Wrong, status: int) -> View:
    path = at("/api/conflicts/{}", visit.path["conflictId"])
    found = visit.api.get(ConflictDetail, path)
    values = {"conflict": found, "domains": _domains(visit), "wrong": wrong}
    return View("waiting_conflict.html", values, status)


# --- failures ------------------------------------------------------------------------------------


def failures(visit: Visit) -> View:
    """GET /console/waiting/failures."""
    listed = visit.api.get(FailureList, "/api/failures", limit=_LIMIT, cursor=visit.asked("cursor"))
    causes: dict[str, int] = {}
    for each in listed.items:
        causes[each.cause] = causes.get(each.cause, 0) + 1
    return View(
        "waiting_failures.html",
        {"failures": listed, "causes": sorted(causes.items()), "domains": _domains(visit)},
    )


def replay(visit: Visit) -> Onward:
    """POST /console/waiting/failures/replay: one, all of a cause, or all."""
    one, cause = visit.form.text("failure"), visit.form.text("cause")
    path = at("/api/failures/{}/replay", one) if one else "/api/failures/replay"
    body = {} if one or not cause else {"cause": cause}
    replayed = visit.api.post(Replayed, path, body).replayed
    words = "1 failure goes" if replayed == 1 else f"{replayed} failures go"
    return Onward(f"{_HERE}/failures", f"{words} back to work. What fails again comes back here.")


# --- the worklist --------------------------------------------------------------------------------


def worklist(visit: Visit) -> View:
    """GET /console/waiting/worklist."""
    return _worklist(visit, NOTHING_WRONG, "", 200)


def worklist_csv(visit: Visit) -> Reply:
    """GET /console/waiting/worklist.csv."""
    reply = visit.api.ask("GET", "/api/worklist.csv").reply
    return file_reply(reply.body, reply.content_type, "bms-worklist.csv")


def look(visit: Visit) -> Onward:
    """POST /console/waiting/worklist/look."""
    closed = visit.api.post(Looked, "/api/worklist/look").closed
    words = "nothing that is done yet" if not closed else f"{closed} done, taken off the list"
    return Onward(f"{_HERE}/worklist", f"Looked in BMS: {words}.")


def done(visit: Visit) -> Onward | View:
    """POST /console/waiting/worklist/{itemId}/done."""
    item = visit.path["itemId"]
    record = visit.form.number("recordId")
    body = {} if record is None else {"recordId": record}
    try:
        visit.api.ask("POST", at("/api/worklist/{}/done", item), body)
    except Refused as refused:
        if refused.status not in (409, 422):
            raise
        return _worklist(visit, wrong_of(refused), item, refused.status)
    return Onward(f"{_HERE}/worklist", "Ticked off: it counts as written.")


def dismiss(visit: Visit) -> Onward:
    """POST /console/waiting/worklist/{itemId}/dismiss."""
    visit.api.ask("POST", at("/api/worklist/{}/dismiss", visit.path["itemId"]))
    return Onward(f"{_HERE}/worklist", "Taken off the list without being done.")


def _worklist(visit: Visit, wrong: Wrong, at_item: str, status: int) -> View:
    listed = visit.api.get(
        WorklistShown,
        "/api/worklist",
        kind=visit.asked("kind"),
        limit=_LIMIT,
        cursor=visit.asked("cursor"),
    )
    values = {
        "here": f"{_HERE}/worklist",
        "worklist": listed,
        "kind": visit.asked("kind"),
        "domains": _domains(visit),
        "wrong": wrong,
        "at_item": at_item,
    }
    return View("waiting_worklist.html", values, status)


def _domains(visit: Visit) -> Mapping[str, str]:
    """The tenants' domain names by connection; empty texts are better than no page."""
    try:
        return {each.id: each.tenant_domain for each in all_connections(visit.api)}
    except Refused:
        return {}
