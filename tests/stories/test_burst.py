"""R31: a burst of notifications, answered, and then the process dies: no change is lost with it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import requests

from infra.local.admin import wait_for
from infra.local.world import World
from tests.stories.oracle import Rule
from tests.stories.story import BMS_SETTINGS, Story

pytestmark = pytest.mark.world

DOMAIN = "contoso.example"
NEVER = "0 0 0 1 1 *"  # no timer's sweep finds what a notification was about


def notification(story: Story, user: str) -> dict[str, Any]:
    subscriptions = story.entra.subscriptions(story.tenant)
    one = next(each for each in subscriptions if each["resource"] == "users")
    return {
        "subscriptionId": one["id"],
        "clientState": one["clientState"],
        "tenantId": story.tenant,
        "changeType": "updated",
        "resource": f"Users/{user}",
        "resourceData": {"@odata.type": "#Microsoft.Graph.User", "id": user},
        "subscriptionExpirationDateTime": one["expirationDateTime"],
    }


def send(story: Story, items: list[dict[str, Any]]) -> int:
    body = json.dumps({"value": items}).encode()
    to = f"{story.host.base_url}/webhooks/graph/{story.connection}"
    headers = {"Content-Type": "application/json"}
    return requests.post(to, data=body, headers=headers, timeout=30).status_code


def test_r31_what_was_accepted_in_a_burst_reaches_bms_though_the_process_dies_at_once() -> None:
    with World(lease_seconds=10) as world:
        story = Story(world, world.start_host(SWEEP_SCHEDULE=NEVER))
        story.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        at = story.customers()
        story.connect(DOMAIN)
        mail = f"ada@{DOMAIN}"
        ada = story.entra.add_user(story.tenant, mail, mail=mail, displayName="Ada Lind")
        group = story.entra.add_group(story.tenant, "Staff", members=[ada])
        story.admin.call("POST", "/api/mapping-rules", story.rule_body(Rule(group, 1, at.first)))
        assert story.admin.sync(story.connection, timeout=60)["done"] == 1
        story.entra.switch(notify_loss_rate=1.0)
        stranger = notification(story, ada)
        strangers = [
            {**stranger, "resource": f"Users/{uuid.UUID(int=number)}"} for number in range(1_200)
        ]

        assert send(story, strangers) == 202
        story.entra.update_user(story.tenant, ada, jobTitle="Harbour master")
        assert send(story, [notification(story, ada)]) == 202
        story.host.kill()
        story.host = world.start_host(story.host.port, SWEEP_SCHEDULE=NEVER)

        wait_for(
            lambda: [one["job_title"] for one in story.bms.contacts_json()] == ["Harbour master"],
            30,
        )
