"""Connect (R28): the start from the admin API, and the page that Microsoft sends the browser to.

The start answers with the identity provider's own address and sets a cookie that binds the flow to
this browser. Its name is made of the state, so that two connects side by side keep one each.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.config import Settings
from shared.core.model import Connection, ConnectionId
from shared.errors import BadInput, PersonMustAct, SyncError, TryLater
from shared.ports import SignInStart
from shared.web.api.shapes import Shown
from shared.web.console.rendering import standing_alone
from shared.web.http import Reply, cookies_of, json_reply
from shared.web.router import AnyQuery, Call, Route

_TEN_MINUTES = 600
# The address of this page holds a code: nothing on it may carry that on to anybody.
_PAGE_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
    ),
)

log = logging.getLogger(__name__)


class Connecting(Protocol):
    """The use case behind it."""

    def begin(self, connection_id: ConnectionId) -> SignInStart: ...

    def finish(self, *, cookie: str, query: Mapping[str, str]) -> Connection: ...


class ConnectStarted(Shown):
    """Where the browser has to go."""

    authorize_url: str


@dataclass(frozen=True, slots=True)
class ConnectApi:
    """The start and the end of the flow."""

    connect: Connecting
    settings: Settings

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        return [
            Route(
                "POST",
                "/api/connections/{connectionId}/connect",
                self.begin,
                "Start the sign-in to the tenant",
                description=(
                    "Answers with the address of Microsoft's sign-in page, where the browser has "
                    "to go within ten minutes. The cookie binds the sign-in to this browser."
                ),
                refusals=(409,),
                headers={200: {"Set-Cookie": "Binds the sign-in to this browser."}},
                reply=ConnectStarted,
            ),
            Route(
                "GET",
                "/OAuth/IntegrationCallback.aspx",
                self.finish,
                "Where Microsoft sends the browser back to",
                query=AnyQuery,
                anonymous=True,
            ),
        ]

    def begin(self, call: Call) -> Reply:
        """POST /api/connections/{id}/connect."""
        start = self.connect.begin(ConnectionId(call.path["connectionId"]))
        return json_reply(
            ConnectStarted(authorize_url=start.authorize_url),
            headers=(("Set-Cookie", self._cookie(start.state, start.cookie, _TEN_MINUTES)),),
        )

    def finish(self, call: Call) -> Reply:
        """GET /OAuth/IntegrationCallback.aspx."""
        query = call.request.query
        state = query.get("state", "")
        cookie = cookies_of(call.request).get(_name(state), "")
        try:
            connection = self.connect.finish(cookie=cookie, query=query)
        except BadInput as refusal:
            return self._page(refusal.status, "Not connected", refusal.sentence, state)
        except TryLater as error:
            again = f"{error.sentence} Please start Connect again in a few minutes."
            return self._page(503, "Not connected", again, state)
        except PersonMustAct as error:
            words = f"{error.sentence} {error.next_step}"
            return self._page(400, "Not connected", words, state)
        except SyncError as error:
            log.error("callback failed: %s", type(error).__name__)
            return self._page(500, "Not connected", "Please start Connect again.", state)
        return self._page(
            200, "Connected", f"{connection.tenant_domain} is connected.", state, connection
        )

    def _page(
        self, status: int, title: str, words: str, state: str, connection: Connection | None = None
    ) -> Reply:
        """A page, not a redirect: the session's cookie does not come along from Microsoft."""
        page = standing_alone(
            "connected.html", {"title": title, "words": words, "connection": connection}
        )
        spent = (("Set-Cookie", self._cookie(state, "", 0)),)
        return Reply(status, page, "text/html; charset=utf-8", _PAGE_HEADERS + spent)

    def _cookie(self, state: str, value: str, seconds: int) -> str:
        secure = "; Secure" if self.settings.public_url.startswith("https://") else ""
        # Lax: a Strict cookie would not come along on the way back from Microsoft.
        return f"{_name(state)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def _name(state: str) -> str:
    return f"connect-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
