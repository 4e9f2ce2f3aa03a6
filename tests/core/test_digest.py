"""Links in a few bytes answer what a full sync asks of them (R14, R23)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.core.decision import first_step
from shared.core.digest import LinkDigests, id_bytes
from shared.core.fields import WantedContact
from shared.core.model import (
    AccountId,
    Link,
    LinkState,
    LocationId,
    RecordId,
    RuleId,
    UserId,
)
from shared.core.rules import Placement
from tests.builders import CONNECTION, a_link, a_rule, a_user_id

RULES = [a_rule("staff"), a_rule("sales")]
REASONS = ("has no address", "is a guest")


def _number_or_none(low: int = 0) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(low, 2**31 - 1)


_LINKS = st.builds(
    Link,
    connection_id=st.just(CONNECTION),
    user_id=st.uuids().map(lambda one: UserId(str(one))),
    state=st.sampled_from(LinkState),
    record_id=_number_or_none(1).map(lambda one: None if one is None else RecordId(one)),
    account_id=_number_or_none().map(lambda one: None if one is None else AccountId(one)),
    rule_id=st.sampled_from([None, *(rule.id for rule in RULES)]),
    rule_account_id=_number_or_none().map(lambda one: None if one is None else AccountId(one)),
    location_id=_number_or_none().map(lambda one: None if one is None else LocationId(one)),
    fingerprint=st.text(max_size=24),
    reason=st.sampled_from(REASONS),
)


def digests(*links: Link) -> LinkDigests:
    held = LinkDigests(CONNECTION)
    for link in links:
        held.add(link)
    return held


@given(_LINKS)
def test_what_a_decision_looks_at_comes_out_as_it_went_in(link: Link) -> None:
    taken = digests(link).take(
        link.user_id, rules=RULES, fingerprint=link.fingerprint, reasons=REASONS
    )

    assert taken == link


def test_texts_that_differ_come_out_as_unlike_everything() -> None:
    link = a_link(fingerprint="former", reason="another", rule_id=RuleId("rule-removed"))

    taken = digests(link).take(link.user_id, rules=RULES, fingerprint="now", reasons=REASONS)

    assert taken == replace(link, fingerprint="?", reason="?", rule_id=RuleId("?"))


def test_that_a_move_is_unfinished_is_kept_r17() -> None:
    link = a_link(old_record_id=RecordId(77))

    taken = digests(link).take(link.user_id, rules=RULES, fingerprint="", reasons=())

    assert taken is not None
    assert taken.old_record_id is not None


def test_a_link_is_taken_once_and_the_others_are_left_r23() -> None:
    held = digests(a_link("ada"), a_link("ben"))
    assert len(held) == 2

    assert held.take(a_user_id("ada"), rules=RULES, fingerprint="", reasons=()) is not None
    assert held.take(a_user_id("ada"), rules=RULES, fingerprint="", reasons=()) is None

    assert [link.user_id for link in held.left(RULES)] == [a_user_id("ben")]
    assert next(held.left(RULES)).rule_id == RULES[0].id


def test_a_stranger_has_no_link() -> None:
    assert digests().take(a_user_id("ada"), rules=RULES, fingerprint="", reasons=()) is None


@given(st.lists(_LINKS, min_size=2, max_size=2), st.booleans())
def test_links_that_are_alike_get_the_same_first_step_r14(pair: list[Link], same: bool) -> None:
    rule = RULES[0]
    wanted = WantedContact("Ada", "L", "ada@example.com", "", "", "")
    first, second = pair
    if same:  # alike in all but the user and the record
        number = None if first.record_id is None else RecordId(first.record_id + 1)
        second = replace(first, user_id=second.user_id, record_id=number)
    held = digests(first, second)
    alike = [held.alike(id_bytes(one.user_id), wanted.fingerprint) for one in (first, second)]
    assert not same or alike[0] == alike[1]
    if alike[0] != alike[1]:
        return

    steps = []
    for one in (first, second):
        link = held.take(one.user_id, rules=RULES, fingerprint=wanted.fingerprint, reasons=REASONS)
        placement = Placement(rule, "", True, frozenset(), ())
        steps.append(first_step(placement, wanted, link, on_leave="x", match_scope="account"))
    assert type(steps[0]) is type(steps[1])


def test_a_user_is_taken_once_whether_he_has_a_link_or_not_r2() -> None:
    held = digests(a_link("ada"))
    ada, ben = id_bytes(a_user_id("ada")), id_bytes(a_user_id("ben"))
    assert not held.is_taken(ada)
    assert not held.is_taken(ben)

    held.drop(ada)
    held.take(a_user_id("ben"), rules=RULES, fingerprint="", reasons=())

    assert held.is_taken(ada)
    assert held.is_taken(ben)
    assert list(held.left(RULES)) == []
