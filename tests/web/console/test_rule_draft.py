"""The draft of a rule set, as a value (R2, R5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.web.api.mapping_rules import RuleShown
from shared.web.console import rule_draft
from shared.web.console.rule_draft import Draft, DraftRule
from tests.fakes import START
from tests.web.world import SALES, SUPPORT

ORDERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=8)


def a_rule(id_: str = "r1", order: int = 10, **members: Any) -> RuleShown:
    given: dict[str, Any] = {
        "id": id_,
        "connection_id": "contoso",
        "group_id": SALES,
        "group_name": "Sales",
        "group_created_at": START,
        "group_state": "ok",
        "order": order,
        "record_type": "contact",
        "account_id": 7,
        "location_id": None,
        "include_nested": True,
        "include_guests": False,
        "blocked_users": "leave",
        "enabled": True,
        "employee": None,
        "created_at": START,
    }
    return RuleShown(**{**given, **members})


def a_draft(orders: list[tuple[int, int]]) -> Draft:
    """Rules with these Orders, whose groups are so many days old."""
    saved = [
        a_rule(f"r{place}", order, group_created_at=START - timedelta(days=age))
        for place, (order, age) in enumerate(orders)
    ]
    return rule_draft.sorted_draft(rule_draft.begun(saved))


def ids(draft: Draft) -> list[str | None]:
    return [rule.id for rule in draft.items]


def test_a_draft_comes_back_from_its_form_as_it_was() -> None:
    saved = [a_rule(), a_rule("r2", 20, record_type="employee", employee={"departmentId": 3})]
    draft = rule_draft.begun(saved)

    assert rule_draft.read(rule_draft.write(draft)) == draft
    assert [row.state for row in rule_draft.rows(draft, saved)] == ["same", "same"]


def test_what_entra_tells_of_a_group_is_no_change_of_the_rules() -> None:
    seen_later = a_rule(group_state="gone", group_name="Sales (old)")

    assert rule_draft.version([a_rule()]) == rule_draft.version([seen_later])


@pytest.mark.parametrize(
    "members", [{"order": 11}, {"account_id": 8}, {"enabled": False}, {"group_id": SUPPORT}]
)
def test_every_member_that_a_person_decides_is_a_change(members: dict[str, Any]) -> None:
    after = a_rule(**members)

    assert rule_draft.version([a_rule()]) != rule_draft.version([after])
    [row] = rule_draft.rows(rule_draft.begun([after]), [a_rule()])
    assert row.state == "changed"


def test_a_rule_that_somebody_else_removed_becomes_a_new_one() -> None:
    draft = rule_draft.on_top_of(rule_draft.begun([a_rule(), a_rule("r2", 20)]), [a_rule()])

    assert ids(draft) == ["r1", None]


@given(ORDERS, st.integers(0, 7))
def test_r2_a_rule_that_is_moved_up_is_tried_one_place_earlier(
    orders: list[tuple[int, int]], index: int
) -> None:
    draft = a_draft(orders)
    before = ids(draft)

    moved = rule_draft.moved(draft, index, -1)

    after = list(before)
    if 0 < index < len(before):
        after[index - 1], after[index] = after[index], after[index - 1]
    assert ids(moved) == after
    assert ids(rule_draft.sorted_draft(moved)) == after  # and its Orders say the same


@given(ORDERS)
def test_a_new_rule_comes_behind_all_others(orders: list[tuple[int, int]]) -> None:
    draft = a_draft(orders)
    new = DraftRule(
        group_id=SUPPORT, order=rule_draft.next_order(draft), record_type="contact", account_id=8
    )

    placed = rule_draft.placed(draft, None, new)

    assert placed.items[-1] == new


def test_faults_are_shown_and_never_sent() -> None:
    draft = rule_draft.with_faults(rule_draft.begun([a_rule()]), {0: {"accountId": "is inactive"}})

    assert draft.items[0].faults == {"accountId": "is inactive"}
    assert b"inactive" not in msgspec.json.encode(draft.items[0].wish())
