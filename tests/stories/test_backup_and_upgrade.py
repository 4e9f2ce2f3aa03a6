"""A lost storage account, and tables of a newer app: what a person then does, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from infra.local.admin import Refused, wait_for
from infra.local.world import World
from tests.stories.oracle import Rule
from tests.stories.story import BMS_SETTINGS, Story

pytestmark = pytest.mark.world

DOMAIN = "contoso.example"


class Customer(Story):
    """One with three people who are contacts already."""

    group: str


@pytest.fixture(scope="module")
def story() -> Iterator[Customer]:
    with World() as world:
        one = Customer(world, world.start_host())
        one.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        at = one.customers()
        one.connect(DOMAIN, onLeave="keep")
        people = [
            one.entra.add_user(one.tenant, f"p{n}@{DOMAIN}", mail=f"p{n}@{DOMAIN}", displayName=n)
            for n in ("Ada Lind", "Bo Berg", "Cy Holm")
        ]
        one.group = one.entra.add_group(one.tenant, "Staff", members=people)
        body = one.rule_body(Rule(one.group, 1, at.first))
        one.admin.call("POST", "/api/mapping-rules", body)
        assert one.admin.sync(one.connection, timeout=60)["done"] == 3
        yield one


def start_anew(story: Customer) -> None:
    """The same app on the same address as a new process."""
    story.host.kill()
    story.host = story.world.start_host(story.host.port)


def lose_tables(story: Customer) -> None:
    connection = story.world.storage_connection_string
    with TableServiceClient.from_connection_string(connection) as service:
        for table in list(service.list_tables()):
            service.delete_table(table.name)


def contacts(story: Customer) -> list[Any]:
    return sorted(story.bms.contacts_json(), key=lambda contact: contact["id"])


def test_after_the_loss_of_all_tables_an_export_brings_the_configuration_back_and_doubles_nobody(
    story: Customer,
) -> None:
    file = story.admin.call("GET", "/api/export")
    before = contacts(story)
    story.host.kill()
    lose_tables(story)
    start_anew(story)
    assert story.admin.call("GET", "/api/connections")["items"] == []

    told = story.admin.call("POST", "/api/import", {"configuration": file})
    assert story.admin.call("GET", "/api/connections")["items"] == [], "a dry run"
    assert (told["refused"], told["secrets"]) == ([], []), "the vault was not lost"
    story.admin.call("POST", "/api/import", {"configuration": file, "dryRun": False})

    connection = story.admin.call("GET", f"/api/connections/{story.connection}")
    assert (connection["state"], connection["onLeave"]) == ("draft", "keep")
    with pytest.raises(Refused, match="draft"):
        story.admin.sync(story.connection, timeout=60)
    assert contacts(story) == before, "nothing is written before a person asks for it (R5)"
    settings = {name: BMS_SETTINGS[name] for name in BMS_SETTINGS if name != "password"}
    story.admin.call("PUT", "/api/settings/bms", settings)
    assert story.admin.connect(story.connection).status_code == 200
    assert story.admin.sync(story.connection, timeout=60)["done"] == 3
    assert contacts(story) == before, "merged by address, with nothing to change"
    assert len(story.admin.items("/api/records", connectionId=story.connection)) == 3
    again = story.admin.call("GET", "/api/export")
    assert {**again, "exportedAt": None} == {**file, "exportedAt": None}


def test_tables_of_a_newer_app_stop_everything_but_the_taking_of_notifications(
    story: Customer,
) -> None:
    connection = story.world.storage_connection_string
    story.host.kill()
    with TableServiceClient.from_connection_string(connection) as service:
        table = service.get_table_client("settings")
        schema = table.get_entity("settings", "schema")
        newer = {**schema, "version": 99, "by": "8.1.0"}
        table.upsert_entity(newer)
    start_anew(story)
    before = contacts(story)

    new = story.entra.add_user(story.tenant, f"new@{DOMAIN}", displayName="New One")
    story.entra.add_member(story.tenant, story.group, new)

    with pytest.raises(Refused, match=r"version 99.*deploy version 8\.1\.0"):
        story.admin.call("GET", "/api/connections")
    assert requests.get(f"{story.host.base_url}/health", timeout=10).status_code == 503
    with QueueServiceClient.from_connection_string(connection) as queues:

        def waiting(name: str) -> int:
            properties = queues.get_queue_client(name).get_queue_properties()
            return int(properties.approximate_message_count or 0)

        wait_for(lambda: waiting("user-deltas") + waiting("sweeps") > 0, timeout=30)
        time.sleep(10)  # workers take it, several times if they fail
        assert contacts(story) == before
        assert waiting("user-deltas") + waiting("sweeps") > 0, "nothing is lost"
        assert waiting("user-deltas-poison") + waiting("sweeps-poison") == 0
