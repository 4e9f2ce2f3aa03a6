"""What a person reads when a connection needs a look: the reason and the next step (R30)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.core.model import GroupId, HoldLimit, Trouble

LEAVERS = "leavers"
MASS_FAILURE = "mass-failure"
GROUPS = "rule-group"
EMPLOYEES = "employee-api"  # ends when the Employee Defaults are saved again
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
    """Deactivations that wait in a hold because they pass the limit (R20)."""
    return Trouble(
        LEAVERS,
        f"{count} people wait to be deactivated: more than the limit allows within 24 hours (more "
        f"than {limit.count} and more than {limit.percent:g} % of the active links, or more than "
        f"{limit.at_most}). None of them was deactivated.",
        "Look at the hold: approve it, approve some of it, or refuse it.",
        at,
    )


def employees_by_hand(why: str, at: datetime) -> Trouble:
    """The API mode of employees has ended by itself (R26)."""
    return Trouble(
        EMPLOYEES,
        f"{why} Employees wait on the worklist instead.",
        "Type them into BMS as the worklist says, and save the Employee Defaults with the mode "
        "you want.",
        at,
    )


def mass_failure(failed: int, of: int, example: str, at: datetime) -> Trouble:
    """So much goes wrong that going on would only do harm."""
    return Trouble(
        MASS_FAILURE,
        f"{failed} of the last {of} decisions of this connection failed, so it was stopped. The "
        f"last one: {example}",
        "Mend the cause, then resume the connection.",
        at,
        blocks=True,
    )
