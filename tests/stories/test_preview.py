"""A rule set is previewed, confirmed and saved over HTTP, on the real host (R5, R20)."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.admin import wait_for
from tests.stories.small_customer import SmallCustomer
from tests.stories.story import BMS_SETTINGS, Story, say

pytestmark = pytest.mark.world


def test_preview_confirm_and_save_on_the_host(story: Story) -> None:
    story.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
    customer = SmallCustomer(story, "previewed.example")
    connection = story.connection
    path = f"/api/connections/{connection}/mapping-rules"
    rules = story.admin.call("GET", path)["items"]
    asked = {"connectionId": connection, "items": rules}

    first = story.admin.call("POST", "/api/mapping-rules/preview", asked)
    first = _ready(story, first["previewId"])
    customer.sync()
    linked = [one for one in story.admin.items("/api/records") if one["state"] == "active"]
    said = first["counts"]["create"] + first["counts"]["merge"]
    assert len(linked) == said > 10, first["sentence"]

    off = [rule | {"enabled": rule["order"] != 20} for rule in rules]
    story.admin.call(
        "PATCH", f"/api/connections/{connection}", {"holdLimit": {"count": 1, "atMost": 2}}
    )
    second = story.admin.call("POST", "/api/mapping-rules/preview", asked | {"items": off})
    second = _ready(story, second["previewId"])
    say(f"{first['sentence']}; then {second['sentence']}")
    people = story.admin.items(f"/api/previews/{second['previewId']}/people", kind="deactivate")
    assert len(people) == second["counts"]["deactivate"] > 2
    assert second["wouldHold"]

    confirm = {"items": off, "confirm": {"previewId": second["previewId"]}}
    story.admin.call("PUT", path, confirm)

    gone = [one["recordId"] for one in people]
    wait_for(
        lambda: not any(story.bms.get_contact(record).is_active for record in gone),
        60,
        what="the end of the confirmed leavers",
    )
    assert story.admin.items("/api/holds") == []


def _ready(story: Story, preview_id: str) -> Any:
    def shown() -> dict[str, object] | None:
        found = story.admin.call("GET", f"/api/previews/{preview_id}")
        assert found["state"] != "failed", found["reason"]
        return dict(found) if found["state"] == "ready" else None

    return wait_for(shown, 60, what="the preview")
