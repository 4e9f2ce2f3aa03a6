"""Replies on the wire: casing, envelopes and the bodies of errors.

Handlers speak in the file's PascalCase; the live service answers in camelCase, so the casing is
decided here, once per reply.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from infra.local.bms.refusals import (
    NotSignedIn,
    NotThere,
    Refusal,
    Rejected,
    SignInRefused,
    Unreadable,
    UnsupportedBody,
    V1Refused,
)
from infra.local.bms.switches import Switches

# Only "Security Error" with this number has been seen in the wild; the others are made up.
SECURITY_ERROR = 978001
REJECTED = 978010
NOT_THERE = 978011
TOO_MANY = 978012
UNWELL = 978013
NOT_SERVED = 978014

JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the caller."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@cache
def camel(name: str) -> str:
    """Write a member name as .NET's camel-case policy does: ITGlueId becomes itGlueId."""
    letters = list(name)
    for place, letter in enumerate(letters):
        if not letter.isupper():
            break
        followed_by_lower = place + 1 < len(letters) and not letters[place + 1].isupper()
        if place > 0 and followed_by_lower:
            break
        letters[place] = letter.lower()
    return "".join(letters)


def _in_camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {camel(name): _in_camel(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_in_camel(each) for each in value]
    return value


def as_wire(value: Any, switches: Switches) -> bytes:
    """Serialise a PascalCase value in the casing that is switched on."""
    cased = _in_camel(value) if switches.reply_casing == "camel" else value
    return json.dumps(cased, separators=(",", ":"), ensure_ascii=False).encode()


def enveloped(result: Any, switches: Switches, total: int | None = None) -> Reply:
    """Answer with success and a result; a total makes it the paged envelope."""
    whole: dict[str, Any] = {"Success": True, "Error": None, "Result": result}
    if total is not None:
        whole["TotalRecords"] = total
    return Reply(body=as_wire(whole, switches))


def enveloped_rows(rows: Sequence[bytes], switches: Switches, total: int) -> Reply:
    """Answer with rows that are serialised already, in the paged envelope."""
    camel_case = switches.reply_casing == "camel"
    head = (
        b'{"success":true,"error":null,"result":['
        if camel_case
        else b'{"Success":true,"Error":null,"Result":['
    )
    tail = b'],"totalRecords":%d}' if camel_case else b'],"TotalRecords":%d}'
    return Reply(body=head + b",".join(rows) + tail % total)


def failure(
    switches: Switches,
    status: int,
    code: int,
    message: str,
    details: str | None = None,
    sub_errors: Sequence[str] = (),
    headers: dict[str, str] | None = None,
) -> Reply:
    """Answer with the error envelope."""
    whole = {
        "Success": False,
        "Error": {
            "Code": code,
            "Message": message,
            "Details": details,
            "StackStrace": None,
            "SubErrors": list(sub_errors),
        },
        "Result": None,
    }
    return Reply(status, as_wire(whole, switches), headers=headers or {})


def refused(refusal: Refusal, switches: Switches) -> Reply:
    """Turn a refusal into the reply that the switches ask for."""
    text = str(refusal)
    if isinstance(refusal, Rejected):
        status = switches.validation_status
        return failure(switches, status, REJECTED, "Validation Error", text, refusal.reasons)
    if isinstance(refusal, NotThere):
        return failure(switches, switches.not_found_status, NOT_THERE, "Not Found", text)
    if isinstance(refusal, NotSignedIn):
        return failure(
            switches, switches.auth_failure_status, SECURITY_ERROR, "Security Error", text
        )
    if isinstance(refusal, SignInRefused):
        return failure(
            switches, switches.signin_refused_status, SECURITY_ERROR, "Security Error", text
        )
    if isinstance(refusal, V1Refused):
        body = {"error": refusal.error, "error_description": refusal.description}
        return Reply(refusal.status, json.dumps(body).encode())
    if isinstance(refusal, UnsupportedBody):
        return _problem(415, "Unsupported Media Type", {})
    if isinstance(refusal, Unreadable):
        if switches.bad_request_body == "envelope":
            return failure(switches, 400, REJECTED, "Bad Request", text)
        if switches.bad_request_body == "none":
            return Reply(400)
        errors = {where: list(why) for where, why in refusal.errors.items()}
        return _problem(400, "One or more validation errors occurred.", errors)
    raise refusal


def _problem(status: int, title: str, errors: dict[str, list[str]]) -> Reply:
    # ASP.NET's own refusals are problem details, never BMS's envelope.
    whole: dict[str, Any] = {"title": title, "status": status}
    if errors:
        whole["errors"] = errors
    return Reply(status, json.dumps(whole).encode(), PROBLEM)
