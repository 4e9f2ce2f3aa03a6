"""Which employee in BMS is this user? By e-mail, then by user name (R6, R9, R26)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.core.matching import Ambiguous, Candidate, Found, NotFound, key, match
from shared.core.model import Employee, RecordId


def match_employee(
    keys: Sequence[str],
    user_name: str,
    employees: Iterable[Employee],
    taken: frozenset[RecordId],
) -> Found | NotFound | Ambiguous:
    """The employee for these addresses in their order, else for this user name.

    `taken` are employees whom another user's link holds.
    """
    by_email: dict[str, list[Candidate]] = {}
    by_name: dict[str, list[Candidate]] = {}
    for one in employees:
        candidate = Candidate(one.id, None, one.is_active)
        if one.email.strip():
            by_email.setdefault(key(one.email), []).append(candidate)
        if one.user_name.strip():
            by_name.setdefault(key(one.user_name), []).append(candidate)
    found = match(keys, by_email, account_id=None, own_account_only=False, taken=taken)
    if not isinstance(found, NotFound) or not user_name:
        return found
    found = match([key(user_name)], by_name, account_id=None, own_account_only=False, taken=taken)
    if isinstance(found, Ambiguous):
        return Ambiguous(found.record_ids, found.reason.replace("e-mail address", "user name"))
    return found
