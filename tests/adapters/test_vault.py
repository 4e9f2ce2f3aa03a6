"""R29: the vault adapter against the Key Vault stand-in, by its real name through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.adapters.http_session import PooledSession
from shared.adapters.vault import KeyVault
from shared.errors import Misconfigured, TryLater
from tests.local.vault_client import VAULT, VAULT_URL, VaultNetwork, vault_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultNetwork]:
    with vault_network(tmp_path_factory.mktemp("vault")) as made:
        yield made


READ = "GET /secrets/{name}"


class Ticking:
    """A clock that is moved by hand."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def vault(network: VaultNetwork, clock: Ticking, monkeypatch: pytest.MonkeyPatch) -> KeyVault:
    for name, value in network.environment().items():
        monkeypatch.setenv(name, value)
    network.vault.clear_faults()
    return KeyVault(VAULT_URL, PooledSession, clock=clock)


def test_what_is_put_is_got_and_what_is_not_there_is_none(vault: KeyVault) -> None:
    vault.put("one", "würde: ☃")

    assert vault.get("one") == "würde: ☃"
    assert vault.get("one", fresh=True) == "würde: ☃"
    assert vault.get("never-there") is None


def test_a_value_is_kept_for_five_minutes_and_then_read_again(
    vault: KeyVault, network: VaultNetwork, clock: Ticking
) -> None:
    vault.put("kept", "old")
    network.vault.set_secret("kept", "new", VAULT)

    assert vault.get("kept") == "old"
    clock.at = 299
    assert vault.get("kept") == "old"
    clock.at = 301
    assert vault.get("kept") == "new"


def test_a_fresh_value_passes_the_cache_by(vault: KeyVault, network: VaultNetwork) -> None:
    vault.put("passed", "old")
    network.vault.set_secret("passed", "new", VAULT)

    assert vault.get("passed", fresh=True) == "new"
    assert vault.get("passed") == "new"


def test_a_deleted_secret_is_gone_at_once_and_deleting_again_is_fine(vault: KeyVault) -> None:
    vault.put("gone", "value")

    vault.delete("gone")
    vault.delete("gone")

    assert vault.get("gone") is None


def test_a_name_that_was_deleted_recoverably_can_be_used_again(
    vault: KeyVault, network: VaultNetwork
) -> None:
    vault.put("again", "first")
    vault.delete("again")

    vault.put("again", "second")

    assert network.vault.secrets(VAULT)["again"] == "second"
    assert vault.get("again", fresh=True) == "second"


@pytest.mark.parametrize("status", [503, 429])
def test_trouble_that_passes_is_tried_later(
    vault: KeyVault, network: VaultNetwork, status: int
) -> None:
    network.vault.add_fault("status", route=READ, status=status)

    with pytest.raises(TryLater):
        vault.get("whatever")


def test_a_refusal_names_the_role_to_assign(vault: KeyVault, network: VaultNetwork) -> None:
    network.vault.add_fault("status", route=READ, status=403)

    with pytest.raises(Misconfigured, match="Key Vault Secrets Officer"):
        vault.get("whatever")


def test_a_vault_that_cannot_be_reached_is_tried_later(
    network: VaultNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in network.environment().items():
        monkeypatch.setenv(name, value)

    with pytest.raises(TryLater):
        KeyVault("https://nowhere.example.test", PooledSession).get("one")


def test_an_identity_that_gives_no_token_is_tried_later(
    vault: KeyVault, network: VaultNetwork
) -> None:
    network.vault.add_fault("status", route="GET /msi/token", status=400)

    with pytest.raises(TryLater, match="managed identity"):
        vault.get("whatever")
