"""R31: what may be believed of a notification, and what it hints at (graph.md section 5)."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.notifications import (
    Expected,
    Hints,
    UnreadableNotification,
    hints_of,
    items_of,
    token_is_harmless,
    validation_token,
)

TENANT = "0a1b2c3d-0000-4000-8000-0000000000ff"
SUBSCRIPTION = "d3a1d3a1-0000-4000-8000-000000000001"
ADA = "0a1b2c3d-0000-4000-8000-00000000000a"
BOB = "0a1b2c3d-0000-4000-8000-00000000000b"
GROUP = "77777777-0000-4000-8000-00000000000a"
ARRIVED = datetime(2026, 3, 14, 9, 27, tzinfo=UTC)
OURS = Expected(TENANT, "our-sécret".encode(), frozenset({SUBSCRIPTION}))


def an_item(resource: str = f"Users/{ADA}", **more: Any) -> dict[str, Any]:
    data = more.pop("data", {})
    return {
        "changeType": "updated",
        "clientState": "our-sécret",
        "resource": resource,
        "resourceData": {"id": resource.rpartition("/")[2], **data},
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
        **more,
    }


def read(*items: Any) -> Hints:
    return hints_of(list(items), OURS, ARRIVED)


def test_a_change_of_a_user_hints_at_the_user() -> None:
    hints = read(an_item(), an_item(f"Users/{ADA.upper()}"), an_item(f"users('{BOB}')"))

    assert hints.users == (ADA, BOB)
    assert hints.accepted == 3
    assert hints.discarded == 0


@pytest.mark.parametrize("removed", ["deleted", {"reason": "deleted"}])
def test_a_change_of_a_group_hints_at_the_group_and_its_members(removed: object) -> None:
    members = [
        {"id": ADA},
        {"id": BOB, "@removed": removed},
        {"id": GROUP.replace("7", "8"), "@odata.type": "#microsoft.graph.group"},
        {"id": "../users"},
        "nonsense",
    ]

    hints = read(an_item(f"Groups/{GROUP}", data={"members@delta": members}))

    assert hints.members == (ADA, BOB)
    assert hints.groups == (GROUP, GROUP.replace("7", "8"))
    assert hints.users == ()


@pytest.mark.parametrize(
    "change",
    [
        {"clientState": "our-secret"},
        {"clientState": ""},
        {"clientState": None},
        {"clientState": "\ud800"},
        {"subscriptionId": "d3a1d3a1-0000-4000-8000-00000000ffff"},
        {"subscriptionId": None},
        {"subscriptionId": ["d3a1"]},
        {"tenantId": ADA},
        {"tenantId": None},
    ],
    ids=repr,
)
def test_whatever_does_not_prove_itself_is_discarded_and_the_rest_goes_on(
    change: dict[str, Any],
) -> None:
    hints = read({**an_item(f"Users/{BOB}"), **change}, an_item())

    assert hints.users == (ADA,)
    assert hints.accepted == 1
    assert hints.discarded == 1


def test_without_a_secret_of_ours_nothing_is_believed() -> None:
    expected = Expected(TENANT, b"", frozenset({SUBSCRIPTION}))

    assert hints_of([an_item(clientState="")], expected, ARRIVED).accepted == 0


@pytest.mark.parametrize(
    "resource",
    ["Users/x", "Users/../me", f"Devices/{ADA}", f"Users/{ADA}/x", "", None, 7, "Users/"],
)
def test_a_resource_that_is_no_user_or_group_hints_at_nothing(resource: Any) -> None:
    hints = read({**an_item(), "resource": resource})

    assert (hints.users, hints.members, hints.groups) == ((), (), ())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-03-14T09:26:53.0123456Z", datetime(2026, 3, 14, 9, 26, 53, 12345, UTC)),
        ("2026-03-14T09:27:30Z", ARRIVED),
        ("2026-03-14T10:27:00Z", ARRIVED),
        ("2026-03-12T09:27:00Z", ARRIVED),
        ("yesterday", ARRIVED),
        (None, ARRIVED),
        (12345, ARRIVED),
    ],
)
def test_the_signal_is_the_event_time_where_that_can_be_right_else_the_arrival(
    told: Any, expected: datetime
) -> None:
    assert read(an_item(data={"eventTime": told})).signal_at == expected


def test_the_earliest_event_is_the_signal() -> None:
    early = (ARRIVED - timedelta(seconds=30)).isoformat()
    late = (ARRIVED - timedelta(seconds=3)).isoformat()

    hints = read(an_item(data={"eventTime": late}), an_item(data={"eventTime": early}))

    assert hints.signal_at == ARRIVED - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("reauthorizationRequired", "reauthorizationRequired"),
        ("subscriptionRemoved", "subscriptionRemoved"),
        ("missed", "missed"),
        ("somethingNew", "missed"),
    ],
)
def test_lifecycle_events_are_told_apart_from_changes(event: str, kind: str) -> None:
    item = {k: v for k, v in an_item().items() if k not in ("resource", "resourceData")}

    hints = read({**item, "lifecycleEvent": event})

    assert hints.lifecycle == {kind}
    assert hints.users == ()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b"null", b'{"value": {}}', b"{}", b"[" * 100_000, b"\xff\xfe{"]
)
def test_a_body_that_is_no_collection_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableNotification):
        items_of(body)


@pytest.mark.parametrize("item", [None, 7, "x", [], {}, {"subscriptionId": {}}])
def test_items_of_any_form_do_no_harm(item: Any) -> None:
    assert read(item, an_item()).users == (ADA,)


@pytest.mark.parametrize("name", ["validationToken", "validationtoken", "ValidationToken"])
def test_the_handshake_is_known_by_its_parameter_in_any_case(name: str) -> None:
    assert validation_token({"t": "1", name: "abc"}) == "abc"
    assert validation_token({"t": "1"}) is None


@pytest.mark.parametrize(
    ("token", "harmless"),
    [
        ("Validation: a b c", True),
        ("<script>", False),
        ("a>b", False),
        ("", False),
        ("x" * 9999, False),
    ],
)
def test_a_token_with_markup_is_never_sent_back(token: str, harmless: bool) -> None:
    assert token_is_harmless(token) is harmless


def test_ten_thousand_items_are_read_well_within_a_second() -> None:
    items = [
        an_item(
            f"Users/{uuid.UUID(int=number)}", data={"eventTime": "2026-03-14T09:26:53.0123456Z"}
        )
        for number in range(10_000)
    ]
    body = json.dumps({"value": items}).encode()
    began = time.process_time()

    hints = read(*items_of(body))

    assert len(hints.users) == 10_000
    assert time.process_time() - began < 0.7
