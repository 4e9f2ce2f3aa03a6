"""Bringing a backup back: first what it would do, then, when a person says so, doing it.

A file is read by the page's script into the box, or pasted there; nothing of it is kept between the
two steps but what the form itself holds.
"""

from __future__ import annotations

import msgspec

from shared.web.api.backup import ImportShown
from shared.web.console.forms import NOTHING_WRONG, Wrong, wrong_of
from shared.web.console.inside import Refused
from shared.web.console.visits import LARGE_FORM, Page, View, Visit

RESTORE = "/console/settings/restore"


def pages() -> list[Page]:
    """The rows of the console's table."""
    return [Page("GET", RESTORE, ask), Page("POST", RESTORE, take, largest=LARGE_FORM)]


def ask(visit: Visit) -> View:
    """GET /console/settings/restore."""
    return _view("", None, NOTHING_WRONG, 200)


def take(visit: Visit) -> View:
    """POST /console/settings/restore: tells what would be done; with `do`, does it."""
    text = visit.form.text("configuration")
    try:
        msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        words = "This is not the JSON of a backup: take the whole file as it was downloaded."
        return _view(text, None, Wrong(words), 422)
    body = {"configuration": msgspec.Raw(text.encode() or b"{}")}
    try:
        plan = visit.api.post(
            ImportShown, "/api/import", {**body, "dryRun": not visit.form.ticked("do")}
        )
    except Refused as refused:
        return _view(text, None, wrong_of(refused), refused.status)
    return _view(text, plan, NOTHING_WRONG, 200)


def _view(text: str, plan: ImportShown | None, wrong: Wrong, status: int) -> View:
    return View("restore.html", {"text": text, "plan": plan, "wrong": wrong}, status)
