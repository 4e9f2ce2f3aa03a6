"""Which contact in IT Glue is a BMS contact? (R27)

The one that was passed on before; else the one that IT Glue itself connects with the BMS contact;
else, within the organization, by e-mail, then by exact name. A contact that another BMS contact
holds is never taken, unless nobody owns that one any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.itglue import (
    GlueContact,
    GlueId,
    ItGlueSettings,
    Matched,
    OrganizationId,
    PassedOn,
    PassState,
    Several,
    WantedInGlue,
    match,
)
from shared.core.itglue_messages import PassItem
from shared.core.model import Link, RecordType
from shared.errors import DecideAgain
from shared.ports import ItGlue, Owners, PassedOnStore
from shared.sync.itglue_organizations import ItGlueOrganizations


@dataclass(frozen=True, slots=True)
class Case:
    """One record while it is passed on."""

    item: PassItem
    link: Link
    row: PassedOn
    wanted: WantedInGlue
    settings: ItGlueSettings
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stays:
    """It cannot be passed on, for a reason that is told once."""

    state: PassState
    reason: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Nobody matches: a new contact is due in this organization."""

    organization_id: OrganizationId


Found = Matched | Stays | Nowhere | None


@dataclass(frozen=True, slots=True)
class FindInGlue:
    """Finds and holds contacts, paid for from one lane of the limit."""

    glue: ItGlue
    rows: PassedOnStore
    owners: Owners
    organizations: ItGlueOrganizations
    reads_afresh: bool  # bulk work may match against a list of the last minute

    def find(self, case: Case) -> tuple[Case, Found]:
        """The contact; None: there is none, and none is needed."""
        wanted = case.wanted
        case, contact = self._known(case)
        if contact is not None:
            return case, Matched(contact, "")
        of_bms = self.glue.contacts_of_bms(wanted.record_id)
        if len(of_bms) == 1:
            return case, Matched(replace(of_bms[0], synced=True), "BMS id")
        if of_bms:
            return case, _several(Several(tuple(one.id for one in of_bms), "BMS id"))
        if wanted.account_id is None:
            return case, None
        mapped = self.organizations.of(wanted.account_id, case.settings)
        if mapped.organization_id is None:
            if not wanted.active:
                return case, None
            reason = f"BMS account {wanted.account_id} has no organization: {mapped.reason}"
            return case, Stays(PassState.UNMAPPED, reason)
        # Somebody may have died over a creation.
        fresh = self.reads_afresh or case.row.creating_until is not None
        contacts = self.glue.contacts(mapped.organization_id, fresh=fresh)
        return case, self._match(case, contacts) or Nowhere(mapped.organization_id)

    def hold(self, row: PassedOn, contact_id: GlueId) -> PassedOn:
        """Hold the contact for this record; DecideAgain when somebody else was quicker.

        The row answered knows what was known of the contact when another record held it.
        """
        held = self.rows.holder(contact_id)
        if held is not None and held.record_id == row.record_id:
            return row
        if not self.rows.hold(contact_id, row, held):
            raise DecideAgain("Another contact of BMS was given this one in IT Glue.")
        former = self.rows.get(held.record_id) if held is not None else None
        if former is None or former.contact_id != contact_id:
            return row
        return replace(
            row,
            type_before=former.type_before,
            type_set=former.type_set,
            written=former.written,
        )

    def _known(self, case: Case) -> tuple[Case, GlueContact | None]:
        row = case.row
        if row.contact_id is None:
            return case, None
        if not case.wanted.active:
            held = self.rows.holder(row.contact_id)
            if held is not None and held.record_id != row.record_id:
                # Another BMS contact has taken it over: it is not ours to mark.
                return replace(case, row=replace(row, contact_id=None, type_set=None)), None
        contact = self.glue.contact(row.contact_id)
        if contact is not None:
            return case, contact
        note = f"contact {row.contact_id} is gone in IT Glue: the person is matched again"
        gone = replace(row, contact_id=None, type_set=None, type_before=None)
        return replace(case, notes=(*case.notes, note), row=gone), None

    def _match(self, case: Case, contacts: Sequence[GlueContact]) -> Matched | Stays | None:
        left = list(contacts)
        while True:
            found = match(case.wanted, left)
            if found is None:
                return None
            ids = [found.contact.id] if isinstance(found, Matched) else list(found.ids)
            taken = [each for each in ids if self._is_anothers(case.row, each)]
            if not taken:
                return found if isinstance(found, Matched) else _several(found)
            left = [one for one in left if one.id not in taken]

    def _is_anothers(self, row: PassedOn, contact_id: GlueId) -> bool:
        held = self.rows.holder(contact_id)
        if held is None or held.record_id == row.record_id:
            return False
        other = self.rows.get(held.record_id)
        if other is None or other.contact_id != contact_id:
            return False
        return bool(self.owners.get_many(RecordType.CONTACT, [held.record_id]))


def _several(found: Several) -> Stays:
    return Stays(
        PassState.AMBIGUOUS,
        f"{len(found.ids)} contacts match by {found.by} ({', '.join(found.ids)}): leave only one "
        "of them in IT Glue",
    )
