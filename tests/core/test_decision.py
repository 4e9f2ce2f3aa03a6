"""The one thing to do for a user (R4, R8, R12, R16, R17, R19, R20)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.decision import (
    DELETED,
    NO_ADDRESS,
    NO_NAME,
    Compare,
    Forget,
    Nothing,
    Relabel,
    Remember,
    Seek,
    Step,
    TakeOut,
    Wait,
    first_step,
)
from shared.core.fields import WantedContact
from shared.core.model import AccountId, Link, LinkState, LocationId, MappingRule, RecordId, RuleId
from shared.core.rules import Placement
from tests.builders import a_link, a_rule

ADA = WantedContact("Ada", "Lind", "ada@contoso.example", "", "", "Controller")


def by(rule: MappingRule) -> Placement:
    """The rule that won."""
    return Placement(rule, "member of staff", True, frozenset(), ())


def by_none(*, mapped: bool = False, unreadable: str = "", reason: str = "left") -> Placement:
    rules = frozenset({RuleId(unreadable)}) if unreadable else frozenset()
    return Placement(None, reason, mapped, rules, ())


def decided(
    placement: Placement | None,
    link: Link | None = None,
    wanted: WantedContact | None = ADA,
    **options: Any,
) -> Step:
    given = {"on_leave": "deactivate", "match_scope": "all", **options}
    return first_step(placement, wanted, link, **given)


def up_to_date(**fields: Any) -> Link:
    """A link of the rule `staff` that was last written with Ada's present values."""
    return a_link(**{"fingerprint": ADA.fingerprint, **fields})


# --- coming ----------------------------------------------------------------------------------


def test_who_has_no_link_is_sought_by_address_r6() -> None:
    step = decided(by(a_rule()))

    assert step == Seek(a_rule(), AccountId(7), own_account_only=False, reason="member of staff")


def test_a_connection_narrows_the_search_to_the_rules_account_r6() -> None:
    step = decided(by(a_rule()), match_scope="account")

    assert isinstance(step, Seek)
    assert step.own_account_only


@pytest.mark.parametrize(
    "state", [LinkState.PENDING, LinkState.CONFLICT, LinkState.FAILED, LinkState.SKIPPED]
)
def test_a_link_without_a_record_is_sought_again_r8(state: LinkState) -> None:
    link = a_link(state=state, record_id=None, account_id=None, rule_account_id=None)

    assert isinstance(decided(by(a_rule()), link), Seek)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        pytest.param(replace(ADA, email=""), NO_ADDRESS, id="no address"),
        pytest.param(replace(ADA, first_name="", last_name=""), NO_NAME, id="no name"),
    ],
)
def test_who_cannot_be_a_contact_is_skipped_and_told_once_r4(
    wanted: WantedContact, reason: str
) -> None:
    first = decided(by(a_rule()), wanted=wanted)
    assert first == Remember(LinkState.SKIPPED, "skip", reason)

    link = a_link(state=LinkState.SKIPPED, record_id=None, reason=reason)

    assert decided(by(a_rule()), link, wanted) == Nothing(reason)


def test_a_linked_user_who_lost_every_address_stays_as_he_is_with_a_note_r4() -> None:
    nobody = replace(ADA, email="")

    step = decided(by(a_rule()), up_to_date(), nobody)

    reason = f"{NO_ADDRESS}; the record stays as it is"
    assert step == Remember(LinkState.ACTIVE, "note", reason, keep_fingerprint=True)
    assert decided(by(a_rule()), up_to_date(reason=reason), nobody) == Nothing(NO_ADDRESS)


def test_who_no_rule_takes_is_skipped_and_told_once_r4() -> None:
    refused = by_none(mapped=True, reason="Is a guest")
    assert decided(refused) == Remember(LinkState.SKIPPED, "skip", "Is a guest")

    link = a_link(state=LinkState.SKIPPED, record_id=None, reason="Is a guest")

    assert decided(refused, link) == Nothing("Is a guest")


def test_who_was_never_ours_and_is_in_no_mapped_group_is_nothing_r10() -> None:
    assert decided(by_none()) == Nothing("left")
    assert decided(None, wanted=None) == Nothing(DELETED)


def test_a_memory_of_somebody_who_never_had_a_record_ends_with_his_membership_r4() -> None:
    link = a_link(state=LinkState.SKIPPED, record_id=None)

    assert decided(by_none(), link) == Forget()
    assert decided(None, link, None) == Forget()


# --- staying ---------------------------------------------------------------------------------


def test_who_is_as_last_written_costs_nothing_r14() -> None:
    assert decided(by(a_rule()), up_to_date()) == Nothing("is up to date")


def test_who_changed_in_entra_is_compared_in_full_r12() -> None:
    step = decided(by(a_rule()), a_link(fingerprint="former"))

    assert step == Compare(a_rule(), RecordId(500), "changed in Entra")


def test_another_rule_with_the_same_result_is_only_remembered_r12() -> None:
    other = a_rule("sales")

    assert decided(by(other), up_to_date()) == Relabel(other)


def test_a_changed_location_of_the_rule_writes_only_the_location_r12_r17() -> None:
    rule = a_rule(location_id=LocationId(71))

    step = decided(by(rule), up_to_date(location_id=LocationId(70)))

    assert isinstance(step, Compare)
    assert (step.set_location, step.location_only) == (71, True)


def test_a_record_matched_in_another_account_keeps_its_location_r6() -> None:
    rule = a_rule(location_id=LocationId(71))

    assert decided(by(rule), up_to_date(account_id=AccountId(8))) == Nothing("is up to date")


def test_a_rule_that_no_longer_names_a_location_changes_nothing_r3() -> None:
    assert decided(by(a_rule()), up_to_date(location_id=LocationId(70))) == Nothing("is up to date")


def test_a_move_that_was_not_finished_is_finished_r17() -> None:
    step = decided(by(a_rule()), up_to_date(old_record_id=RecordId(499)))

    assert isinstance(step, Compare)


# --- moving ----------------------------------------------------------------------------------


def test_another_account_is_a_move_within_the_new_account_only_r17() -> None:
    rule = a_rule(account_id=AccountId(8))

    step = decided(by(rule), up_to_date())

    assert isinstance(step, Seek)
    assert (step.account_id, step.own_account_only, step.leaving) == (8, True, 500)


def test_a_move_looks_at_the_account_the_rule_named_not_at_where_the_record_is_r17() -> None:
    elsewhere = up_to_date(account_id=AccountId(9))

    assert decided(by(a_rule()), elsewhere) == Nothing("is up to date")


def test_who_comes_back_into_another_account_leaves_no_active_record_behind_r17() -> None:
    link = a_link(state=LinkState.INACTIVE)

    step = decided(by(a_rule(account_id=AccountId(8))), link)

    assert isinstance(step, Seek)
    assert step.leaving is None


# --- leaving and returning -------------------------------------------------------------------


def test_who_was_deleted_in_entra_is_deactivated_r16() -> None:
    assert decided(None, up_to_date(), None) == TakeOut(RecordId(500), DELETED)


def test_who_left_every_mapped_group_is_deactivated_r17() -> None:
    assert decided(by_none(), up_to_date()) == TakeOut(RecordId(500), "left")


def test_who_is_in_a_mapped_group_that_refuses_him_now_is_deactivated_r17() -> None:
    step = decided(by_none(mapped=True, reason="Sign-in is blocked"), up_to_date())

    assert step == TakeOut(RecordId(500), "Sign-in is blocked")


@pytest.mark.parametrize("placement", [by_none(), None], ids=["left", "deleted"])
def test_a_connection_can_keep_the_records_of_those_who_leave_r17(
    placement: Placement | None,
) -> None:
    step = decided(placement, up_to_date(), on_leave="keep")

    assert isinstance(step, Remember)
    assert (step.state, step.kind) == (LinkState.KEPT, "keep")


@pytest.mark.parametrize("state", [LinkState.INACTIVE, LinkState.KEPT])
def test_who_left_already_is_not_taken_out_again_r14(state: LinkState) -> None:
    assert isinstance(decided(by_none(), a_link(state=state)), Nothing)


def test_who_was_kept_is_not_deactivated_by_a_later_change_of_the_option_r17() -> None:
    kept = a_link(state=LinkState.KEPT)

    assert isinstance(decided(by_none(), kept, on_leave="deactivate"), Nothing)


@pytest.mark.parametrize("state", [LinkState.INACTIVE, LinkState.KEPT])
def test_who_returns_gets_the_same_record_back_r19(state: LinkState) -> None:
    step = decided(by(a_rule()), up_to_date(state=state))

    assert isinstance(step, Compare)
    assert (step.record_id, step.returning, step.location_only) == (500, True, False)


# --- not knowing -----------------------------------------------------------------------------


def test_whose_rules_group_cannot_be_read_waits_r20() -> None:
    assert isinstance(decided(by_none(unreadable="rule-staff"), up_to_date()), Wait)


def test_he_does_not_move_to_a_lower_rule_either_r20() -> None:
    lower = a_rule("all", account_id=AccountId(8))
    placement = Placement(lower, "member of all", True, frozenset({RuleId("rule-staff")}), ())

    assert isinstance(decided(placement, up_to_date()), Wait)


def test_somebody_elses_unreadable_group_stops_nobody_r20() -> None:
    assert isinstance(decided(by_none(unreadable="rule-other"), up_to_date()), TakeOut)


def test_who_was_deleted_in_entra_leaves_whatever_groups_can_be_read_r16() -> None:
    assert isinstance(decided(None, up_to_date(), None), TakeOut)
