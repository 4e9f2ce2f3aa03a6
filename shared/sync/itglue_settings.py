"""How IT Glue is reached, as a person sets it, and its lists for the forms (R27).

Switching on, or another key, is saved only when IT Glue answers to it. Switching off never needs
IT Glue. The key goes to the vault and never comes back out (R29).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, get_args
from urllib.parse import urlsplit

from shared.config import url_problem
from shared.core.itglue import ItGlueSettings
from shared.core.itglue_messages import EVERYBODY, PassOn, encode_pass_on
from shared.core.model import Trouble
from shared.errors import BadInput, DecideAgain, PersonMustAct
from shared.ports import (
    ITGLUE,
    ITGLUE_KEY,
    Connections,
    Everybody,
    GlueAccount,
    ItGlue,
    ItGlueMemory,
    ItGlueSettingsStore,
    NewId,
    Now,
    Queues,
    Vault,
)
from shared.sync.itglue_organizations import AccountShown, ItGlueOrganizations
from shared.sync.itglue_queue import QueueForItGlue
from shared.sync.new_id import new_id

HOSTS = ("api.itglue.com", "api.eu.itglue.com", "api.au.itglue.com")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
LookUp = Literal["organizations", "contacttypes"]
KINDS: tuple[str, ...] = get_args(LookUp)
_LOST = timedelta(minutes=30)  # without any progress: the job is ordered anew


@dataclass(frozen=True, slots=True)
class ItGlueWish:
    """The settings as a person enters them. `key` None keeps the stored one, "" removes it."""

    settings: ItGlueSettings
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ItGlueStanding:
    """How IT Glue stands."""

    enabled: bool
    trouble: Trouble | None
    accounts_without_organization: int
    everybody: tuple[Everybody, ...]


@dataclass(frozen=True, slots=True)
class ManageItGlue:
    """Settings, look-ups and jobs of IT Glue."""

    store: ItGlueSettingsStore
    memory: ItGlueMemory
    glue: ItGlue
    vault: Vault
    connections: Connections
    organizations: ItGlueOrganizations
    queue: QueueForItGlue
    queues: Queues
    now: Now
    new_version: NewId = new_id

    def get(self) -> ItGlueSettings:
        """The settings; off before they were saved for the first time."""
        return self.store.get() or ItGlueSettings()

    def has_key(self) -> bool:
        """Whether the vault holds a key."""
        return bool(self.vault.get(ITGLUE_KEY))

    def save(self, wish: ItGlueWish) -> ItGlueSettings:
        """Read with these settings, then save them; BadInput for what IT Glue does not know."""
        settings = _plain(wish.settings)
        before = self.store.get()
        stored = self.vault.get(ITGLUE_KEY, fresh=True)
        key = stored if wish.key is None else wish.key
        if wish.key is None and stored and before and before.api_url != settings.api_url:
            raise BadInput(
                422,
                "apiKey is missing: with another address, enter the key again.",
                field="apiKey",
            )
        if settings.enabled and not key:
            raise BadInput(422, "apiKey is missing: enter a key of IT Glue's API.", field="apiKey")
        if key and (settings.enabled or wish.key):
            _refuse_unknown(settings, self._account(settings, key))
        settings = replace(settings, version=self.new_version())
        if self.store.get() != before:  # IT Glue takes seconds to answer
            raise DecideAgain("Somebody else has saved the IT Glue settings at this moment.")
        if wish.key == "":
            self.vault.delete(ITGLUE_KEY)
        elif key and key != stored:
            self.vault.put(ITGLUE_KEY, key)
        self.store.put(settings)
        self.glue.forget()
        self.queue.forget()
        if self.memory.trouble() is not None:
            self.memory.put_trouble(None)
        if settings.enabled:
            # Accounts may have an organization now: who waited for it is passed on.
            self.organizations.look_anew()
            self.organizations.release()
        return settings

    def checked(self, settings: ItGlueSettings) -> ItGlueSettings:
        """Settings of a backup as they would be kept; switched on only where IT Glue is on here."""
        plain = _plain(settings)
        before = self.store.get()
        if before is not None and before.api_url != plain.api_url:
            raise BadInput(
                409,
                "apiUrl is another than in use here, and the stored key goes nowhere else: save "
                "the IT Glue settings themselves, with the key, or leave them out of the file.",
                field="apiUrl",
            )
        return replace(
            plain,
            enabled=plain.enabled and before is not None and before.enabled,
            version=before.version if before is not None else "",
        )

    def restore(self, settings: ItGlueSettings) -> None:
        """Settings of a backup; whether the key fits shows when a person switches IT Glue on."""
        self.store.put(replace(self.checked(settings), version=self.new_version()))
        self.glue.forget()
        self.queue.forget()

    def _account(self, settings: ItGlueSettings, key: str) -> GlueAccount:
        try:
            return self.glue.check(settings, key)
        except PersonMustAct as error:
            raise BadInput(422, f"{error.sentence} {error.next_step}", field="apiKey") from error

    def choices(self, kind: str) -> list[tuple[int, str]]:
        """Organizations or contact types, by name."""
        if kind not in KINDS:
            raise BadInput(
                404,
                f"There is no look-up of this name; there are: {', '.join(KINDS)}.",
                field="kind",
            )
        if self.store.get() is None:
            raise BadInput(409, "IT Glue is not set up yet: save the IT Glue settings first.")
        account = self.glue.account()
        found = account.organizations if kind == "organizations" else account.contact_types
        return sorted(
            ((int(number), name) for number, name in found.items()),
            key=lambda one: (one[1].casefold(), one[0]),
        )

    def accounts(self) -> Sequence[AccountShown]:
        """BMS accounts with their organizations."""
        return self.organizations.accounts()

    def pass_on_everybody(self) -> list[Everybody]:
        """Queue all linked contacts of all connections; what goes on already is not begun anew."""
        if not self.get().enabled:
            raise BadInput(409, "IT Glue is off: switch it on in the IT Glue settings first.")
        now = self.now()
        going_on = {one.connection_id: one for one in self.memory.everybody()}
        jobs: list[Everybody] = []
        for connection in self.connections.list():
            known = going_on.get(connection.id)
            if known is not None and not known.finished and now - known.changed_at < _LOST:
                jobs.append(known)
                continue
            job = Everybody(connection.id, now, now)
            self.memory.put_everybody(job)
            message = PassOn(connection.id, kind=EVERYBODY, asked=True, bulk=True, started_at=now)
            self.queues.send(ITGLUE, encode_pass_on(message))
            jobs.append(job)
        return jobs

    def progress(self) -> list[Everybody]:
        """How far "pass on everybody" is, by connection."""
        return self.memory.everybody()

    def standing(self) -> ItGlueStanding:
        """For the status."""
        settings = self.get()
        if not settings.enabled:
            return ItGlueStanding(False, None, 0, ())
        by_hand = {account for account, _ in settings.organizations}
        missing = sum(
            1
            for one in self.memory.all_mapped()
            if one.organization_id is None and one.account_id not in by_hand
        )
        return ItGlueStanding(True, self.memory.trouble(), missing, tuple(self.memory.everybody()))


def _plain(settings: ItGlueSettings) -> ItGlueSettings:
    """The settings without stray blanks; BadInput for an address that is not IT Glue's."""
    address = settings.api_url.strip().rstrip("/")
    problem = url_problem(address)
    if problem:
        raise BadInput(422, f"apiUrl {problem}", field="apiUrl")
    parts = urlsplit(address)
    if parts.hostname not in (*HOSTS, *_LOOPBACK) or parts.path:
        known = ", ".join(f"https://{host}" for host in HOSTS)
        raise BadInput(
            422, f"apiUrl is not an address of IT Glue: it must be one of {known}.", field="apiUrl"
        )
    accounts = [account for account, _ in settings.organizations]
    for account in accounts:
        if accounts.count(account) > 1:
            raise BadInput(
                422,
                f"organizations names the BMS account {account} twice: one account has one "
                "organization.",
                field="organizations",
            )
    return replace(settings, api_url=address)


def _refuse_unknown(settings: ItGlueSettings, account: GlueAccount) -> None:
    chosen = settings.inactive_contact_type_id
    if chosen is not None and chosen not in account.contact_types:
        raise BadInput(
            422,
            f"inactiveContactTypeId {chosen} is no contact type in IT Glue: choose one from the "
            "list of contact types.",
            field="inactiveContactTypeId",
        )
    for _, organization in settings.organizations:
        if organization not in account.organizations:
            raise BadInput(
                422,
                f"organizations names {organization}, which is no organization in IT Glue: choose "
                "one from the list of organizations.",
                field="organizations",
            )
