"""Which rule wins for a user, and what is said about the others (R1–R5)."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from shared.core.model import EntraUser, GroupId, MappingRule, RecordType, RuleId
from shared.core.rules import Membership, Placement, in_order, place
from tests.builders import LONG_AGO, a_group_id, a_rule, a_user

LATER = LONG_AGO + timedelta(days=30)


def inside(*groups: str, unreadable: tuple[str, ...] = ()) -> Membership:
    """Directly a member of these groups."""
    ids = frozenset(map(a_group_id, groups))
    return Membership(ids, ids, frozenset(map(a_group_id, unreadable)))


def nested_in(*groups: str) -> Membership:
    return Membership(transitive=frozenset(map(a_group_id, groups)))


def sentence_about(placement: Placement, rule: MappingRule) -> str:
    return next(each.sentence for each in placement.verdicts if each.rule == rule)


# --- R1: scope -------------------------------------------------------------------------------


def test_a_member_of_a_mapped_group_is_in_scope_r1() -> None:
    placement = place(a_user(), inside("staff"), [a_rule("staff")])

    assert placement.rule == a_rule("staff")
    assert placement.mapped
    assert placement.reason == "member of staff (Order 1)"


def test_a_member_of_no_mapped_group_is_out_of_scope_and_told_so_r1() -> None:
    placement = place(a_user(), inside("guests"), [a_rule("staff")])

    assert placement.rule is None
    assert not placement.mapped
    assert placement.reason == "is in no mapped group any more"


def test_nested_membership_counts_r1() -> None:
    assert place(a_user(), nested_in("staff"), [a_rule("staff")]).rule is not None


def test_nested_membership_does_not_count_for_a_rule_that_says_so_r1() -> None:
    rule = a_rule("staff", include_nested=False)

    placement = place(a_user(), nested_in("staff"), [rule])

    assert placement.rule is None
    assert "nested" in sentence_about(placement, rule)


def test_direct_membership_counts_for_a_rule_without_nesting_r1() -> None:
    rule = a_rule("staff", include_nested=False)

    assert place(a_user(), inside("staff"), [rule]).rule == rule


def test_a_rule_that_is_switched_off_takes_nobody_r1() -> None:
    rule = a_rule("staff", enabled=False)

    placement = place(a_user(), inside("staff"), [rule])

    assert placement.rule is None
    assert sentence_about(placement, rule) == "the rule is switched off"


def test_without_any_rule_nobody_is_in_scope_r1() -> None:
    assert place(a_user(), inside("staff"), []).rule is None


# --- R2: order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        pytest.param(
            a_rule("a", order=2, group_created_at=LONG_AGO),
            a_rule("b", order=1, group_created_at=LATER),
            id="the lowest order",
        ),
        pytest.param(
            a_rule("a", group_created_at=LATER, created_at=LONG_AGO),
            a_rule("b", group_created_at=LONG_AGO, created_at=LATER),
            id="at equal order the oldest group",
        ),
        pytest.param(
            a_rule("a", created_at=LATER),
            a_rule("b", created_at=LONG_AGO),
            id="at equal group date the oldest rule",
        ),
        pytest.param(
            a_rule("a", group_created_at=None, created_at=LONG_AGO),
            a_rule("b", group_created_at=LATER, created_at=LATER),
            id="a group with a date before one without",
        ),
    ],
)
def test_the_rule_that_comes_first_wins_r2(loser: MappingRule, winner: MappingRule) -> None:
    for rules in ([loser, winner], [winner, loser]):
        placement = place(a_user(), inside("a", "b"), rules)

        assert placement.rule == winner
        assert f"Order {winner.order}" in sentence_about(placement, loser)


def test_the_order_of_rules_never_depends_on_how_they_were_read_r2() -> None:
    rules = [a_rule(name, id=RuleId(name)) for name in "abcdef"]
    shuffled = rules.copy()
    random.Random(3).shuffle(shuffled)

    assert in_order(shuffled) == in_order(rules)


def test_two_rules_on_one_group_are_decided_by_order_r2() -> None:
    one = a_rule("staff", id=RuleId("one"), order=2)
    two = a_rule("staff", id=RuleId("two"), order=1)

    assert place(a_user(), inside("staff"), [one, two]).rule == two


# --- R4: guests and blocked users ------------------------------------------------------------

_GUEST, _BLOCKED = a_user(guest=True), a_user(enabled=False)


@pytest.mark.parametrize(
    ("user", "word"),
    [pytest.param(_GUEST, "guest", id="a guest"), pytest.param(_BLOCKED, "blocked", id="blocked")],
)
def test_a_rule_leaves_out_whom_it_does_not_take_with_the_reason_r4(
    user: EntraUser, word: str
) -> None:
    placement = place(user, inside("staff"), [a_rule("staff")])

    assert placement.rule is None
    assert placement.mapped, "he is in a mapped group, so the activity tells why he is left out"
    assert word in placement.reason
    assert placement.reason[0].isupper()


@pytest.mark.parametrize(
    ("user", "rule"),
    [
        pytest.param(_GUEST, a_rule(include_guests=True), id="a guest"),
        pytest.param(_BLOCKED, a_rule(blocked_users="sync"), id="blocked"),
    ],
)
def test_a_rule_may_take_guests_and_blocked_users_r4(user: EntraUser, rule: MappingRule) -> None:
    assert place(user, inside("staff"), [rule]).rule == rule


def test_a_blocked_guest_needs_a_rule_that_takes_both_r4() -> None:
    user = a_user(guest=True, enabled=False)

    assert place(user, inside("staff"), [a_rule(include_guests=True)]).rule is None
    both = a_rule(include_guests=True, blocked_users="sync")
    assert place(user, inside("staff"), [both]).rule == both


def test_whom_the_first_rule_refuses_the_next_rule_in_order_may_take_r4() -> None:
    strict, open_ = a_rule("staff", order=1), a_rule("all", order=2, include_guests=True)

    placement = place(_GUEST, inside("staff", "all"), [strict, open_])

    assert placement.rule == open_


# --- R20: unreadable groups ------------------------------------------------------------------


def test_an_unreadable_group_is_neither_membership_nor_its_absence_r20() -> None:
    rule = a_rule("staff")

    placement = place(a_user(), inside(unreadable=("staff",)), [rule])

    assert placement.rule is None
    assert placement.unreadable == {rule.id}
    assert "cannot be read" in sentence_about(placement, rule)


def test_a_readable_rule_still_wins_beside_an_unreadable_one_r20() -> None:
    gone, other = a_rule("staff", order=1), a_rule("all", order=2)

    placement = place(a_user(), inside("all", unreadable=("staff",)), [gone, other])

    assert placement.rule == other
    assert placement.unreadable == {gone.id}


def test_a_rule_that_is_switched_off_is_not_called_unreadable_r20() -> None:
    rule = a_rule("staff", enabled=False)

    assert place(a_user(), inside(unreadable=("staff",)), [rule]).unreadable == frozenset()


def test_every_rule_has_its_verdict_and_one_of_them_won_r1() -> None:
    rules = [
        a_rule("staff", order=1, record_type=RecordType.CONTACT),
        a_rule("all", order=2),
        a_rule("sales", order=3),
    ]

    placement = place(a_user(), inside("staff", "all"), rules)

    assert [verdict.rule for verdict in placement.verdicts] == rules
    assert [verdict.won for verdict in placement.verdicts] == [True, False, False]
    assert all(verdict.sentence for verdict in placement.verdicts)


def test_a_rule_without_a_group_name_is_named_by_its_group_id_r1() -> None:
    rule = a_rule("staff", group_name="", group_id=GroupId("g-1"))
    membership = Membership(frozenset({GroupId("g-1")}), frozenset({GroupId("g-1")}))

    assert place(a_user(), membership, [rule]).reason == "member of group g-1 (Order 1)"
