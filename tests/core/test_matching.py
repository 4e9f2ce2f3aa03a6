"""Which record is this user? (R6, R7, R9)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.matching import (
    Ambiguous,
    Candidate,
    Found,
    NotFound,
    addresses,
    key,
    match,
    primary_address,
    usable,
)
from shared.core.model import AccountId, RecordId
from tests.builders import a_user

MINE, OTHER = AccountId(7), AccountId(8)


def a_candidate(record: int, account: AccountId = MINE, *, active: bool = True) -> Candidate:
    return Candidate(RecordId(record), account, active)


def matched(
    keys: Sequence[str],
    candidates: Mapping[str, Sequence[Candidate]],
    *,
    own_account_only: bool = False,
    taken: frozenset[RecordId] = frozenset(),
    account_id: AccountId | None = MINE,
) -> Found | NotFound | Ambiguous:
    return match(
        keys, candidates, account_id=account_id, own_account_only=own_account_only, taken=taken
    )


# --- R7: the primary address -----------------------------------------------------------------


def test_the_primary_address_is_mail_r7() -> None:
    user = a_user(mail="ada@mail.example", upn="ada@upn.example")

    assert primary_address(user, "mail") == "ada@mail.example"


def test_without_mail_the_upn_is_the_primary_address_r7() -> None:
    assert primary_address(a_user(mail="", upn="ada@upn.example"), "mail") == "ada@upn.example"


def test_a_connection_can_put_the_upn_first_r7() -> None:
    user = a_user(mail="ada@mail.example", upn="ada@upn.example")

    assert primary_address(user, "upn") == "ada@upn.example"


@pytest.mark.parametrize("source", ["mail", "upn"])
def test_a_guests_ext_upn_is_never_an_address_r7(source: str) -> None:
    guest = a_user(mail="", upn="ada_home.example#EXT#@contoso.example", guest=True)

    assert primary_address(guest, source) == ""
    assert addresses(guest, source) == []


def test_with_an_smtp_alias_only_he_is_known_by_that_and_the_mailboxs_primary_goes_first_r7() -> (
    None
):
    user = a_user(
        mail="", upn="no-address", proxy_addresses=("smtp:a@x.example", "SMTP:b@x.example")
    )

    assert primary_address(user, "mail") == "b@x.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@contoso.example",
        "ada@",
        "a@b@c.example",
        "ada\x00@contoso.example",
        "ada_home.example#EXT#@contoso.example",
        "ada_home.example#ext#@contoso.example",
        "x" * 250 + "@c.example",
    ],
    ids=[
        "empty",
        "no at sign",
        "no name",
        "no domain",
        "two at signs",
        "a control character",
        "a guest UPN",
        "a guest UPN in lower case",
        "too long",
    ],
)
def test_what_cannot_be_an_address_is_not_used_r4(text: str) -> None:
    assert not usable(text)


def test_blanks_in_an_address_do_not_matter_r6() -> None:
    assert key(" Ada @Contoso.example\t") == key("ada@contoso.example")
    assert primary_address(a_user(mail=" ada@contoso.example "), "mail") == "ada@contoso.example"


# --- R6: order of addresses and places -------------------------------------------------------


def test_addresses_are_sought_in_the_order_primary_mail_upn_aliases_r6() -> None:
    user = a_user(
        mail="Ada@Mail.example",
        upn="ada@upn.example",
        proxy_addresses=(
            "smtp:old@x.example",
            "SMTP:ada@mail.example",
            "SMTP:box@x.example",
            "X500:/o=none",
            "sip:ada@x.example",
        ),
    )

    assert addresses(user, "mail") == [
        "ada@mail.example",
        "ada@upn.example",
        "box@x.example",
        "old@x.example",
    ]
    assert addresses(user, "upn")[:2] == ["ada@upn.example", "ada@mail.example"]


def test_the_first_address_with_any_record_decides_r6() -> None:
    found = matched(["a@x", "b@x"], {"a@x": [a_candidate(1, OTHER)], "b@x": [a_candidate(2, MINE)]})

    assert found == Found(a_candidate(1, OTHER), "a@x", elsewhere=True)


def test_the_rules_account_goes_before_all_others_r6() -> None:
    found = matched(["a@x"], {"a@x": [a_candidate(1, OTHER), a_candidate(2, MINE)]})

    assert found == Found(a_candidate(2, MINE), "a@x", elsewhere=False)


def test_an_inactive_record_in_the_rules_account_goes_before_an_active_one_elsewhere_r6() -> None:
    mine = a_candidate(2, MINE, active=False)

    assert matched(["a@x"], {"a@x": [a_candidate(1, OTHER), mine]}) == Found(mine, "a@x", False)


def test_a_connection_can_narrow_matching_to_the_rules_account_r6() -> None:
    found = matched(["a@x"], {"a@x": [a_candidate(1, OTHER)]}, own_account_only=True)

    assert found == NotFound()


def test_without_any_record_a_new_one_is_due_r6() -> None:
    assert matched(["a@x"], {"b@x": [a_candidate(1)]}) == NotFound()
    assert matched([], {}) == NotFound()


def test_where_the_record_type_knows_no_accounts_all_records_are_one_place_r6() -> None:
    employee = Candidate(RecordId(1), None, True)

    assert matched(["a@x"], {"a@x": [employee]}, account_id=None) == Found(employee, "a@x", False)


# --- R9: one, none or several ----------------------------------------------------------------


def test_exactly_one_active_record_is_taken_beside_inactive_ones_r9() -> None:
    active = a_candidate(1)
    others = [a_candidate(2, active=False), a_candidate(3, active=False)]

    assert matched(["a@x"], {"a@x": [*others, active]}) == Found(active, "a@x", False)


def test_with_no_active_record_exactly_one_inactive_is_taken_r9() -> None:
    inactive = a_candidate(1, active=False)

    assert matched(["a@x"], {"a@x": [inactive]}) == Found(inactive, "a@x", False)


@pytest.mark.parametrize("active", [True, False], ids=["active", "inactive"])
def test_several_records_wait_for_a_person_r9(active: bool) -> None:
    both = [a_candidate(1, active=active), a_candidate(2, active=active)]

    conflict = matched(["a@x"], {"a@x": both})

    assert isinstance(conflict, Ambiguous)
    assert set(conflict.record_ids) == {1, 2}
    assert conflict.reason.startswith(f"2 {'active' if active else 'inactive'} records")


def test_a_record_of_another_users_link_waits_for_a_person_r9() -> None:
    conflict = matched(["a@x"], {"a@x": [a_candidate(1)]}, taken=frozenset({RecordId(1)}))

    assert conflict == Ambiguous(
        (RecordId(1),), "the record with this e-mail address belongs to another user"
    )


def test_a_taken_record_is_not_passed_over_for_a_weaker_address_r9() -> None:
    conflict = matched(
        ["a@x", "b@x"],
        {"a@x": [a_candidate(1)], "b@x": [a_candidate(2)]},
        taken=frozenset({RecordId(1)}),
    )

    assert isinstance(conflict, Ambiguous)


_CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 6).map(RecordId),
        st.sampled_from([MINE, OTHER, AccountId(9)]),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda one: one.record_id,
)


def _normal(result: Found | NotFound | Ambiguous) -> object:
    if isinstance(result, Ambiguous):
        return frozenset(result.record_ids), result.reason
    return result


@given(data=st.data(), own=st.booleans(), taken=st.frozensets(st.integers(1, 6).map(RecordId)))
def test_a_match_never_depends_on_the_order_of_candidates_r9(
    data: st.DataObject, own: bool, taken: frozenset[RecordId]
) -> None:
    candidates = {name: data.draw(_CANDIDATES) for name in ("a@x", "b@x")}
    turned = {
        name: data.draw(st.permutations(each))
        for name, each in data.draw(st.permutations(list(candidates.items())))
    }

    one = matched(["a@x", "b@x"], candidates, own_account_only=own, taken=taken)
    two = matched(["a@x", "b@x"], turned, own_account_only=own, taken=taken)

    assert _normal(one) == _normal(two)


@given(found=_CANDIDATES, taken=st.frozensets(st.integers(1, 6).map(RecordId)))
def test_a_record_of_another_user_is_never_taken_r9(
    found: list[Candidate], taken: frozenset[RecordId]
) -> None:
    result = matched(["a@x"], {"a@x": found}, taken=taken)

    assert not (isinstance(result, Found) and result.candidate.record_id in taken)
