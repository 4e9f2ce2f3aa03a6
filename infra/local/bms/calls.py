"""One request, read: path ids, query, form or JSON body."""

from __future__ import annotations

import email.parser
import email.policy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from infra.local.bms.refusals import Unreadable, UnsupportedBody

if TYPE_CHECKING:
    from infra.local.bms.service import Service
    from infra.local.bms.switches import Switches
    from infra.local.bms.world import World


class Query:
    """Query parameters by name in any casing; a repeated name is a list."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        if text:
            for name, value in parse_qsl(text, keep_blank_values=True):
                self._values.setdefault(name.lower(), []).append(value)

    def names(self) -> list[str]:
        """Return the names that were sent, in lower case."""
        return list(self._values)

    def text(self, name: str) -> str | None:
        """Return a text; an empty one counts as left out, as in .NET."""
        return next(iter(self._values.get(name.lower(), ())), None) or None

    def integer(self, name: str) -> int | None:
        """Return a whole number."""
        value = self.text(name)
        return None if value is None else self._integer(name, value)

    def integers(self, name: str) -> list[int]:
        """Return every value of a repeated name."""
        return [self._integer(name, each) for each in self._values.get(name.lower(), ()) if each]

    def boolean(self, name: str) -> bool | None:
        """Return true or false."""
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise Unreadable({name: [f"The value '{value}' is not valid."]})
        return value.lower() == "true"

    def moment(self, name: str) -> float | None:
        """Return a time as seconds since 1970; without a zone it is UTC."""
        value = self.text(name)
        if value is None:
            return None
        try:
            # A plus sign that a client forgot to escape arrives as a blank.
            read = datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError as error:
            raise Unreadable({name: [f"The value '{value}' is not valid."]}) from error
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()

    @staticmethod
    def _integer(name: str, value: str) -> int:
        try:
            number = int(value)
        except ValueError as error:
            raise Unreadable({name: [f"The value '{value}' is not valid."]}) from error
        if not -(2**31) <= number < 2**31:
            raise Unreadable({name: [f"The value '{value}' is not valid."]})
        return number


@dataclass(slots=True)
class Call:
    """A request that has found its route."""

    service: Service
    args: tuple[int | str, ...]
    query: Query
    content_type: str
    body: bytes
    user_id: int = 0
    ids: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = tuple(each for each in self.args if isinstance(each, int))

    @property
    def world(self) -> World:
        """The tenant."""
        return self.service.world

    @property
    def switches(self) -> Switches:
        """The behaviours in force."""
        return self.service.world.switches

    def json(self) -> Any:
        """Return the JSON body; only the declared content types are taken."""
        kind = self.content_type.partition(";")[0].strip().lower()
        is_json = kind in ("application/json", "text/json") or (
            kind.startswith("application/") and kind.endswith("+json")
        )
        if not is_json:
            raise UnsupportedBody(kind)
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unreadable({"$": [f"The body is not JSON: {error}"]}) from error

    def form(self) -> dict[str, str]:
        """Return the fields of a form, names in lower case."""
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        elif kind == "multipart/form-data":
            pairs = _multipart(self.content_type, self.body)
        else:
            raise UnsupportedBody(kind)
        return {name.lower(): value for name, value in pairs}


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    pairs: list[tuple[str, str]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            pairs.append((name, value.decode("utf-8", "replace")))
    return pairs
