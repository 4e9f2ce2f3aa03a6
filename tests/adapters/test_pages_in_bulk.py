"""Pages read in bulk come to the same as rows read one by one (R1, R12, R23)."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.graph_shapes import users_of, users_page
from shared.adapters.store_digests import add_page
from shared.adapters.store_people import link_entity, link_of
from shared.core.digest import LinkDigests
from shared.core.model import HoldMark, Link, LinkState, RecordId, RecordType, RuleId, UserId
from tests.builders import CONNECTION, a_rule

_TEXT = st.none() | st.text(max_size=8) | st.sampled_from(["a\tb", "x\x85", "\x7f", " ", "\xa0é"])
_ROWS = st.fixed_dictionaries(
    {"id": st.uuids().map(str) | st.sampled_from(["", "ABC-1"])},
    optional={
        "displayName": _TEXT,
        "mail": _TEXT,
        "userPrincipalName": _TEXT | st.just("a#ext#@b"),
        "jobTitle": _TEXT,
        "mobilePhone": _TEXT,
        "businessPhones": st.none() | st.lists(st.text(max_size=5), max_size=2),
        "proxyAddresses": st.none() | st.lists(st.text(max_size=5), max_size=2),
        "accountEnabled": st.sampled_from([True, False, None]),
        "userType": st.sampled_from(["Guest", "Member", "", None]),
        "unknown": st.integers(),
    },
)


@given(st.lists(_ROWS, max_size=4), st.booleans())
def test_a_page_of_users_is_read_like_its_rows(rows: list[dict[str, object]], ascii_: bool) -> None:
    body = {"value": rows, "@odata.nextLink": "https://graph.example/next"}
    content = json.dumps(body, ensure_ascii=ascii_).encode()

    assert users_page(content) == (users_of(rows), "https://graph.example/next")


def test_a_page_of_an_odd_shape_is_left_to_the_patient_reading() -> None:
    for value in ([{"id": "a", "jobTitle": 5}], [None], [{"id": "a", "mail": "\ud800"}], "x"):
        assert users_page(json.dumps({"value": value}).encode()) is None


_NUMBERS = st.none() | st.integers(0, 2**31 - 1)
_LINKS = st.builds(
    Link,
    connection_id=st.just(CONNECTION),
    user_id=st.uuids().map(lambda one: UserId(str(one))),
    state=st.sampled_from(LinkState),
    record_type=st.sampled_from(RecordType),
    record_id=_NUMBERS,
    account_id=_NUMBERS,
    rule_id=st.sampled_from([None, RuleId("rule-staff")]),
    rule_account_id=_NUMBERS,
    location_id=_NUMBERS,
    fingerprint=st.sampled_from(["", "unfinished", "0123456789abcdef01234567"]),
    old_record_id=st.none() | st.just(RecordId(7)),
    task=st.sampled_from(["", "create:1", "change:2", "deactivate:3"]),
    reason=st.text(max_size=8),
    hold=st.sampled_from(HoldMark),
    in_conflict=st.booleans(),
    refused=st.booleans(),
)


@given(_LINKS)
def test_a_row_of_links_becomes_the_digest_of_its_link_r23(link: Link) -> None:
    entity = link_entity(link)
    by_row, by_link = LinkDigests(CONNECTION), LinkDigests(CONNECTION)

    assert add_page(by_row, json.dumps({"value": [entity]}).encode())
    by_link.add(link_of(entity))

    rules = [a_rule("staff")]
    of = [
        held.take(link.user_id, rules=rules, fingerprint=link.fingerprint, reasons=(link.reason,))
        for held in (by_row, by_link)
    ]
    assert of[0] == of[1] is not None


def test_a_row_of_an_odd_shape_is_left_to_the_patient_reading() -> None:
    digests = LinkDigests(CONNECTION)

    assert not add_page(digests, b'{"value":[{"RowKey":"a","state":"active","recordId":"7"}]}')
    assert len(digests) == 0
