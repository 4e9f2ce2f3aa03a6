"""Mapping rules: the set of a connection in order, edited as a draft, saved in one step (R5).

Every button of the page sends the whole draft along (rule_draft.py), so this module is where they
all arrive: what only changes the draft answers with the page again, what saves leads on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.sync.re_evaluation import GATHER
from shared.web.api.connections import ConnectionList, ConnectionShown
from shared.web.api.mapping_rules import RuleList, RuleShown
from shared.web.api.syncs import SyncList, SyncShown
from shared.web.console import rule_draft
from shared.web.console.forms import NOTHING_WRONG, Wrong, wrong_of
from shared.web.console.inside import Refused, at
from shared.web.console.pages import rule_form, rule_preview, rule_words
from shared.web.console.rule_draft import Draft
from shared.web.console.visits import LARGE_FORM, Onward, Page, View, Visit

_HERE = "/console/connections/{}/rules"
_ITEM = re.compile(r"items\[(\d+)\]\.?(.*)")
_INDEX = re.compile(r"[0-9]{1,6}")
_SYNCS = 20  # the re-evaluation of the last edit is among the newest


def pages() -> list[Page]:
    """The rows of the console's table."""
    of_connection = _HERE.format("{connectionId}")
    return [
        Page("GET", "/console/rules", choose),
        Page("GET", of_connection, look),
        Page("POST", of_connection, edit, largest=LARGE_FORM),
        Page("GET", f"{of_connection}/progress/part", progress_part),
        *rule_form.pages(),
        *rule_preview.pages(),
    ]


def choose(visit: Visit) -> View | Onward:
    """GET /console/rules: whose rules?"""
    found = visit.api.get(
        ConnectionList, "/api/connections", limit=50, cursor=visit.asked("cursor")
    )
    if len(found.items) == 1 and not found.next_cursor and not visit.asked("cursor"):
        return Onward(at(_HERE, found.items[0].id))
    return View("rules_choose.html", {"found": found})


def look(visit: Visit) -> View:
    """GET: the rules as they are saved."""
    set_ = RuleSet.read(visit)
    return set_.page(visit, rule_draft.begun(set_.saved))


def edit(visit: Visit) -> View | Onward:
    """POST: one of the page's buttons, with the draft."""
    set_ = RuleSet.read(visit)
    draft = rule_draft.read(visit.form.text("draft"))
    do, _, which = visit.form.text("do").partition(":")
    index = int(which) if _INDEX.fullmatch(which) else None
    if do == "discard":
        return Onward(set_.here, "The draft was discarded: these are the rules as they are saved.")
    if do in ("add", "edit", "search", "apply"):
        answer = rule_form.step(visit, set_.connection, draft, do, index)
        return answer if isinstance(answer, View) else set_.page(visit, answer)
    if do in ("preview", "show"):
        try:
            changes = sum(row.state != "same" for row in rule_draft.rows(draft, set_.saved))
            anew = do == "preview"
            return rule_preview.shown(visit, set_.connection, draft, changes, anew=anew)
        except Refused as refused:
            return set_.refused(visit, draft, refused)
    if do in ("save", "confirm"):
        return set_.save(visit, draft, confirm=do == "confirm")
    change = _CHANGES.get(do)
    if change is not None and index is not None:
        draft = change(draft, index)
    elif do == "restore":
        draft = rule_draft.restored(draft, which, set_.saved)
    return set_.page(visit, draft)


_CHANGES: dict[str, Callable[[Draft, int], Draft]] = {
    "up": lambda draft, index: rule_draft.moved(draft, index, -1),
    "down": lambda draft, index: rule_draft.moved(draft, index, +1),
    "disable": lambda draft, index: rule_draft.switched(draft, index, enabled=False),
    "enable": lambda draft, index: rule_draft.switched(draft, index, enabled=True),
    "remove": rule_draft.removed,
}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A connection with its rules as they are saved now."""

    connection: ConnectionShown
    saved: Sequence[RuleShown]

    @classmethod
    def read(cls, visit: Visit) -> RuleSet:
        """From the admin API."""
        id_ = visit.path["connectionId"]
        connection = visit.api.get(ConnectionShown, at("/api/connections/{}", id_))
        saved: list[RuleShown] = []
        cursor: str | None = None
        while True:
            path = at("/api/connections/{}/mapping-rules", id_)
            found = visit.api.get(RuleList, path, limit=1000, cursor=cursor)
            saved += found.items
            cursor = found.next_cursor
            if cursor is None:
                return cls(connection, saved)

    @property
    def here(self) -> str:
        """The page's address."""
        return at(_HERE, self.connection.id)

    def page(
        self, visit: Visit, draft: Draft, wrong: Wrong = NOTHING_WRONG, status: int = 200
    ) -> View:
        """The list, with what is not saved."""
        foreign = draft.base != rule_draft.version(self.saved)
        draft = rule_draft.sorted_draft(rule_draft.on_top_of(draft, self.saved))
        rows = rule_draft.rows(draft, self.saved)
        values: dict[str, Any] = {
            "connection": self.connection,
            "here": "/console/rules",
            "connection_here": self.here,
            "draft": rule_draft.write(draft),
            "count": len(draft.items),
            "rows": rows,
            "changes": sum(row.state != "same" for row in rows),
            "foreign": foreign,
            "wrong": wrong,
            **rule_words.named(visit.api, [row.rule for row in rows]),
            **progress(visit, self.connection),
        }
        return View("rules.html", values, status)

    def save(self, visit: Visit, draft: Draft, *, confirm: bool) -> View | Onward:
        """The draft becomes the rules, all or nothing."""
        if draft.base != rule_draft.version(self.saved):
            return self.page(visit, draft, status=409)
        rows = rule_draft.rows(draft, self.saved)
        body: dict[str, object] = {"items": [rule.wish() for rule in draft.items]}
        if confirm:
            body["confirm"] = {"previewId": visit.form.text("previewId")}
        try:
            path = at("/api/connections/{}/mapping-rules", self.connection.id)
            visit.api.put(RuleList, path, body)
        except Refused as refused:
            return self.refused(visit, draft, refused)
        return Onward(self.here, _said(rows, self.connection, confirm=confirm))

    def refused(self, visit: Visit, draft: Draft, refused: Refused) -> View:
        """The list, with what the admin API said at the rules it was said of."""
        by_rule: dict[int, dict[str, str]] = {}
        wrong = wrong_of(refused)
        rest: dict[str, str] = {}
        for name, sentence in wrong.by_field.items():
            place = _ITEM.fullmatch(name)
            if place is None:
                rest[name] = sentence
            else:
                at_rule = by_rule.setdefault(int(place[1]), {})
                at_rule[place[2]] = sentence.replace(f"items[{place[1]}].", "")
        if by_rule:
            wrong = Wrong("Nothing was saved: please look at the marked rules.", "", rest)
        draft = rule_draft.with_faults(rule_draft.without_faults(draft), by_rule)
        return self.page(visit, draft, wrong, refused.status)


def _said(rows: Sequence[rule_draft.Row], connection: ConnectionShown, *, confirm: bool) -> str:
    counted = [
        f"{number} {state}"
        for state in ("new", "changed", "removed")
        if (number := sum(row.state == state for row in rows))
    ]
    said = f"The rules are saved ({', '.join(counted) or 'nothing differed'})."
    if connection.first_sync_at is None:
        return f"{said} Nothing is written to BMS before the first sync is asked for."
    if confirm:
        said += " The numbers of the preview are confirmed."
    return f"{said} Everybody they touch is looked at again." if counted else said


# --- the re-evaluation after an edit --------------------------------------------------------------


def progress(visit: Visit, connection: ConnectionShown) -> dict[str, Any]:
    """How far everybody has been compared by the rules as they are saved."""
    edited, compared = connection.rules_edited_at, connection.rules_compared_at
    run: SyncShown | None = None
    if edited is not None and connection.first_sync_at is not None:
        runs = visit.api.get(SyncList, "/api/syncs", connectionId=connection.id, limit=_SYNCS).items
        since = [
            each
            for each in runs
            if each.kind in ("rules", "full") and each.requested_at and each.requested_at >= edited
        ]
        run = since[0] if since else None
    owed = edited is not None and (compared is None or compared < edited)
    waits = 0
    if edited is not None:
        waits = max(0, int((edited + GATHER - visit.now).total_seconds()))
    state = "none"
    if edited is not None and connection.first_sync_at is not None:
        if run is not None:
            state = {"done": "done", "failed": "failed"}.get(run.state, "running")
        elif owed:
            state = "owed"
    return {"progress": state, "run": run, "waits": waits, "paused": connection.state == "paused"}


def progress_part(visit: Visit) -> View:
    """GET …/progress/part: it changes by itself."""
    path = at("/api/connections/{}", visit.path["connectionId"])
    connection = visit.api.get(ConnectionShown, path)
    values = {"connection": connection, "connection_here": at(_HERE, connection.id)}
    return View("rules_progress.html", values | progress(visit, connection))
