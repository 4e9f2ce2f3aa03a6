"""Graph's JSON in our words, odd shapes included (graph.md section 2)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.adapters.graph_shapes import delta_items, group_of, user_of, users_of
from shared.core.model import EntraUser, UserId
from shared.ports import MemberChange


def a_row(**more: Any) -> dict[str, Any]:
    return {"id": "0A1B2C3D-0000-4000-8000-00000000000A", **more}


def test_absent_and_null_are_the_empty_text() -> None:
    empty = EntraUser(id=UserId("0a1b2c3d-0000-4000-8000-00000000000a"))
    nulls = dict.fromkeys(
        ("displayName", "mail", "userPrincipalName", "businessPhones", "proxyAddresses",
         "accountEnabled", "userType", "jobTitle")
    )  # fmt: skip

    assert user_of(a_row()) == empty
    assert user_of(a_row(**nulls)) == empty
    assert user_of(a_row(businessPhones=[], proxyAddresses=[])) == empty


@pytest.mark.parametrize(
    ("kind", "upn", "guest"),
    [
        ("Guest", "x@contoso.test", True),
        ("guest", "", True),
        ("Member", "eve_fabrikam.test#EXT#@contoso.test", False),
        (None, "eve_fabrikam.test#ext#@contoso.test", True),
        (None, "ada@contoso.test", False),
        ("", "ada@contoso.test", False),
    ],
)
def test_r4_a_guest_is_known_by_type_or_where_there_is_none_by_upn(
    kind: str | None, upn: str, guest: bool
) -> None:
    assert user_of(a_row(userType=kind, userPrincipalName=upn)).guest is guest


@pytest.mark.parametrize(("told", "enabled"), [(True, True), (False, False), (None, True)])
def test_r4_only_a_plain_false_blocks(told: bool | None, enabled: bool) -> None:
    assert user_of(a_row(accountEnabled=told)).enabled is enabled


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ada Łovelace", "Ada Łovelace"),
        ("  Ada  ", "  Ada  "),
        ("Ada\r\nLovelace", "Ada Lovelace"),
        ("A\x00d\x1ba", "Ada"),
        ("A\ud800da", "Ada"),
        ("名前\u200d👩", "名前\u200d👩"),
        (7, "7"),
        (True, ""),
        ({"a": 1}, ""),
        (["x"], ""),
    ],
)
def test_texts_stay_as_given_but_for_what_nothing_can_hold(given: Any, kept: str) -> None:
    assert user_of(a_row(displayName=given)).display_name == kept


def test_rows_without_an_id_are_left_out() -> None:
    assert len(users_of([a_row(), {}, None, "x", {"id": None}])) == 1


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"groupTypes": ["Unified", "DynamicMembership"], "mailEnabled": True}, "microsoft365"),
        ({"securityEnabled": True, "mailEnabled": False}, "security"),
        ({"securityEnabled": True, "mailEnabled": True}, "mail-enabled security"),
        ({"securityEnabled": False, "mailEnabled": True}, "distribution"),
        ({"securityEnabled": None, "groupTypes": None}, "security"),
    ],
)
def test_the_kind_of_a_group(row: dict[str, Any], kind: str) -> None:
    assert group_of(a_row(**row)).kind == kind


def test_members_delta_is_read_with_and_without_types_and_in_both_forms_of_removal() -> None:
    members = [
        {"@odata.type": "#microsoft.graph.user", "id": "A"},
        {"@odata.type": "#microsoft.graph.group", "id": "B"},
        {"id": "C", "@removed": {"reason": "deleted"}},
        {"id": "D", "@removed": "deleted"},
        {"id": None},
        7,
    ]

    [item] = delta_items([a_row(**{"members@delta": members}), {"x": 1}])

    assert item.members == (
        MemberChange("a", False, False),
        MemberChange("b", True, False),
        MemberChange("c", None, True),
        MemberChange("d", None, True),
    )


def test_both_reasons_of_removal_are_a_removal() -> None:
    items = delta_items([a_row(**{"@removed": {"reason": r}}) for r in ("changed", "deleted")])

    assert [item.removed for item in items] == [True, True]
