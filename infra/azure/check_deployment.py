"""Calls the deployed app from outside: what must be open is open, what must be closed is closed.

    python3 -m infra.azure.check_deployment          the postdeploy hook of azd
    python3 -m infra.azure.check_deployment URL

Nothing is signed in and nothing is changed. The forged header is what would let anybody in if App
Service Authentication did not stand before the app.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.azure.command_line import deployment_values, say

_CLAIMS = [{"typ": "roles", "val": "Sync.Admin"}, {"typ": "tid", "val": "forged"}]
_FORGED = base64.b64encode(
    json.dumps({"auth_typ": "aad", "role_typ": "roles", "claims": _CLAIMS}).encode()
).decode()
# What is for administrators: the platform's sign-in stands before each of them, files too.
_CLOSED = ("/api/status", "/console", "/console/static/console.css")
_START_SECONDS, _PAUSE, _TIMEOUT = 300.0, 10.0, 60.0


@dataclass(frozen=True)
class Answer:
    """Status and body of a reply; status 0 when there was none."""

    status: int
    body: str


Ask = Callable[[str, str, Mapping[str, str]], Answer]


def main() -> int:
    """Ask and judge; the answer is the exit status."""
    url = sys.argv[1] if len(sys.argv) > 1 else deployment_values().get("PUBLIC_URL", "")
    if not url.startswith("https://"):
        say("Name the address of the app, beginning with https://.")
        return 2
    end = time.monotonic() + _START_SECONDS
    while started(ask, url) is False and time.monotonic() < end:
        time.sleep(_PAUSE)
    problems = problems_of(ask, url.rstrip("/"))
    say("\n".join(problems) or f"{url} answers, and its API and console are closed to strangers.")
    return 1 if problems else 0


def started(ask: Ask, url: str) -> bool:
    """Whether the app itself answers."""
    return ask("GET", f"{url.rstrip('/')}/health", {}).status in (200, 503)


def problems_of(ask: Ask, url: str) -> list[str]:
    """What is not as it must be, in sentences."""
    problems = []
    if not started(ask, url):
        problems.append(
            "/health does not answer: the app did not start, or is behind the sign-in. "
            "See docs/operate.md, 'The app does not start'."
        )
    token = "does-graph-reach-us"
    hand_shake = ask("POST", f"{url}/webhooks/graph/none?validationToken={token}", {})
    if hand_shake.status in (301, 302, 401, 403):
        problems.append("Graph cannot reach the webhook: /webhooks/graph/* is behind the sign-in.")
    for name, headers in (("", {}), (" with a forged header", {"X-MS-CLIENT-PRINCIPAL": _FORGED})):
        for path in _CLOSED:
            answer = ask("GET", url + path, headers)
            if answer.status not in (301, 302, 401, 403):
                problems.append(
                    f"{path} answers a stranger{name} with {answer.status}: switch the function "
                    "app off until App Service Authentication is on (docs/security.md)."
                )
    return problems


def ask(method: str, url: str, headers: Mapping[str, str]) -> Answer:
    """One request; redirects are not followed."""
    body = b"" if method == "POST" else None
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT) as reply:
            return Answer(reply.status, reply.read(65536).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(65536).decode(errors="replace"))
    except OSError:
        return Answer(0, "")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is the answer."""


_OPENER = urllib.request.build_opener(_Stay)


if __name__ == "__main__":
    raise SystemExit(main())
