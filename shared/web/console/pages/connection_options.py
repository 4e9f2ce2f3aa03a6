"""A connection's options, its secret, pause and resume, and its end."""

from __future__ import annotations

from typing import Any

from shared.web.api.connections import ConnectionShown
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Refused, at
from shared.web.console.pages.connections import CONNECTIONS, ONE
from shared.web.console.setup_steps import connection_of
from shared.web.console.visits import Onward, Page, View, Visit

# Each input with the name of the one that tells what it was when the form was opened.
_TEXTS = ("tenantDomain", "applicationId", "mode", "emailSource", "matchScope", "onLeave")
_LIMITS = ("count", "percent", "atMost")
_INPUTS = (
    *_TEXTS,
    "secretExpiresOn",
    "applicationKey",
    *(f"holdLimit.{name}" for name in _LIMITS),
)


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", f"{ONE}/options", options),
        Page("POST", f"{ONE}/options", save),
        Page("POST", f"{ONE}/pause", pause),
        Page("POST", f"{ONE}/resume", resume),
        Page("GET", f"{ONE}/delete", ask_to_delete),
        Page("POST", f"{ONE}/delete", delete),
    ]


def options(visit: Visit) -> View:
    """GET /console/connections/{id}/options."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    held = _held(connection)
    return _form(connection, held, held, NOTHING_WRONG, 200)


def save(visit: Visit) -> View | Onward:
    """POST /console/connections/{id}/options: only what was changed in the form is sent.

    So two people who edit different options at once do not undo each other's edits.
    """
    form, place = visit.form, at("/api/connections/{}", visit.path["connectionId"])
    body = _changes(form)
    if not body:
        return Onward(_page_of(visit), "Nothing was changed.")
    try:
        saved = visit.api.patch(ConnectionShown, place, body)
    except Refused as refused:
        connection = connection_of(visit.api, visit.path["connectionId"])
        typed = {name: form.text(name) for name in _INPUTS if name != "applicationKey"}
        before = {name: form.text(f"was-{name}") for name in typed}
        return _form(connection, typed, before, wrong_of(refused), refused.status)
    return Onward(_page_of(visit), " ".join(["Saved.", *saved.notes]))


def pause(visit: Visit) -> Onward:
    """POST /console/connections/{id}/pause."""
    return _switch(visit, "pause", "Paused: nothing is read or written until it is resumed.")


def resume(visit: Visit) -> Onward:
    """POST /console/connections/{id}/resume."""
    return _switch(visit, "resume", "Resumed: what has changed meanwhile is looked for now.")


def ask_to_delete(visit: Visit) -> View:
    """GET /console/connections/{id}/delete."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    return View("connection_delete.html", {"connection": connection})


def delete(visit: Visit) -> Onward:
    """POST /console/connections/{id}/delete."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    visit.api.delete(at("/api/connections/{}", connection.id))
    said = f"{connection.tenant_domain} is deleted. Its records in BMS stay as they are."
    return Onward(CONNECTIONS, said)


def _switch(visit: Visit, what: str, said: str) -> Onward:
    place = at("/api/connections/{}/" + what, visit.path["connectionId"])
    notes = visit.api.post(ConnectionShown, place).notes
    return Onward(_page_of(visit), " ".join([said, *notes]))


def _page_of(visit: Visit) -> str:
    return at(CONNECTIONS + "/{}", visit.path["connectionId"])


def _held(connection: ConnectionShown) -> dict[str, str]:
    limit = connection.hold_limit
    return {
        "tenantDomain": connection.tenant_domain,
        "applicationId": connection.application_id,
        "mode": connection.mode,
        "emailSource": connection.email_source,
        "matchScope": connection.match_scope,
        "onLeave": connection.on_leave,
        "secretExpiresOn": connection.secret_expires_on or "",
        "holdLimit.count": str(limit.count),
        "holdLimit.percent": f"{limit.percent:g}",
        "holdLimit.atMost": str(limit.at_most),
    }


def _changes(form: Form) -> dict[str, Any]:
    def changed(name: str) -> bool:
        return form.text(name) != form.text(f"was-{name}")

    body: dict[str, Any] = {name: form.text(name) for name in _TEXTS if changed(name)}
    if changed("secretExpiresOn"):
        body["secretExpiresOn"] = form.text("secretExpiresOn") or None
    if form.secret("applicationKey"):
        body["applicationKey"] = form.secret("applicationKey")
    limit = {
        name: form.number(f"holdLimit.{name}") for name in _LIMITS if changed(f"holdLimit.{name}")
    }
    if limit:
        body["holdLimit"] = limit
    return body


def _form(
    connection: ConnectionShown,
    typed: dict[str, str],
    before: dict[str, str],
    wrong: Wrong,
    status: int,
) -> View:
    values = {
        "connection": connection,
        "typed": typed,
        "before": before,
        "wrong": wrong,
        "inputs": _INPUTS,
    }
    return View("connection_options.html", values, status)
