"""What a person approved by saving a rule change with its preview's numbers confirmed (R20).

The approval stands on the connection, beside the edit that it belongs to, and names the preview:
whoever's record goes by that preview is deactivated without being counted. The next edit of the
connection's rules or options ends it, and so does a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.model import Connection, HoldMark, Link, RecordId, UserId
from shared.ports import Now, Previews


@dataclass(frozen=True, slots=True)
class Approvals:
    """Reads approvals; costs nothing where there is none."""

    previews: Previews
    now: Now

    def of(self, connection: Connection) -> Mapping[UserId, RecordId]:
        """Whose record may go, and which; empty where nothing was approved."""
        approval = connection.approval
        if approval is None or approval.until <= self.now():
            return {}
        return self.previews.leaving(approval.preview_id)


def is_approved(approved: Mapping[UserId, RecordId], link: Link) -> bool:
    """Whether this very record of his may go; a refusal is kept until it is taken back."""
    if link.record_id is None or link.hold is HoldMark.REFUSED:
        return False
    return approved.get(link.user_id) == link.record_id
