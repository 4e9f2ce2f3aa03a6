"""Azure AD Connections: the list, adding one, and how one stands."""

from __future__ import annotations

from typing import Any

from shared.web.api.connections import ConnectionList, ConnectionShown
from shared.web.api.deployment import DeploymentShown
from shared.web.api.syncs import SyncList, SyncShown
from shared.web.console.forms import NOTHING_WRONG, Form, Wrong, wrong_of
from shared.web.console.inside import Inside, Refused
from shared.web.console.setup_steps import connection_of, goes_on, is_connected, set_up_of
from shared.web.console.visits import Onward, Page, View, Visit
from shared.web.http import Reply

CONNECTIONS = "/console/connections"
ONE = f"{CONNECTIONS}/{{connectionId}}"
_A_PAGE = 50
_LATELY = 200  # syncs, among which the newest of each connection is looked for
_SHOWN_RUNS = 5
_INPUTS = ("tenantDomain", "applicationId", "applicationKey", "secretExpiresOn", "mode")
STATES = (
    ("", "All states"),
    ("attention", "needs attention"),
    ("draft", "draft"),
    ("connected", "connected"),
    ("paused", "paused"),
)


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [
        Page("GET", CONNECTIONS, all_of_them),
        Page("GET", f"{CONNECTIONS}/new", new),
        Page("POST", f"{CONNECTIONS}/new", add),
        Page("GET", ONE, one),
    ]


def all_of_them(visit: Visit) -> View:
    """GET /console/connections."""
    asked = {name: visit.asked(name) for name in ("q", "state")}
    found = visit.api.get(
        ConnectionList,
        "/api/connections",
        **asked,
        order="domain",
        limit=_A_PAGE,
        cursor=visit.asked("cursor"),
    )
    lately = visit.api.get(SyncList, "/api/syncs", limit=_LATELY).items if found.items else []
    values = {
        "found": found,
        "asked": asked,
        "filtered": any(asked.values()),
        "states": STATES,
        "last_full": _newest_full(lately),
    }
    return View("connections_found.html" if visit.wants_part else "connections.html", values)


def _newest_full(runs: list[SyncShown]) -> dict[str, SyncShown]:
    found: dict[str, SyncShown] = {}
    for run in runs:
        if run.kind == "full":
            found.setdefault(run.connection_id, run)
    return found


def new(visit: Visit) -> View:
    """GET /console/connections/new."""
    return _form(visit.api, {"mode": "application"}, NOTHING_WRONG, 200)


def add(visit: Visit) -> View | Onward:
    """POST /console/connections/new."""
    form = visit.form
    body: dict[str, Any] = {
        "tenantDomain": form.text("tenantDomain"),
        "applicationId": form.text("applicationId"),
        "applicationKey": form.secret("applicationKey"),
        "mode": form.text("mode"),
        "secretExpiresOn": form.text("secretExpiresOn") or None,
    }
    try:
        made = visit.api.post(ConnectionShown, "/api/connections", body)
    except Refused as refused:
        return _form(visit.api, _typed(form), wrong_of(refused), refused.status)
    said = f"{made.tenant_domain} is added. Now connect it: press Connect."
    return Onward(f"{CONNECTIONS}/{made.id}", said)


def _typed(form: Form) -> dict[str, str]:
    """What was typed, but for the secret."""
    return {name: form.text(name) for name in _INPUTS if name != "applicationKey"}


def _form(api: Inside, typed: dict[str, str], wrong: Wrong, status: int) -> View:
    values = {
        "app": api.get(DeploymentShown, "/api/settings/app"),
        "typed": typed,
        "wrong": wrong,
        "inputs": _INPUTS,
    }
    return View("connection_new.html", values, status)


def one(visit: Visit) -> View | Reply:
    """GET /console/connections/{id}."""
    connection = connection_of(visit.api, visit.path["connectionId"])
    now = set_up_of(visit.api, connection)
    going_on = next((run for run in now.runs if goes_on(run)), None)
    values = {
        "connection": connection,
        "now": now,
        "connected": is_connected(connection),
        "run": going_on,
        "runs": now.runs[:_SHOWN_RUNS],
        "more_runs": len(now.runs) > _SHOWN_RUNS,
        "other_troubles": [
            trouble for trouble in connection.troubles if trouble.reason != connection.reason
        ],
        "wrong_sign_in": any(
            trouble.code.startswith(("sign-in", "permissions")) for trouble in connection.troubles
        ),
    }
    return View("connection.html", values)
