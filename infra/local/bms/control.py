"""Client of the control routes: sets the stand-in up, looks into it, edits records by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import requests

from infra.local.bms.control_values import (
    AccountState,
    ContactState,
    Counters,
    Json,
    NewAddress,
    WriteSeen,
    account_of,
    contact_of,
)
from infra.local.bms.faults import Kind

Addresses = Sequence[str | NewAddress]


class ControlRefused(Exception):
    """The stand-in did not take a control request."""


class BmsControl:
    """Sets the stand-in up, looks into it, and does what a person does in the BMS pages."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/") + "/_control/"
        self._session = requests.Session()
        # A proxy in the environment is for the app under test, not for us.
        self._session.trust_env = False

    # The stand-in itself

    def reset(self) -> None:
        """Begin anew: fresh tenant, default switches, no faults, nothing counted."""
        self._send("POST", "reset")

    def state(self) -> Mapping[str, int]:
        """Return version (grows with every change), number of contacts, accounts, requests…"""
        answer: Mapping[str, int] = self._send("GET", "state")
        return answer

    def set_credentials(
        self,
        tenant: str | None = None,
        user: str | None = None,
        password: str | None = None,
        mfa_code: str | None = None,
        mfa_secret: str | None = None,
        user_id: int | None = None,
    ) -> None:
        """Change who may sign in; what is None stays. All tokens become worthless."""
        given = {
            "tenant": tenant,
            "user": user,
            "password": password,
            "mfa_code": mfa_code,
            "mfa_secret": mfa_secret,
            "user_id": user_id,
        }
        self._send("PUT", "credentials", {name: v for name, v in given.items() if v is not None})

    def invalidate_tokens(self, refresh_too: bool = False) -> None:
        """Make every access token worthless."""
        self._send("POST", "tokens", {"refresh_too": refresh_too})

    def move_clock(self, seconds: float) -> None:
        """Move the clock of tokens, limits and timestamps forward."""
        self._send("POST", "clock", {"forward": seconds})

    def switches(self) -> Json:
        """Return all switches."""
        answer: Json = self._send("GET", "switches")
        return answer

    def set_switches(self, **changes: object) -> None:
        """Change behaviours; switches.py lists them."""
        self._send("PATCH", "switches", changes)

    def add_fault(
        self,
        kind: Kind,
        endpoint: str = "*",
        *,
        count: int | None = None,
        skip: int = 0,
        rate: float = 1.0,
        seconds: float = 120.0,
        status: int = 500,
        retry_after: int | None = None,
        contains: str | None = None,
    ) -> int:
        """Put a fault in force and return its id; faults.py explains the parts."""
        answer: int = self._send(
            "POST",
            "faults",
            {
                "kind": kind,
                "endpoint": endpoint,
                "count": count,
                "skip": skip,
                "rate": rate,
                "seconds": seconds,
                "status": status,
                "retry_after": retry_after,
                "contains": contains,
            },
        )
        return answer

    def faults(self) -> list[Json]:
        """Return the faults in force, with how often each has struck."""
        answer: list[Json] = self._send("GET", "faults")
        return answer

    def clear_faults(self, fault_id: int | None = None) -> None:
        """End one fault, or all."""
        self._send("DELETE", f"faults/{fault_id}" if fault_id else "faults")

    def counters(self) -> Counters:
        """Return what was called how often."""
        return Counters(**self._send("GET", "counters"))

    def clear_counters(self) -> None:
        """Forget counters, log and writes."""
        self._send("DELETE", "counters")

    def log(self, since: int = 0) -> list[Json]:
        """Return the requests after a number, without bodies."""
        answer: list[Json] = self._send("GET", f"log?since={since}")
        return answer

    def writes(self, since: int = 0) -> list[WriteSeen]:
        """Return the write requests after a number, with their bodies."""
        return [WriteSeen(**each) for each in self._send("GET", f"writes?since={since}")]

    def usage(self) -> Mapping[str, Json]:
        """Return used, limit and refused per endpoint in the present window."""
        answer: Mapping[str, Json] = self._send("GET", "usage")
        return answer

    def clear_usage(self) -> None:
        """Let the hourly window begin anew."""
        self._send("DELETE", "usage")

    # Records

    def add_account(
        self, name: str, is_active: bool = True, locations: Sequence[Json] | None = None
    ) -> AccountState:
        """Add an account; without locations given it has one named Main."""
        places = [{"name": "Main", "is_main": True}] if locations is None else list(locations)
        body = {"name": name, "is_active": is_active, "locations": places}
        return account_of(self._send("POST", "accounts", body))

    def edit_account(self, account_id: int, **changes: object) -> None:
        """Change name or is_active."""
        self._send("PATCH", f"accounts/{account_id}", changes)

    def accounts(self) -> list[AccountState]:
        """Return all accounts."""
        return [account_of(each) for each in self._send("GET", "accounts")]

    def add_location(
        self, account_id: int, name: str, is_main: bool = False, is_active: bool = True
    ) -> int:
        """Add a location and return its id."""
        body = {"name": name, "is_main": is_main, "is_active": is_active}
        answer: int = self._send("POST", f"locations/{account_id}", body)
        return answer

    def edit_location(self, location_id: int, **changes: object) -> None:
        """Change name, is_main or is_active."""
        self._send("PATCH", f"locations/{location_id}", changes)

    def add_contact(
        self,
        account_id: int,
        first_name: str = "",
        last_name: str = "",
        emails: Addresses = (),
        phones: Addresses = (),
        **members: object,
    ) -> ContactState:
        """Add a contact by hand; the first e-mail and phone are the defaults unless one says so.

        Further members: location_id (left out: the main one; None: empty), job_title, is_active,
        middle_name, poc, receive_invoices, bill_by_contact, effective_date, has_portal_access.
        """
        body = {
            "account_id": account_id,
            "first_name": first_name,
            "last_name": last_name,
            "emails": _addresses(emails),
            "phones": _addresses(phones),
            **members,
        }
        ids = self.add_contacts([body])
        return self.get_contact(ids[0])

    def add_contacts(self, bodies: Iterable[Json]) -> list[int]:
        """Add many contacts, each as add_contact sends it, and return their ids."""
        answer: list[int] = self._send("POST", "contacts", {"contacts": list(bodies)})
        return answer

    def edit_contact(
        self,
        contact_id: int,
        emails: Addresses | None = None,
        phones: Addresses | None = None,
        **members: object,
    ) -> ContactState:
        """Change a contact as a person does; e-mails and phones given replace the former ones."""
        body = dict(members)
        if emails is not None:
            body["emails"] = _addresses(emails)
        if phones is not None:
            body["phones"] = _addresses(phones)
        self._send("PATCH", f"contacts/{contact_id}", body)
        return self.get_contact(contact_id)

    def remove_contact(self, contact_id: int) -> None:
        """Delete a contact as a person does; it is not counted as an API call."""
        self._send("DELETE", f"contacts/{contact_id}")

    def find_contact(self, contact_id: int) -> ContactState | None:
        """Return a contact, or None when it is gone."""
        answer = self._send("GET", f"contacts/{contact_id}")
        return None if answer is None else contact_of(answer)

    def get_contact(self, contact_id: int) -> ContactState:
        """Return a contact that is there."""
        return contact_of(self._send("GET", f"contacts/{contact_id}"))

    def contacts(
        self, account_id: int | None = None, is_active: bool | None = None
    ) -> list[ContactState]:
        """Return contacts, all of them or those of an account or state."""
        return [contact_of(each) for each in self.contacts_json(account_id, is_active)]

    def contacts_json(
        self, account_id: int | None = None, is_active: bool | None = None
    ) -> list[Json]:
        """Return the same as plain JSON, for large numbers."""
        words = [] if account_id is None else [f"account_id={account_id}"]
        if is_active is not None:
            words.append(f"is_active={'true' if is_active else 'false'}")
        answer: list[Json] = self._send("GET", f"contacts?{'&'.join(words)}")
        return answer

    def add_employee(self, **members: object) -> int:
        """Add an employee and return its id; members left out take sensible values.

        Members: first_name, last_name, email, user_name, employee_id, job_title (a name) or
        job_title_id, department_id, location_id, manager_id, employment_type_id, role_ids,
        security_role_ids, user_type, is_active.
        """
        answer: int = self._send("POST", "employees", members)
        return answer

    def edit_employee(self, employee_id: int, **members: object) -> None:
        """Change an employee as a person does."""
        self._send("PATCH", f"employees/{employee_id}", members)

    def remove_employee(self, employee_id: int) -> None:
        """Take an employee away."""
        self._send("DELETE", f"employees/{employee_id}")

    def employees(self) -> list[Json]:
        """Return all employees with every member."""
        answer: list[Json] = self._send("GET", "employees")
        return answer

    def lists(self) -> Mapping[str, list[Json]]:
        """Return the look-up lists: departments, job_titles, email_types, phone_types…"""
        answer: Mapping[str, list[Json]] = self._send("GET", "lists")
        return answer

    def add_list_entry(self, list_name: str, name: str, **members: object) -> int:
        """Add a row to a look-up list, or replace the one whose id is given; return its id."""
        body = {"list_name": list_name, "name": name, **members}
        answer: int = self._send("POST", "lists", body)
        return answer

    def add_custom_field(self, name: str, is_required: bool = False) -> int:
        """Add a custom field to contacts and return its id."""
        body = {"name": name, "is_required": is_required}
        answer: int = self._send("POST", "custom_fields", body)
        return answer

    def set_itglue(self, enabled: bool, links: Sequence[Json] = ()) -> None:
        """Switch the IT Glue integration; links are {kind, id, itglue_id, name}."""
        self._send("PUT", "itglue", {"enabled": enabled, "links": list(links)})

    def seed_demo(
        self, domains: Sequence[str] = ("contoso.example", "fabrikam.example")
    ) -> Mapping[str, Mapping[str, int]]:
        """Fill the tenant with every awkward case; returns ids under accounts, locations, contacts.

        Contacts: plain, inactive, shared_email_1, shared_email_2, second_email, without_phone,
        without_location.
        """
        body = {"domains": list(domains)}
        answer: Mapping[str, Mapping[str, int]] = self._send("POST", "seed_demo", body)
        return answer

    def generate(
        self,
        count: int,
        *,
        accounts: int = 1,
        account_ids: Sequence[int] | None = None,
        start: int = 1,
        inactive_every: int = 0,
        first_name: str = "Given{n}",
        last_name: str = "Family{n}",
        email: str | None = "user{n}@contoso.example",
        phone: str | None = None,
        mobile: str | None = None,
        job_title: str | None = None,
    ) -> list[int]:
        """Add many contacts evenly to accounts (new ones unless given); return the accounts' ids.

        Texts may hold {n}, the number of the contact, and {account}, the place of its account.
        """
        body = {
            "count": count,
            "accounts": accounts,
            "account_ids": list(account_ids or ()),
            "start": start,
            "inactive_every": inactive_every,
            "first_name": first_name,
            "last_name": last_name,
            "email": email,
            "phone": phone,
            "mobile": mobile,
            "job_title": job_title,
        }
        answer: list[int] = self._send("POST", "generate", body)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        reply = self._session.request(method, self._base + path, data=data, timeout=120)
        if reply.status_code != 200:
            raise ControlRefused(reply.json()["error"])
        return reply.json()


def _addresses(given: Addresses) -> list[Json]:
    new = [NewAddress(each) if isinstance(each, str) else each for each in given]
    has_default = any(each.is_default for each in new)
    return [
        {
            "value": each.value,
            "type": each.type,
            "is_default": each.is_default or (place == 0 and not has_default),
        }
        for place, each in enumerate(new)
    ]
