"""Control routes for tests and demos, under /_control/ on the plain port.

`control.py` is the client; it documents what each of them does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import parse_qsl

from infra.local.bms.by_hand import add_contact, edit_contact, save_employee
from infra.local.bms.control_state import account_state, contact_json, contacts_json
from infra.local.bms.records import CustomField, ListEntry
from infra.local.bms.seed import generate, seed_demo
from infra.local.bms.service import Service
from infra.local.bms.tokens import Tokens

Handler = Callable[[int, dict[str, Any], dict[str, str]], Any]


class ControlRoutes:
    """Answers control requests against one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._handlers: dict[tuple[str, str], Handler] = {
            ("POST", "reset"): self._reset,
            ("GET", "state"): self._state,
            ("PUT", "credentials"): self._credentials,
            ("POST", "tokens"): self._tokens,
            ("POST", "clock"): self._clock,
            ("GET", "switches"): lambda *_: self._service.world.switches.as_json(),
            ("PATCH", "switches"): self._switches,
            ("GET", "faults"): lambda *_: self._service.faults.as_json(),
            ("POST", "faults"): lambda _, body, __: self._service.faults.add(body),
            ("DELETE", "faults"): lambda each, *_: self._service.faults.clear(each or None),
            ("GET", "counters"): lambda *_: self._service.journal.counters(),
            ("DELETE", "counters"): lambda *_: self._service.journal.clear(),
            ("GET", "log"): lambda _, __, q: self._service.journal.log_since(_since(q)),
            ("GET", "writes"): lambda _, __, q: self._service.journal.writes_since(_since(q)),
            ("GET", "usage"): self._usage,
            ("DELETE", "usage"): lambda *_: self._service.limit.clear(),
            ("GET", "accounts"): self._accounts,
            ("POST", "accounts"): self._add_account,
            ("PATCH", "accounts"): self._edit_account,
            ("POST", "locations"): self._add_location,
            ("PATCH", "locations"): self._edit_location,
            ("POST", "contacts"): self._add_contacts,
            ("PATCH", "contacts"): self._edit_contact,
            ("DELETE", "contacts"): self._remove_contact,
            ("GET", "employees"): self._employees,
            ("POST", "employees"): self._save_employee,
            ("PATCH", "employees"): self._save_employee,
            ("DELETE", "employees"): self._remove_employee,
            ("GET", "lists"): self._lists,
            ("POST", "lists"): self._add_list_entry,
            ("POST", "custom_fields"): self._add_custom_field,
            ("PUT", "itglue"): self._itglue,
            ("POST", "generate"): lambda _, body, __: generate(self._service.world, body),
            ("POST", "seed_demo"): self._seed_demo,
        }

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Return status and JSON body."""
        path, _, query_text = target.partition("?")
        words = path.strip("/").split("/")[1:]
        number = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        query = dict(parse_qsl(query_text))
        try:
            if (method, words[0]) == ("GET", "contacts"):
                return 200, self._contacts(number, query)
            handler = self._handlers.get((method, words[0]))
            if handler is None:
                return 404, json.dumps({"error": f"no control route {method} {path}"}).encode()
            answer = handler(number, json.loads(body) if body else {}, query)
        except (KeyError, TypeError, ValueError) as error:
            return 400, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
        return 200, json.dumps(answer, separators=(",", ":")).encode()

    def _reset(self, *_: Any) -> None:
        self._service.reset()

    def _state(self, *_: Any) -> dict[str, int]:
        world = self._service.world
        return {
            "version": world.version,
            "contacts": len(world.contacts),
            "active_contacts": len(world.index.ids(None, True)),
            "accounts": len(world.accounts),
            "employees": len(world.employees),
            "requests": self._service.journal.total,
        }

    def _credentials(self, _: int, body: dict[str, Any], __: dict[str, str]) -> None:
        service = self._service
        service.tokens = Tokens(replace(service.tokens.credentials, **body))
        service.world.tenant = service.tokens.credentials.tenant

    def _tokens(self, _: int, body: dict[str, Any], __: dict[str, str]) -> None:
        self._service.tokens.invalidate(refresh_too=bool(body.get("refresh_too")))

    def _clock(self, _: int, body: dict[str, Any], __: dict[str, str]) -> None:
        self._service.clock.ahead += float(body["forward"])

    def _switches(self, _: int, body: dict[str, Any], __: dict[str, str]) -> dict[str, Any]:
        self._service.set_switches(body)
        return self._service.world.switches.as_json()

    def _usage(self, *_: Any) -> dict[str, Any]:
        service = self._service
        usage = service.limit.usage(service.world.switches, service.clock.now())
        return {endpoint: asdict(each) for endpoint, each in usage.items()}

    def _accounts(self, *_: Any) -> list[dict[str, Any]]:
        world = self._service.world
        return [account_state(world, each) for each in world.accounts.values()]

    def _add_account(self, _: int, body: dict[str, Any], __: dict[str, str]) -> dict[str, Any]:
        world = self._service.world
        account = world.add_account(body["name"], body.get("is_active", True))
        for each in body.get("locations", ()):
            world.add_location(account, **each)
        return account_state(world, account)

    def _edit_account(self, number: int, body: dict[str, Any], _: dict[str, str]) -> Any:
        world = self._service.world
        account = world.accounts[number]
        account.name = body.get("name", account.name)
        account.is_active = body.get("is_active", account.is_active)
        account.modified_on = world.clock.now()
        world.names_changed()
        return account_state(world, account)

    def _add_location(self, number: int, body: dict[str, Any], _: dict[str, str]) -> int:
        world = self._service.world
        return world.add_location(world.accounts[number], **body).id

    def _edit_location(self, number: int, body: dict[str, Any], _: dict[str, str]) -> None:
        location = self._service.world.locations[number]
        location.name = body.get("name", location.name)
        location.is_main = body.get("is_main", location.is_main)
        location.is_active = body.get("is_active", location.is_active)
        self._service.world.names_changed()

    def _contacts(self, number: int, query: dict[str, str]) -> bytes:
        world = self._service.world
        if number:
            contact = world.contacts.get(number)
            return contact_json(contact).encode() if contact else b"null"
        account_id = int(query["account_id"]) if "account_id" in query else None
        is_active = query["is_active"] == "true" if "is_active" in query else None
        return contacts_json(world, account_id, is_active)

    def _add_contacts(self, _: int, body: dict[str, Any], __: dict[str, str]) -> list[int]:
        return [add_contact(self._service.world, each).id for each in body["contacts"]]

    def _edit_contact(self, number: int, body: dict[str, Any], _: dict[str, str]) -> None:
        world = self._service.world
        edit_contact(world, world.contacts[number], body)

    def _remove_contact(self, number: int, *_: Any) -> None:
        self._service.world.remove_contact(self._service.world.contacts[number])

    def _employees(self, *_: Any) -> list[dict[str, Any]]:
        world = self._service.world
        return [
            {**asdict(each), "job_title": world.list_name_of("job_titles", each.job_title_id)}
            for each in world.employees.values()
        ]

    def _save_employee(self, number: int, body: dict[str, Any], _: dict[str, str]) -> int:
        return save_employee(self._service.world, number or None, body).id

    def _remove_employee(self, number: int, *_: Any) -> None:
        del self._service.world.employees[number]
        self._service.world.version += 1

    def _lists(self, *_: Any) -> dict[str, list[dict[str, Any]]]:
        lists = self._service.world.lists
        return {name: [asdict(row) for row in rows.values()] for name, rows in lists.items()}

    def _add_list_entry(self, _: int, body: dict[str, Any], __: dict[str, str]) -> int:
        rest = dict(body)
        list_name = rest.pop("list_name")
        entry = ListEntry(**({"id": 0} | rest))
        return self._service.world.add_list_entry(list_name, entry).id

    def _add_custom_field(self, _: int, body: dict[str, Any], __: dict[str, str]) -> int:
        world = self._service.world
        module_id = body.get("module_id", world.switches.contact_module_id)
        field = CustomField(
            world.next_custom_id(), module_id, body["name"], bool(body.get("is_required", False))
        )
        world.custom_fields[field.id] = field
        return field.id

    def _itglue(self, _: int, body: dict[str, Any], __: dict[str, str]) -> None:
        world = self._service.world
        world.itglue_enabled = bool(body["enabled"])
        for each in body.get("links", ()):
            world.itglue_links[each["kind"], each["id"]] = (each["itglue_id"], each["name"])

    def _seed_demo(self, _: int, body: dict[str, Any], __: dict[str, str]) -> dict[str, Any]:
        return seed_demo(self._service.world, body["domains"])


def _since(query: dict[str, str]) -> int:
    return int(query.get("since", 0))
