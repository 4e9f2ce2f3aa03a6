"""Calls to Microsoft Graph with the token of one connection, and what its refusals mean.

Acts on status and code, never on the message, but for the one case that graph.md 3.8 names. A token
may end in the middle of a run: a 401 is answered by one new token and one repeat.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.adapters.http import Answer, Brake, HttpClient
from shared.core.model import Connection
from shared.core.signin_trouble import PERMISSIONS
from shared.errors import DecideAgain, PersonMustAct, Rejected, SyncError, TryLater
from shared.ports import SignIn

NAME = "Microsoft Graph"
# Casts and $count are "advanced queries"; the header is not remembered in a nextLink.
EVENTUAL = {"ConsistencyLevel": "eventual"}
_RESTARTS = 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class GraphCalls:
    """Everything that reaches Graph for one connection goes through here."""

    http: HttpClient
    base: str  # "https://graph.microsoft.com/v1.0"
    connection: Connection
    sign_in: SignIn
    brake: Brake  # shared by all threads of this process that call for the same tenant

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json_body: object = None,
        idempotent: bool | None = None,
        fresh: bool = False,
        handed_back: Collection[int] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        """One call; `url` is a path under the base, or a link of Graph's, followed as given."""
        full = url if url.startswith("http") else f"{self.base}{url}"
        if not self.http.allows(full):
            raise Rejected(
                "Microsoft Graph named a next page on another host; it was not followed.",
                "Check GRAPH_URL: it must be the address that Graph itself uses in its links.",
            )
        token = self.sign_in.token(self.connection, fresh=fresh)
        for last in (False, True):
            answer = self.http.request(
                method,
                full,
                headers={
                    "Authorization": f"Bearer {token}",
                    "client-request-id": str(uuid.uuid4()),
                    **(headers or {}),
                },
                json_body=json_body,
                idempotent=idempotent,
                brake=self.brake,
                handed_back=handed_back,
                read_timeout=read_timeout,
            )
            if answer.status != 401 or last:
                break
            token = self.newer_than(token)
        return answer

    def newer_than(self, token: str) -> str:
        """Another token than this one, which Graph has just refused."""
        newer = self.sign_in.token(self.connection)
        return newer if newer != token else self.sign_in.token(self.connection, fresh=True)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object; raises whatever the refusal means."""
        answer = self.request("GET", url, headers=headers)
        if not answer.ok:
            raise error_of(answer)
        return object_of(answer)

    def pages(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """The rows of a list, page by page; never just ends early."""
        return self.pages_as(_rows_and_link, url, headers)

    def pages_as(
        self,
        read: Callable[[Answer], tuple[list[_T], str]],
        url: str,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[list[_T]]:
        """The same, where `read` gives a page's rows and the link to the next one.

        The tokens in nextLinks of lists live for minutes only. One that has died starts the list
        again, so rows may come twice.
        """
        following, restarts = url, 0
        while following:
            answer = self.request("GET", following, headers=headers)
            if not answer.ok:
                if following != url and "directory_expiredpagetoken" in codes_of(answer):
                    restarts += 1
                    if restarts > _RESTARTS:
                        raise TryLater("Microsoft Graph gave up a list before it was read.")
                    following = url
                    continue
                raise error_of(answer)
            rows, link = read(answer)
            if link == following:
                raise TryLater("Microsoft Graph sent a page that leads to itself.")
            yield rows
            following = link


def _rows_and_link(answer: Answer) -> tuple[list[dict[str, Any]], str]:
    body = object_of(answer)
    return rows_of(body), next_link(body)


def rows_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a page; TryLater when it has none."""
    rows = body.get("value")
    if not isinstance(rows, list):
        raise TryLater("Microsoft Graph sent a page without its rows.")
    return rows


def next_link(body: Mapping[str, Any]) -> str:
    """The link to the next page, exactly as given; empty at the end."""
    link = body.get("@odata.nextLink")
    return link if isinstance(link, str) else ""


def object_of(answer: Answer) -> dict[str, Any]:
    """The body as a JSON object."""
    body = answer.json()
    if not isinstance(body, dict):
        raise TryLater("Microsoft Graph sent an answer of an unknown form.")
    return body


def error_body(answer: Answer) -> dict[str, Any]:
    """The `error` object of a refusal; empty when there is none."""
    try:
        body = answer.json()
    except SyncError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def codes_of(answer: Answer) -> list[str]:
    """All codes of a refusal in lower case, walking inwards."""
    return codes_in(error_body(answer))


def codes_in(error: object) -> list[str]:
    """The same for an error object, as a part of a batch carries one."""
    found: list[str] = []
    for _ in range(8):
        if not isinstance(error, dict):
            break
        code = error.get("code")
        if isinstance(code, str) and code:
            found.append(code.lower())
        # Spelled innerError in practice, innererror in the schema.
        error = next((error[key] for key in error if key.lower() == "innererror"), None)
    return found


def error_of(answer: Answer) -> SyncError:
    """What a refusal means for us."""
    return error_for(answer.status, codes_of(answer), answer.headers.get("request-id", ""))


def error_for(status: int, codes: list[str], request_id: str = "") -> SyncError:
    """The same from its pieces."""
    if status == 401:
        return TryLater("Microsoft Graph does not accept the token, although it is new.")
    if status == 403:
        return PersonMustAct(PERMISSIONS.reason, PERMISSIONS.next_step, code=PERMISSIONS.code)
    if status == 404:
        return DecideAgain("What was asked for no longer exists in Entra.")
    if status == 429 or status >= 500:
        return TryLater(f"Microsoft Graph answered with HTTP {status}.", counts=status != 429)
    code = codes[-1] if codes and re.fullmatch(r"[\w.]{1,80}", codes[-1]) else "no code"
    return Rejected(
        f"Microsoft Graph refused a request (HTTP {status}, {code}).",
        f"If it happens again, report the request id {request_id or '(none)'} with the log.",
        code="graph-refused",
    )
