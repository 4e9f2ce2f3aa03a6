"""What a person chose in a conflict, as long as it is about these very records (R9)."""

from __future__ import annotations

from shared.core.matching import Ambiguous, Candidate, Found, NotFound
from shared.core.model import RecordType
from shared.ports import Conflict
from shared.sync.finding import Answer, Sought


def standing_choice(
    known: Conflict | None, found: Ambiguous, record_type: RecordType
) -> Conflict | None:
    """The choice; None when a person is still to choose."""
    if (
        known is None
        or known.state != "resolved"
        or known.record_type is not record_type
        or set(known.record_ids) != set(found.record_ids)
    ):
        return None
    return known


def chosen_match(choice: Conflict, one: Sought, answer: Answer) -> Found | NotFound | None:
    """What a choice among contacts comes to; None when the chosen one is no longer there."""
    if choice.create:
        return NotFound()
    for entry in answer.entries.values():
        for known in entry.known:
            if known.record_id == choice.chosen:
                candidate = Candidate(known.record_id, known.account_id, known.is_active)
                elsewhere = known.account_id != one.step.account_id
                return Found(candidate, one.keys[0], elsewhere)
    return None


LEFT_OUT = "a person chose to leave this user out"
