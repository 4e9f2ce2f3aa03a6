"""Client of the control routes: sets the stand-in up, looks into it, edits contacts by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.bms.faults import Kind
from infra.local.itglue.service import DEFAULT_KEY
from infra.local.network.control_client import ControlClient

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PersonState:
    """A contact as IT Glue holds it."""

    id: int
    organization_id: int
    first_name: str | None
    last_name: str | None
    title: str | None
    contact_type_id: int | None
    location_id: int | None
    important: bool | None
    notes: str | None
    restricted: bool | None
    emails: list[Json]
    phones: list[Json]
    psa_id: int | None
    psa_type: str
    created_at: float
    updated_at: float

    @property
    def primary_email(self) -> str:
        """The address that is marked as primary."""
        return next((str(each["value"]) for each in self.emails if each["primary"]), "")


class ItGlueControl:
    """Sets the stand-in up, looks into it, and does what a person does in IT Glue's pages."""

    key = DEFAULT_KEY

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = ControlClient(base_url)

    def reset(self) -> None:
        """Begin anew: an empty account, the default key, default switches, nothing counted."""
        self._client.call("POST", "reset")

    def set_keys(self, *keys: str) -> None:
        """The keys that open the account; all others are refused from here on."""
        self._client.call("PUT", "keys", body={"keys": list(keys)})

    def move_clock(self, seconds: float) -> None:
        """Move the clock of limit and timestamps forward."""
        self._client.call("POST", "clock", body={"forward": seconds})

    def set_switches(self, **changes: object) -> None:
        """Change behaviours; switches.py lists them."""
        self._client.call("PATCH", "switches", body=changes)

    def add_fault(self, kind: Kind, endpoint: str = "*", **more: Any) -> int:
        """Put a fault in force and return its id; infra/local/bms/faults.py explains the parts.

        "unauthorized" answers as to a revoked key.
        """
        body = {"kind": kind, "endpoint": endpoint, **more}
        return int(self._client.call("POST", "faults", body=body))

    def clear_faults(self) -> None:
        """End all faults."""
        self._client.call("DELETE", "faults")

    def counters(self) -> Json:
        """What was called how often: total, calls, statuses, used, refused_by_limit."""
        return dict(self._client.call("GET", "counters"))

    def calls(self, endpoint: str) -> int:
        """How often one endpoint was called."""
        return int(self.counters()["calls"].get(endpoint, 0))

    def clear_counters(self) -> None:
        """Forget counters, log and writes."""
        self._client.call("DELETE", "counters")

    def log(self) -> list[Json]:
        """All requests, without bodies."""
        return list(self._client.call("GET", "log"))

    def writes(self) -> list[Json]:
        """All requests that were to change something, with their bodies."""
        return list(self._client.call("GET", "writes"))

    def add_organization(self, name: str, *, psa_id: int | None = None, **more: Any) -> int:
        """A new organization; `psa_id` is the BMS account that IT Glue knows it by."""
        body = {"name": name, "psa_id": psa_id, **more}
        return int(self._client.call("POST", "organizations", body=body))

    def add_location(self, organization_id: int, name: str, **more: Any) -> int:
        """A new location."""
        body = {"organization_id": organization_id, "name": name, **more}
        return int(self._client.call("POST", "locations", body=body))

    def add_type(self, name: str, *, synced: bool = False) -> int:
        """A new contact type."""
        return int(self._client.call("POST", "types", body={"name": name, "synced": synced}))

    def types(self) -> dict[str, int]:
        """Contact types by name."""
        return {each["name"]: each["id"] for each in self._client.call("GET", "types")}

    def add_contact(
        self,
        organization_id: int,
        first_name: str = "",
        last_name: str = "",
        *,
        emails: Sequence[str] = (),
        phones: Sequence[Json] = (),
        psa_id: int | None = None,
        **more: Any,
    ) -> int:
        """A contact that a person made; the first e-mail is the primary one."""
        body = {
            "organization_id": organization_id,
            "first_name": first_name or None,
            "last_name": last_name or None,
            "emails": [
                {"value": each, "primary": not place, "label-name": "Work"}
                for place, each in enumerate(emails)
            ],
            "phones": list(phones),
            "psa_id": psa_id,
            **more,
        }
        return int(self._client.call("POST", "contacts", body=body))

    def edit_contact(self, number: int, **changes: Any) -> None:
        """Edit a contact by hand."""
        self._client.call("PATCH", "contacts", str(number), body=changes)

    def remove_contact(self, number: int) -> None:
        """Delete a contact by hand."""
        self._client.call("DELETE", "contacts", str(number))

    def contacts(self, organization_id: int | None = None) -> list[PersonState]:
        """All contacts, or those of an organization."""
        found = [PersonState(**each) for each in self._client.call("GET", "contacts")]
        return [one for one in found if organization_id in (None, one.organization_id)]

    def contact(self, number: int) -> PersonState:
        """One contact."""
        return next(one for one in self.contacts() if one.id == number)

    def generate(self, organization_id: int, count: int) -> None:
        """Many contacts at once."""
        body = {"organization_id": organization_id, "count": count}
        self._client.call("POST", "generate", body=body)
