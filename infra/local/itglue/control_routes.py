"""Control routes for tests and demos, under /_control/ on the plain port; see `control.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from infra.local.itglue.records import Account, Person
from infra.local.itglue.service import Service

Handler = Callable[[int, dict[str, Any]], Any]


class ControlRoutes:
    """Answers control requests against one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._handlers: dict[tuple[str, str], Handler] = {
            ("POST", "reset"): lambda *_: service.reset(),
            ("GET", "state"): lambda *_: {"version": self._account.version},
            ("PUT", "keys"): self._keys,
            ("POST", "clock"): self._clock,
            ("GET", "switches"): lambda *_: service.switches.as_json(),
            ("PATCH", "switches"): self._switches,
            ("GET", "faults"): lambda *_: service.faults.as_json(),
            ("POST", "faults"): lambda _, body: service.faults.add(body),
            ("DELETE", "faults"): lambda each, _: service.faults.clear(each or None),
            ("GET", "counters"): self._counters,
            ("DELETE", "counters"): lambda *_: service.journal.clear(),
            ("GET", "log"): lambda *_: service.journal.log_since(0),
            ("GET", "writes"): lambda *_: service.journal.writes_since(0),
            ("GET", "organizations"): lambda *_: [
                asdict(one) for one in self._account.organizations.values()
            ],
            ("POST", "organizations"): lambda _, body: self._account.add_organization(**body).id,
            ("POST", "locations"): lambda _, body: self._account.add_place(**body).id,
            ("GET", "types"): lambda *_: [asdict(one) for one in self._account.types.values()],
            ("POST", "types"): lambda _, body: self._account.add_type(**body).id,
            ("GET", "contacts"): lambda *_: [asdict(one) for one in self._account.people.values()],
            ("POST", "contacts"): lambda _, body: self._account.add_person(**body).id,
            ("PATCH", "contacts"): self._edit,
            ("DELETE", "contacts"): self._remove,
            ("POST", "generate"): self._generate,
        }

    @property
    def _account(self) -> Account:
        return self._service.account

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        words = [unquote(word) for word in target.partition("?")[0].strip("/").split("/")[1:]]
        handler = self._handlers.get((method, words[0]))
        if handler is None:
            return 404, json.dumps({"error": f"no control route {method} {target}"}).encode()
        number = int(words[1]) if len(words) > 1 else 0
        try:
            answer = handler(number, json.loads(body) if body else {})
        except (KeyError, TypeError, ValueError) as error:
            return 400, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()
        return 200, json.dumps(answer, separators=(",", ":")).encode()

    def _keys(self, _: int, body: dict[str, Any]) -> None:
        self._service.keys = set(body["keys"])

    def _clock(self, _: int, body: dict[str, Any]) -> None:
        self._service.ahead += float(body["forward"])

    def _switches(self, _: int, body: dict[str, Any]) -> dict[str, Any]:
        self._service.switches = self._service.switches.with_changes(body)
        return self._service.switches.as_json()

    def _counters(self, *_: Any) -> dict[str, Any]:
        service = self._service
        used = {key: service.used(key) for key in service.keys}
        limited = service.refused_by_limit
        return {**service.journal.counters(), "used": used, "refused_by_limit": limited}

    def _edit(self, number: int, body: dict[str, Any]) -> None:
        person: Person = self._account.people[number]
        for name, value in body.items():
            if not hasattr(person, name):
                raise ValueError(f"a contact has no {name}")
            setattr(person, name, value)
        self._account.touch(person)

    def _remove(self, number: int, _: dict[str, Any]) -> None:
        del self._account.people[number]
        self._account.version += 1

    def _generate(self, _: int, body: dict[str, Any]) -> None:
        """Many contacts at once, named by their number."""
        for index in range(int(body["count"])):
            self._account.add_person(
                int(body["organization_id"]),
                first_name="Person",
                last_name=f"{index:06d}",
                emails=[
                    {
                        "value": f"person{index:06d}@scale.example",
                        "primary": True,
                        "label-name": "Work",
                    }
                ],
            )
