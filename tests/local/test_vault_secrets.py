"""Key Vault's secrets, seen by Microsoft's own client over the local network."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets import SecretClient

from tests.local.vault_client import VAULT, VaultNetwork, inside, secret_client, vault_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultNetwork]:
    with vault_network(tmp_path_factory.mktemp("vault")) as running, inside(running):
        yield running


@pytest.fixture(scope="module")
def client(network: VaultNetwork) -> Iterator[SecretClient]:
    with secret_client() as one:
        yield one


@pytest.fixture(autouse=True)
def _fresh(network: VaultNetwork) -> None:
    network.vault.reset()
    network.vault.switch(deletion_seconds=0, recovery_seconds=0, purge_protection=False)


def inner_code(error: HttpResponseError) -> str:
    assert error.response is not None
    return str(error.response.json()["error"]["innererror"]["code"])  # type: ignore[attr-defined]


def test_a_secret_is_read_as_it_was_written(client: SecretClient) -> None:
    expires = datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)
    client.set_secret(
        "app-key", "välue", content_type="text/plain", tags={"a": "b"}, expires_on=expires
    )
    secret = client.get_secret("app-key")
    assert secret.value == "välue"
    assert secret.properties.content_type == "text/plain"
    assert secret.properties.tags == {"a": "b"}
    assert secret.properties.expires_on == expires
    assert secret.properties.enabled
    assert secret.properties.vault_url == "https://myvault.vault.azure.net"


def test_each_write_is_a_version_and_the_newest_is_read(client: SecretClient) -> None:
    first = client.set_secret("key", "one")
    second = client.set_secret("key", "two")
    assert first.properties.version != second.properties.version
    assert client.get_secret("key").value == "two"
    assert client.get_secret("key", first.properties.version).value == "one"
    versions = {one.version for one in client.list_properties_of_secret_versions("key")}
    assert versions == {first.properties.version, second.properties.version}


def test_names_ignore_case_and_keep_the_first_writing(client: SecretClient) -> None:
    client.set_secret("App-Key", "one")
    client.set_secret("app-key", "two")
    assert client.get_secret("APP-KEY").value == "two"
    assert [one.name for one in client.list_properties_of_secrets()] == ["App-Key"]


def test_an_unknown_secret_is_not_found(client: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.get_secret("nothing")
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.begin_delete_secret("nothing")


@pytest.mark.parametrize("name", ["with_underscore", "dot.ted", "x" * 128])
def test_a_name_with_other_characters_or_too_long_is_refused(
    client: SecretClient, name: str
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        client.set_secret(name, "value")
    assert refused.value.status_code == 400


def test_a_value_over_25_kilobytes_is_refused(client: SecretClient) -> None:
    client.set_secret("large", "x" * 25_600)
    with pytest.raises(HttpResponseError) as refused:
        client.set_secret("large", "x" * 25_601)
    assert refused.value.status_code == 400


def test_a_disabled_secret_is_not_given_out(client: SecretClient) -> None:
    client.set_secret("key", "value")
    client.update_secret_properties("key", enabled=False)
    with pytest.raises(HttpResponseError) as refused:
        client.get_secret("key")
    assert refused.value.status_code == 403
    assert inner_code(refused.value) == "SecretDisabled"


def test_properties_change_without_a_new_version(client: SecretClient) -> None:
    made = client.set_secret("key", "value", tags={"old": "1"})
    changed = client.update_secret_properties("key", tags={"new": "2"}, content_type="x")
    assert changed.version == made.properties.version
    assert changed.tags == {"new": "2"}
    assert client.get_secret("key").value == "value"


def test_a_deleted_secret_can_be_looked_at_and_recovered(client: SecretClient) -> None:
    client.set_secret("key", "value")
    deleted = client.begin_delete_secret("key").result()
    assert deleted.recovery_id == "https://myvault.vault.azure.net/deletedsecrets/key"
    assert deleted.deleted_date is not None
    assert deleted.scheduled_purge_date == deleted.deleted_date + datetime.timedelta(days=90)
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("key")
    assert client.get_deleted_secret("key").name == "key"
    assert [one.name for one in client.list_deleted_secrets()] == ["key"]
    client.begin_recover_deleted_secret("key").wait()
    assert client.get_secret("key").value == "value"
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_secret("key")


def test_the_name_of_a_deleted_secret_cannot_be_used(client: SecretClient) -> None:
    client.set_secret("key", "value")
    client.begin_delete_secret("key").wait()
    with pytest.raises(ResourceExistsError) as refused:
        client.set_secret("key", "again")
    assert inner_code(refused.value) == "ObjectIsDeletedButRecoverable"


def test_a_purged_name_is_free_again(client: SecretClient) -> None:
    client.set_secret("key", "value")
    client.begin_delete_secret("key").wait()
    client.purge_deleted_secret("key")
    assert client.set_secret("key", "again").value == "again"
    assert [one.version for one in client.list_properties_of_secret_versions("key")] == [
        client.get_secret("key").properties.version
    ]


def test_purge_protection_refuses_a_purge(network: VaultNetwork, client: SecretClient) -> None:
    network.vault.switch(purge_protection=True)
    client.set_secret("key", "value")
    client.begin_delete_secret("key").wait()
    with pytest.raises(HttpResponseError) as refused:
        client.purge_deleted_secret("key")
    assert refused.value.status_code == 403


def test_a_deletion_that_takes_a_while_blocks_the_name(
    network: VaultNetwork, client: SecretClient
) -> None:
    network.vault.switch(deletion_seconds=0.5)
    client.set_secret("key", "value")
    poller = client.begin_delete_secret("key", _polling_interval=0.05)
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("key")
    with pytest.raises(ResourceNotFoundError):
        client.get_deleted_secret("key")
    for blocked in (
        lambda: client.set_secret("key", "again"),
        lambda: client.begin_delete_secret("key"),
        lambda: client.begin_recover_deleted_secret("key"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            blocked()
        assert refused.value.status_code == 409
        assert inner_code(refused.value) == "ObjectIsBeingDeleted"
    poller.wait()
    assert client.get_deleted_secret("key").name == "key"


def test_a_recovery_that_takes_a_while_is_awaited_by_the_poller(
    network: VaultNetwork, client: SecretClient
) -> None:
    network.vault.switch(recovery_seconds=0.3)
    client.set_secret("key", "value")
    client.begin_delete_secret("key").wait()
    poller = client.begin_recover_deleted_secret("key", _polling_interval=0.05)
    with pytest.raises(ResourceExistsError) as refused:
        client.set_secret("key", "again")
    assert inner_code(refused.value) == "ObjectIsBeingRecovered"
    poller.wait()
    assert client.get_secret("key").value == "value"


def test_lists_come_in_pages_and_without_values(
    network: VaultNetwork, client: SecretClient
) -> None:
    network.vault.fill(60, VAULT)
    network.vault.reset_counts()
    listed = list(client.list_properties_of_secrets())
    assert sorted(one.name or "" for one in listed) == [f"scale-{n:06}" for n in range(60)]
    assert network.vault.statuses()["GET /secrets 200"] == 3
    assert len(list(client.list_properties_of_secrets(max_page_size=7))) == 60


def test_many_versions_come_in_pages(client: SecretClient) -> None:
    made = {client.set_secret("key", str(n)).properties.version for n in range(30)}
    assert {one.version for one in client.list_properties_of_secret_versions("key")} == made


def test_versions_of_an_unknown_secret_are_an_empty_list(client: SecretClient) -> None:
    assert list(client.list_properties_of_secret_versions("nothing")) == []


def test_two_vaults_do_not_share_secrets(client: SecretClient) -> None:
    client.set_secret("key", "mine")
    with (
        secret_client("https://other.vault.azure.net") as other,
        pytest.raises(ResourceNotFoundError),
    ):
        other.get_secret("key")


def test_the_control_routes_show_what_the_client_wrote(
    network: VaultNetwork, client: SecretClient
) -> None:
    client.set_secret("key", "one")
    client.set_secret("key", "two")
    client.set_secret("gone", "x")
    client.begin_delete_secret("gone").wait()
    assert network.vault.secrets(VAULT) == {"key": "two"}
    assert network.vault.deleted(VAULT) == {"gone": "x"}
    assert [one["value"] for one in network.vault.versions("key", VAULT)] == ["one", "two"]
    network.vault.set_secret("key", "rotated", VAULT)
    assert client.get_secret("key").value == "rotated"
