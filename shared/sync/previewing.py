"""See what a set of rules would do before it is saved, and save it with its numbers confirmed (R5).

The wish is stored and ordered by a message, so that small and large tenants go the same way; who
asked waits a little for the numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import Approval, Connection, MappingRule
from shared.core.preview import PreviewedPerson
from shared.errors import BadInput
from shared.ports import (
    SWEEPS,
    Connections,
    NewId,
    Now,
    Preview,
    PreviewedRule,
    Previews,
    Queues,
)
from shared.ports.clock import Sleep
from shared.sync.connections import existing
from shared.sync.mapping_rules import MappingRules, RuleWish, says
from shared.sync.order_sync import must_be_readable

LIFE = timedelta(days=1)
_YOUNG = timedelta(hours=1)  # in which its numbers may be confirmed
APPROVED_FOR = timedelta(hours=1)  # at most: it ends with the re-evaluation that it belongs to
_PATIENCE = timedelta(seconds=20)
_STEPS = (0.1, 0.2, 0.3, 0.5, 1.0)
_AGAIN = "Preview the rules again and confirm those numbers."


@dataclass(frozen=True, slots=True)
class Found:
    """A preview, and whether something was changed since that it rests on."""

    preview: Preview
    stale: bool


@dataclass(frozen=True, slots=True)
class Previewing:
    """The use cases of previews."""

    connections: Connections
    previews: Previews
    mapping: MappingRules
    queues: Queues
    now: Now
    sleep: Sleep
    new_id: NewId

    def ask(self, connection_id: str, wishes: Sequence[RuleWish]) -> Found:
        """The preview: ready where that takes no longer than 20 seconds, else still running."""
        connection = existing(self.connections, connection_id)
        must_be_readable(connection)
        checked = self.mapping.checked_set(connection, wishes)
        now = self.now()
        preview = Preview(
            id=self.new_id(),
            connection_id=connection.id,
            created_at=now,
            expires_at=now + LIFE,
            basis=basis_of(connection),
        )
        rules = [
            PreviewedRule(rule, index, is_new=rule.id not in checked.before)
            for index, rule in enumerate(checked.rules)
        ]
        self.previews.add(preview, rules)
        order = SweepOrder(connection.id, "preview", preview=preview.id)
        self.queues.send(SWEEPS, encode_sweep_order(order))
        return self._wait(preview.id)

    def _wait(self, preview_id: str) -> Found:
        end = self.now() + _PATIENCE
        step = 0
        while True:
            shown = self.get(preview_id)
            if shown.preview.state != "running" or self.now() >= end:
                return shown
            self.sleep(_STEPS[min(step, len(_STEPS) - 1)])
            step += 1

    def get(self, preview_id: str) -> Found:
        """BadInput 404 when there is none, or none any more."""
        preview = self.previews.get(preview_id)
        if preview is None or preview.expires_at <= self.now():
            raise BadInput(404, "There is no preview with this id, or its day is over: ask anew.")
        connection = self.connections.get(preview.connection_id)
        if connection is None:
            raise BadInput(404, "The connection of this preview was deleted.")
        return Found(preview, stale=basis_of(connection) != preview.basis)

    def people(
        self,
        preview_id: str,
        *,
        kind: str | None,
        text: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[PreviewedPerson], str | None]:
        """A page of the people behind its numbers; those who stay as they are are only counted."""
        preview = self.get(preview_id).preview
        if preview.state != "ready":
            return [], None
        return self.previews.people(preview, kind=kind, text=text, limit=limit, cursor=cursor)

    def indexes(self, preview_id: str) -> dict[str, int]:
        """Rules that have no id outside of this preview, and their places in the request."""
        return {one.rule.id: one.index for one in self.previews.rules(preview_id) if one.is_new}

    def account_names(self) -> dict[int, str]:
        """What BMS calls its accounts (a list that is minutes old will do)."""
        return {int(account.id): account.name for account in self.mapping.bms.accounts()}

    # --- confirm -------------------------------------------------------------------------------

    def save(
        self, connection_id: str, wishes: Sequence[RuleWish], preview_id: str
    ) -> list[MappingRule]:
        """The whole set saved, and the preview's leavers approved (R20).

        BadInput says what differs from what was previewed.
        """
        connection = existing(self.connections, connection_id)
        preview = self._confirmable(connection, preview_id)
        checked = self.mapping.checked_set(connection, wishes)
        previewed = self.previews.rules(preview.id)
        rules = _as_previewed(checked.rules, set(checked.before), previewed)
        # Once more, since the check takes its time: nothing else may have been edited meanwhile.
        self._confirmable(existing(self.connections, connection_id), preview_id)
        approval = Approval(preview.id, self.now() + APPROVED_FOR)
        return self.mapping.take(connection.id, rules, checked.before, approval)

    def _confirmable(self, connection: Connection, preview_id: str) -> Preview:
        field = "confirm.previewId"
        preview = self.previews.get(preview_id)
        if preview is None or preview.expires_at <= self.now():
            raise BadInput(422, f"There is no preview with this id. {_AGAIN}", field=field)
        if preview.connection_id != connection.id:
            sentence = f"The preview is one of another connection. {_AGAIN}"
            raise BadInput(422, sentence, field=field)
        if preview.state == "running":
            sentence = "The preview is not ready yet: confirm its numbers when they are there."
            raise BadInput(409, sentence, field=field)
        if preview.state != "ready":
            raise BadInput(409, f"The preview failed: {preview.reason} {_AGAIN}", field=field)
        if self.now() - preview.created_at > _YOUNG:
            raise BadInput(409, f"The preview is older than an hour. {_AGAIN}", field=field)
        if basis_of(connection) != preview.basis:
            sentence = f"The rules or the connection were changed since the preview. {_AGAIN}"
            raise BadInput(409, sentence, field=field)
        return preview


def basis_of(connection: Connection) -> str:
    """What a preview rests on besides its rules: changes with every edit of rules and options."""
    said = [
        connection.rules_edited_at,
        connection.first_sync_at,
        connection.tenant_id,
        connection.email_source,
        connection.match_scope,
        connection.on_leave,
        connection.hold_limit,
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _as_previewed(
    rules: Sequence[MappingRule], known: set[str], previewed: Sequence[PreviewedRule]
) -> list[MappingRule]:
    """The rules to be saved, the new ones with the ids and ages that they had in the preview.

    BadInput names the first one that is not what was previewed.
    """
    left = list(previewed)
    taken: list[MappingRule] = []
    for index, rule in enumerate(rules):
        is_new = rule.id not in known
        found = next((one for one in left if _same(one, rule, is_new)), None)
        if found is None:
            raise BadInput(
                422,
                f"items[{index}] is not what was previewed. {_AGAIN}",
                field=f"items[{index}]",
            )
        left.remove(found)
        taken.append(_with_age(rule, found.rule) if is_new else rule)
    if left:
        raise BadInput(
            422,
            f"The preview had a rule more: its items[{left[0].index}] is missing here. {_AGAIN}",
            field="items",
        )
    return taken


def _same(one: PreviewedRule, rule: MappingRule, is_new: bool) -> bool:
    if one.is_new is not is_new or (not is_new and one.rule.id != rule.id):
        return False
    return says(one.rule) == says(rule)


def _with_age(rule: MappingRule, previewed: MappingRule) -> MappingRule:
    return replace(rule, id=previewed.id, created_at=previewed.created_at)
