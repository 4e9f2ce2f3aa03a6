"""How BMS is reached, as a person sets it, and BMS's look-up tables for the forms.

Settings are saved only when BMS lets us in with them. The password goes to the vault and never
comes back out (R29).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from shared.config import url_problem
from shared.core.model import AccountId, BmsSettings
from shared.errors import BadInput, PersonMustAct, SyncError
from shared.ports import BMS_PASSWORD, Bms, BmsSettingsStore, Connections, Links, NewId, Vault
from shared.sync.new_id import new_id

_BMS = "bms"  # how the codes of troubles with BMS begin
LookUp = Literal[
    "accounts",
    "locations",
    "departments",
    "jobtitles",
    "employmenttypes",
    "securityroles",
    "employeeroles",
    "employees",
    "emailtypes",
    "phonetypes",
]
KINDS: tuple[str, ...] = get_args(LookUp)


@dataclass(frozen=True, slots=True)
class BmsWish:
    """The settings as a person enters them. `password` None keeps the one that is stored."""

    settings: BmsSettings
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a look-up table."""

    id: int
    name: str
    is_active: bool = True
    is_main: bool | None = None  # of locations


@dataclass(frozen=True, slots=True)
class ManageBms:
    """Settings and look-ups of BMS."""

    store: BmsSettingsStore
    bms: Bms
    vault: Vault
    connections: Connections
    links: Links
    new_version: NewId = new_id

    def get(self) -> BmsSettings | None:
        """The settings, None before they were saved for the first time."""
        return self.store.get()

    def has_password(self) -> bool:
        """Whether the vault holds a password for BMS."""
        return bool(self.vault.get(BMS_PASSWORD))

    def save(self, wish: BmsWish) -> BmsSettings:
        """Sign in with these settings, then save them; BadInput when BMS refuses them."""
        settings = _plain(wish.settings)
        before = self.store.get()
        if before is not None:
            self._refuse_another_bms(before, settings, with_password=wish.password is not None)
        stored = self.vault.get(BMS_PASSWORD, fresh=True)
        password = stored if wish.password is None else wish.password
        if not password:
            raise BadInput(
                422, "password is missing: enter the password of the API user.", field="password"
            )
        try:
            self.bms.check_sign_in(settings, password)
        except PersonMustAct as error:
            raise BadInput(
                422,
                f"{error.sentence} {error.next_step} Nothing was saved.",
                field="password",
            ) from error
        settings = replace(settings, version=self.new_version())
        if password != stored:
            self.vault.put(BMS_PASSWORD, password)
        try:
            self.store.put(settings)
        except SyncError:
            if stored and password != stored:
                self.vault.put(BMS_PASSWORD, stored)  # the old settings keep their password
            raise
        self._clear_troubles()
        return settings

    def checked(self, settings: BmsSettings) -> BmsSettings:
        """Settings of a backup as they would be kept, nothing saved; BadInput when they cannot."""
        plain = _plain(settings)
        before = self.store.get()
        if before is None:
            return plain
        for member, old, new in (
            ("apiUrl", before.api_url, plain.api_url),
            ("gatewayUrl", before.gateway_url, plain.gateway_url),
            ("tenant", before.tenant, plain.tenant),
            ("userName", before.user_name, plain.user_name),
        ):
            if old != new:
                raise BadInput(
                    409,
                    f"{member} is another than in use here, and the stored password goes nowhere "
                    "else: save the BMS settings themselves, with the password, or leave them out "
                    "of the file.",
                    field=member,
                )
        return plain

    def restore(self, settings: BmsSettings) -> None:
        """Settings of a backup; whether BMS lets us in shows when the password is entered."""
        self.store.put(replace(self.checked(settings), version=self.new_version()))

    def _refuse_another_bms(
        self, before: BmsSettings, after: BmsSettings, *, with_password: bool
    ) -> None:
        """The stored password goes nowhere else, and one BMS's ids mean nothing in another."""
        # The older API signs in with the password at the gateway.
        same_user = (before.api_url, before.gateway_url, before.tenant, before.user_name) == (
            after.api_url,
            after.gateway_url,
            after.tenant,
            after.user_name,
        )
        if not with_password and not same_user:
            raise BadInput(
                422,
                "password is missing: with another address, tenant or user name, enter the "
                "password again.",
                field="password",
            )
        if before.tenant != after.tenant and self._has_records():
            raise BadInput(
                409,
                f"tenant cannot be changed while people are linked to contacts of "
                f"{before.tenant}: delete the connections first.",
                field="tenant",
            )

    def _has_records(self) -> bool:
        return any(
            self.links.page(each.id, state="active", text=None, limit=1, cursor=None)[0]
            for each in self.connections.list()
        )

    def choices(
        self, kind: str, account_id: int | None = None, *, ids: Collection[int] | None = None
    ) -> list[Choice]:
        """One look-up table, or the entries `ids` of it.

        Locations are those of an account, or without one the MSP's own.
        """
        if kind not in KINDS:
            raise BadInput(
                404,
                f"There is no look-up of this name; there are: {', '.join(KINDS)}.",
                field="kind",
            )
        if account_id is not None and kind != "locations":
            raise BadInput(400, "accountId is for locations only: leave it out.", field="accountId")
        if self.store.get() is None:
            raise BadInput(409, "BMS is not set up yet: save the BMS settings first.")
        if kind == "accounts":
            return [
                Choice(each.id, each.name, each.is_active)
                for each in self.bms.accounts()
                if ids is None or each.id in ids
            ]
        if account_id is None:
            return [
                Choice(id_, name)
                for id_, name in self.bms.lookup(kind)
                if ids is None or id_ in ids
            ]
        account = self.bms.account(AccountId(account_id))
        if account is None:
            raise BadInput(
                422,
                f"accountId {account_id} is no account in BMS: choose one from the list of "
                "accounts.",
                field="accountId",
            )
        return [
            Choice(each.id, each.name, each.is_active, each.is_main)
            for each in account.locations
            if ids is None or each.id in ids
        ]

    def _clear_troubles(self) -> None:
        """What connections complained of about BMS has been mended, or will be found again."""
        for connection in self.connections.list():
            if any(trouble.code.startswith(_BMS) for trouble in connection.troubles):
                self.connections.update(
                    connection.id,
                    lambda now: replace(
                        now,
                        troubles=tuple(
                            each for each in now.troubles if not each.code.startswith(_BMS)
                        ),
                    ),
                )


def _plain(settings: BmsSettings) -> BmsSettings:
    """The settings without stray blanks; BadInput for what no BMS could be reached with."""
    tenant, user_name = settings.tenant.strip(), settings.user_name.strip()
    for name, value, hint in (
        ("tenant", tenant, "the company name as My Settings in BMS shows it"),
        ("userName", user_name, "the user name of the API user"),
    ):
        if not value:
            raise BadInput(422, f"{name} must not be empty: enter {hint}.", field=name)
    addresses = {}
    for name, value in (("apiUrl", settings.api_url), ("gatewayUrl", settings.gateway_url)):
        addresses[name] = value.strip().rstrip("/")
        problem = url_problem(addresses[name])
        if problem:
            raise BadInput(422, f"{name} {problem}", field=name)
    return replace(
        settings,
        api_url=addresses["apiUrl"],
        gateway_url=addresses["gatewayUrl"],
        # The tenant keeps inner blanks: BMS wants it exactly as it shows it (bms-api.md 2.1).
        tenant=tenant,
        user_name=user_name,
    )
