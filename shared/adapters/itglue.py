"""Contacts, contact types and organizations of IT Glue (itglue-api.md sections 3 to 5).

Ids are texts at the top of a resource and numbers inside its attributes. E-mails and phones are
arrays that a write replaces, so they are only ever written whole. Filters work on /contacts, not on
the routes below an organization.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.itglue_session import ItGlueSession
from shared.core.budget import Lane
from shared.core.itglue import (
    GlueContact,
    GlueEntry,
    GlueId,
    ItGlueSettings,
    OrganizationId,
)
from shared.core.model import AccountId, RecordId
from shared.errors import DecideAgain
from shared.ports import GlueAccount, Now

_BMS = {"filter[psa_integration_type]": "kaseya-bms"}
_LISTS_KEPT = timedelta(minutes=2)
_CONTACTS_KEPT = timedelta(seconds=60)
_MOST_LISTS = 200  # organizations whose contacts are kept in memory


@dataclass(slots=True)
class _Memory:
    """What both lanes of a process remember of IT Glue."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    version: str = ""
    account: tuple[datetime, GlueAccount] | None = None
    contacts: dict[OrganizationId, tuple[datetime, dict[GlueId, GlueContact]]] = field(
        default_factory=dict
    )
    labels: Counter[str] = field(default_factory=Counter)

    def belong_to(self, version: str) -> None:
        """What was learnt belongs to the settings that were saved then."""
        with self.lock:
            if version != self.version:
                self.version = version
                self.account = None
                self.contacts.clear()
                self.labels.clear()


class ItGlueApi:
    """ports.ItGlue."""

    def __init__(
        self,
        session: ItGlueSession,
        now: Now,
        *,
        lane: Lane = Lane.FRESH,
        memory: _Memory | None = None,
    ) -> None:
        self._session = session
        self._now = now
        self._lane = lane
        self._memory = memory or _Memory()

    def bulk(self) -> ItGlueApi:
        """The same, paid for from the bulk share of the limit."""
        return ItGlueApi(self._session, self._now, lane=Lane.BULK, memory=self._memory)

    # --- the whole -----------------------------------------------------------------------------

    def check(self, settings: ItGlueSettings, key: str) -> GlueAccount:
        return GlueAccount(
            _names(self._session.pages_with(settings, key, "/organizations"), OrganizationId),
            _names(self._session.pages_with(settings, key, "/contact_types"), int),
        )

    def forget(self) -> None:
        self._session.forget()

    def ready(self) -> None:
        self._session.ready()

    def account(self) -> GlueAccount:
        self._belong()
        known = self._memory.account
        if known is None or self._now() - known[0] > _LISTS_KEPT:
            account = GlueAccount(
                _names(self._session.pages("/organizations", {}, self._lane), OrganizationId),
                _names(self._session.pages("/contact_types", {}, self._lane), int),
            )
            self._memory.account = known = (self._now(), account)
        return known[1]

    def organizations_of_bms(self, account_id: AccountId) -> list[OrganizationId]:
        query = {**_BMS, "filter[psa_id]": str(account_id)}
        found = self._session.pages("/organizations", query, self._lane)
        return [OrganizationId(int(row["id"])) for page in found for row in page]

    def labels(self) -> Sequence[str]:
        return [label for label, _ in self._memory.labels.most_common()]

    # --- contacts ------------------------------------------------------------------------------

    def contact(self, contact_id: GlueId) -> GlueContact | None:
        self._belong()
        row = self._session.get(f"/contacts/{contact_id}", self._lane)
        return None if row is None else self._contact(row)

    def contacts_of_bms(self, record_id: RecordId) -> list[GlueContact]:
        self._belong()
        query = {**_BMS, "filter[psa_id]": str(record_id)}
        found = self._session.pages("/contacts", query, self._lane)
        return [self._contact(row) for page in found for row in page]

    def contacts(
        self, organization_id: OrganizationId, *, fresh: bool = False
    ) -> list[GlueContact]:
        self._belong()
        known = self._memory.contacts.get(organization_id)
        if known is None or fresh or self._now() - known[0] > _CONTACTS_KEPT:
            began = self._now()
            query = {"filter[organization_id]": str(organization_id)}
            rows = [
                self._contact(row)
                for page in self._session.pages("/contacts", query, self._lane)
                for row in page
            ]
            mine = {one.id: one for one in rows if one.organization_id == organization_id}
            known = (began, mine)
            with self._memory.lock:
                if len(self._memory.contacts) >= _MOST_LISTS:
                    self._memory.contacts.clear()
                self._memory.contacts[organization_id] = known
        return list(known[1].values())

    def is_synced(self, contact_id: GlueId) -> bool:
        query = {"filter[id]": str(contact_id), "include": "adapters_resources"}
        rows = [row for page in self._session.pages("/contacts", query, self._lane) for row in page]
        return any(_is_synced(row) for row in rows if str(row.get("id")) == contact_id)

    def create(
        self,
        organization_id: OrganizationId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry],
        phones: Sequence[GlueEntry],
    ) -> GlueContact:
        attributes = {
            "organization-id": int(organization_id),
            **fields,
            "contact-emails": [_email(one) for one in emails],
            "contact-phones": [_phone(one) for one in phones],
        }
        row = self._session.write("POST", "/contacts", attributes, self._lane)
        return self._seen(self._contact(row or {}))

    def update(
        self,
        contact_id: GlueId,
        fields: Mapping[str, object],
        emails: Sequence[GlueEntry] | None,
        phones: Sequence[GlueEntry] | None,
    ) -> GlueContact:
        attributes = dict(fields)
        if emails is not None:
            attributes["contact-emails"] = [_email(one) for one in emails]
        if phones is not None:
            attributes["contact-phones"] = [_phone(one) for one in phones]
        row = self._session.write("PATCH", f"/contacts/{contact_id}", attributes, self._lane)
        if row is None:
            raise DecideAgain("The contact is gone in IT Glue.")
        return self._seen(self._contact(row))

    def _belong(self) -> None:
        self._memory.belong_to(self._session.settings().version)

    def _seen(self, contact: GlueContact) -> GlueContact:
        """What we wrote is in the list that we keep, whatever its age."""
        known = self._memory.contacts.get(contact.organization_id)
        if known is not None:
            with self._memory.lock:
                known[1][contact.id] = contact
        return contact

    def _contact(self, row: Mapping[str, Any]) -> GlueContact:
        values = _attributes(row)
        emails = tuple(_entry(one) for one in values.get("contact-emails") or [])
        phones = tuple(_entry(one) for one in values.get("contact-phones") or [])
        for one in (*emails, *phones):
            if one.label:
                self._memory.labels[one.label] += 1
        type_id = values.get("contact-type-id")
        return GlueContact(
            id=GlueId(str(row.get("id") or "")),
            organization_id=OrganizationId(int(values.get("organization-id") or 0)),
            first_name=str(values.get("first-name") or ""),
            last_name=str(values.get("last-name") or ""),
            title=str(values.get("title") or ""),
            type_id=None if type_id in (None, "") else int(str(type_id)),
            emails=emails,
            phones=phones,
            synced=_is_synced(row),
        )


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    values = row.get("attributes")
    given = values if isinstance(values, Mapping) else {}
    return {str(name).replace("_", "-"): value for name, value in given.items()}


def _is_synced(row: Mapping[str, Any]) -> bool:
    """Whether IT Glue says that a PSA keeps it; the mark's values are assumed (3.2, 9)."""
    mark = _attributes(row).get("psa-integration")
    relations = row.get("relationships") or {}
    adapters = (relations.get("adapters-resources") or {}).get("data")
    return mark not in (None, "", False, "disabled") or bool(adapters)


def _entry(given: Mapping[str, Any]) -> GlueEntry:
    one = {str(name).replace("_", "-"): value for name, value in given.items()}
    extension = one.get("extension")
    return GlueEntry(
        value=str(one.get("value") or ""),
        label=str(one.get("label-name") or ""),
        primary=bool(one.get("primary")),
        extension=None if extension is None else str(extension),
        label_type=str(one.get("label-type") or "phone"),
    )


def _email(one: GlueEntry) -> dict[str, object]:
    return {"value": one.value, "primary": one.primary, "label-name": one.label or "Work"}


def _phone(one: GlueEntry) -> dict[str, object]:
    return {
        "value": one.value,
        "extension": one.extension,
        "primary": one.primary,
        "label-name": one.label or "Work",
        "label-type": one.label_type,
    }


def _names(pages: Any, make: Any) -> dict[Any, str]:
    return {
        make(int(row["id"])): str(_attributes(row).get("name") or "")
        for page in pages
        for row in page
    }
