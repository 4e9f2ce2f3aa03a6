"""What a person approved by saving a rule change with its preview's numbers confirmed (R20).

The approval stands on the connection, beside the edit that it belongs to, and names the preview:
whoever's record goes by that preview, in the way that it says, is deactivated without being
counted. It counts once and for this change alone: it begins when the rules become the live ones,
and ends with the re-evaluation that they are followed by, with the next edit of the connection's
rules or options, or after an hour. Whoever was decided by it, whatever came of it, has used his up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.core.model import GOING_ON, Connection, HoldMark, Link, UserId
from shared.ports import Leaving, Now, Previews, Runs


@dataclass(frozen=True, slots=True)
class Approvals:
    """Reads approvals; costs nothing where there is none."""

    previews: Previews
    runs: Runs
    now: Now

    def of(
        self, connection: Connection, among: Collection[UserId] | None = None
    ) -> Mapping[UserId, Leaving]:
        """Whose record may go, and how (None: of all users); empty where nothing is approved."""
        approval = connection.approval
        if approval is None or approval.sync is None or approval.until <= self.now():
            return {}
        leaving = self.previews.leaving(approval.preview_id)
        if among is not None:
            leaving = {user: leaving[user] for user in among if user in leaving}
        if not leaving:
            return {}
        run = self.runs.get(approval.sync)
        if run is None or run.state not in GOING_ON:
            return {}
        spent = self.previews.spent(approval.preview_id)
        return {user: one for user, one in leaving.items() if user not in spent}

    def spend(self, connection: Connection, users: Collection[UserId]) -> None:
        """What was approved for these is used up."""
        approval = connection.approval
        if users and approval is not None:
            preview, until = approval.preview_id, approval.until
            self.previews.spend(preview, connection.id, sorted(users), until)


def is_approved(approved: Mapping[UserId, Leaving], link: Link, kind: str) -> bool:
    """Whether this very record of his may go so; a refusal is kept until it is taken back."""
    if link.record_id is None or link.hold is HoldMark.REFUSED:
        return False
    return approved.get(link.user_id) == Leaving(link.record_id, kind)
