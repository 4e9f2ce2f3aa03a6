"""What a person reads when a connection needs a look: the reason and the next step (R30)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.core.model import GroupId, HoldLimit, Trouble

LEAVERS = "leavers"
GROUPS = "rule-group"
ENTRIES = "bms-entry-operations"  # ends when the settings are saved again
# Troubles of BMS as a whole: they end when BMS takes a write again.
BMS = frozenset({"bms-signin", "bms-rights", "bms-settings"})


def unreadable_groups(groups: Sequence[GroupId], at: datetime) -> Trouble:
    """Mapped groups that are gone, hidden or refused (R20)."""
    return Trouble(
        GROUPS,
        f"Entra does not show {len(groups)} mapped group(s): {', '.join(groups)}. Nobody is "
        "deactivated because of that.",
        "Restore the group in Entra, or change or remove its mapping rule.",
        at,
    )


def too_many_leavers(count: int, limit: HoldLimit, at: datetime) -> Trouble:
    """Deactivations that pass the limit (R20)."""
    return Trouble(
        LEAVERS,
        f"{count} people would be deactivated at once, which is more than the limit allows within "
        f"24 hours (more than {limit.count} and more than {limit.percent:g} % of the active links, "
        f"or more than {limit.at_most}). None of them was deactivated.",
        "Check the groups in Entra and the mapping rules. If they are right, raise the "
        "connection's holdLimit and start a full sync.",
        at,
    )
