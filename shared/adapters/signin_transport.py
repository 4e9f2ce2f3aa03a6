"""What MSAL sends and receives through: our own HTTP client.

MSAL takes any object with `get` and `post`. Passing trouble leaves here as TryLater, so MSAL never
sees a 5xx (it would raise an exception of its own) nor a body that is no JSON (it would write the
whole body, tokens included, into the log).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.adapters.http import Answer, HttpClient
from shared.core.signin_trouble import TENANT_UNKNOWN, Refusal, explain_answer
from shared.errors import PersonMustAct, TryLater


@dataclass(frozen=True, slots=True)
class MsalResponse:
    """A response as MSAL wants it."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """MSAL asks for it on statuses that never come through here."""


@dataclass(frozen=True, slots=True)
class MsalTransport:
    """`http_client` for MSAL."""

    http: HttpClient

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> MsalResponse:
        """MSAL reads the tenant's metadata with this."""
        answer = self.http.request("GET", url, params=params, headers=_texts(headers))
        if not answer.ok:
            raise refused(_object(answer), otherwise=TENANT_UNKNOWN)
        _object(answer)
        return MsalResponse(answer.status, answer.content.decode(), answer.headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> MsalResponse:
        """MSAL asks the token endpoint with this."""
        form = {name: str(value) for name, value in (data or {}).items()}
        answer = self.http.request(
            "POST",
            url,
            params=params,
            form=form,
            headers=_texts(headers),
            # A code works once; refresh tokens and secrets work as often as they are sent.
            idempotent=form.get("grant_type") != "authorization_code",
        )
        _object(answer)
        return MsalResponse(answer.status, answer.content.decode(), answer.headers)

    def close(self) -> None:
        """The session lives longer than MSAL's objects."""


def refused(answer: Mapping[str, object], *, otherwise: Refusal | None = None) -> Exception:
    """The error for a refusal: TryLater for passing trouble, else PersonMustAct."""
    refusal = explain_answer(answer) if answer.get("error") else otherwise
    if refusal is None:
        return TryLater("Microsoft's sign-in service has trouble that passes.")
    return PersonMustAct(refusal.reason, refusal.next_step, code=refusal.code)


def _texts(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (headers or {}).items() if value is not None}


def _object(answer: Answer) -> Mapping[str, object]:
    found = answer.json()
    if not isinstance(found, dict):
        raise TryLater("Microsoft's sign-in service sent an answer of an unknown form.")
    return found


def json_object(text: str) -> dict[str, Any]:
    """A JSON object from a text that may be anything; empty when it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
