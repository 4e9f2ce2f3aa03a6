"""A decision in the words of a preview, by values (R5)."""

from __future__ import annotations

from shared.core.decision import Compare, Nothing, Remember, Seek, TakeOut
from shared.core.fields import wanted_contact
from shared.core.matching import Ambiguous, Candidate, Found, NotFound
from shared.core.model import AccountId, FieldChange, LinkState, LocationId, RecordId
from shared.core.preview import (
    Move,
    Outcome,
    Tally,
    in_a_sentence,
    outcome_of,
    outcome_of_match,
)
from tests.builders import TYPES, a_link, a_rule, a_user

ADA = a_user("ada", job_title="Clerk")
WANTED = wanted_contact(ADA, "mail")
RULE = a_rule("staff", account_id=AccountId(8))
WRITTEN = {"FirstName": "Ada", "LastName": "Lind", "Email": "ada@contoso.example"}


def seek(leaving: int | None = None) -> Seek:
    left = None if leaving is None else RecordId(leaving)
    return Seek(RULE, AccountId(8), own_account_only=True, leaving=left, reason="because")


def test_who_is_not_found_is_created_or_moved_r6_r17() -> None:
    new = outcome_of_match(seek(), NotFound(), None, WANTED, TYPES)
    moved = outcome_of_match(seek(500), NotFound(), a_link(), WANTED, TYPES)

    assert (new.kind, new.record_id, new.account_id, new.leaving) == ("create", None, 8, None)
    assert FieldChange("job title", "", "Clerk") in new.changes
    assert (moved.kind, moved.from_account_id, moved.account_id) == ("move", 7, 8)
    assert moved.leaving == 500


def test_who_is_found_is_merged_in_the_account_where_he_is_r6() -> None:
    found = Found(Candidate(RecordId(9), AccountId(7), True), "ada@contoso.example", True)

    outcome = outcome_of_match(seek(), found, None, WANTED, TYPES)

    assert (outcome.kind, outcome.record_id, outcome.account_id) == ("merge", 9, 7)


def test_several_matches_are_a_conflict_that_takes_nobody_out_r9() -> None:
    found = Ambiguous((RecordId(1), RecordId(2)), "2 active records")

    outcome = outcome_of_match(seek(500), found, a_link(), WANTED, TYPES)

    assert (outcome.kind, outcome.leaving) == ("conflict", None)


def test_a_field_counts_as_changed_against_what_was_written_last_r12() -> None:
    link = a_link(written=WRITTEN)
    changed = outcome_of(Compare(RULE, RecordId(500), "changed in Entra"), link, WANTED, TYPES)
    same = outcome_of(
        Compare(RULE, RecordId(500), "changed in Entra"),
        a_link(written={**WRITTEN, "JobTitle": "Clerk"}),
        WANTED,
        TYPES,
    )

    assert (changed.kind, changed.changes) == ("update", (FieldChange("job title", "", "Clerk"),))
    assert same.kind == "unchanged"


def test_a_rule_change_alone_writes_the_place_alone_r12() -> None:
    step = Compare(RULE, RecordId(500), "place", LocationId(3), location_only=True)

    outcome = outcome_of(step, a_link(written=WRITTEN), WANTED, TYPES)

    assert outcome.changes == (FieldChange("location", "", "3"),)


def test_leaving_returning_and_staying_have_their_words_r17_r19() -> None:
    link = a_link(written=WRITTEN)
    out = outcome_of(TakeOut(RecordId(500), "left"), link, None, TYPES)
    back = Compare(RULE, RecordId(500), "back", returning=True)
    left = a_link(written=WRITTEN, state=LinkState.INACTIVE)

    assert (out.kind, out.leaving) == ("deactivate", 500)
    assert outcome_of(back, left, WANTED, TYPES).kind == "reactivate"
    assert outcome_of(Remember(LinkState.KEPT, "keep", "x"), link, None, TYPES).kind == "keep"
    assert outcome_of(Remember(LinkState.SKIPPED, "skip", "x"), None, None, TYPES).kind == "skip"
    assert outcome_of(Remember(LinkState.ACTIVE, "note", "x"), link, None, TYPES).kind == (
        "unchanged"
    )
    assert outcome_of(Nothing("is up to date"), link, WANTED, TYPES).kind == "unchanged"


def test_the_sentence_of_the_numbers() -> None:
    tally = Tally()
    for kind, times in (("create", 12), ("deactivate", 41), ("conflict", 2), ("unchanged", 9)):
        for _ in range(times):
            tally.add(Outcome(kind, ""))
    for _ in range(3):
        tally.add(Outcome("move", "", from_account_id=AccountId(7), account_id=AccountId(8)))
    moves = tally.moved({AccountId(7): "Acme", AccountId(8): "Beta"})

    assert moves == (Move(AccountId(7), AccountId(8), 3, "Acme", "Beta"),)
    assert in_a_sentence(tally.counted(), moves) == (
        "12 created, 3 move from Acme to Beta, 41 deactivated, 2 conflicts"
    )
    assert in_a_sentence({"unchanged": 5}, ()) == "Nothing changes"
