"""What a stranger can send to the anonymous routes, and what no answer to him may hold.

Everything is valid HTTP, so that it reaches the app and not just the server in front of it; what is
in it is anything. Notifications are near-valid: real subscription, real tenant, real people, and a
clientState that is any but the right one.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

CALLBACK: Final = "/OAuth/IntegrationCallback.aspx"
MARKUP: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "</title><h1>",
    "&lt;b&gt;<b>",
)
_INSIDE = ("Traceback", 'File "', "site-packages", "function_app.py", "shared/", "<module>")
_TAGS = re.compile(r"<\s*(?:script|img|svg|h1>x|b>)", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """What a stranger may have found out about one connection, and what he may not."""

    connection: str
    tenant: str
    subscriptions: tuple[str, ...]
    people: tuple[str, ...]
    groups: tuple[str, ...]
    client_state: str
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str  # percent-encoded
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def wrongs(sent: Sent, got: Got, target: Target) -> list[str]:
    """What is wrong with this answer; empty when a stranger may have it."""
    found = []
    text = got.body.decode("utf-8", "replace")
    whole = text + "\n".join(f"{name}: {value}" for name, value in got.headers.items())
    kind = got.headers.get("content-type", "")
    # Only the health check says 503, to whoever watches.
    if got.status >= 500 and not sent.path.lower().startswith("/health"):
        found.append(f"a {got.status}")
    found += [f"{word} of the inside" for word in _INSIDE if word in text]
    found += ["a secret" for secret in target.secrets if secret and secret in whole]
    if _TAGS.search(text):
        found.append("markup that was sent")
    if "html" in kind and "default-src 'none'" not in got.headers.get(
        "content-security-policy", ""
    ):
        found.append("a page without a policy")
    if got.body and "nosniff" not in got.headers.get("x-content-type-options", "nosniff"):
        found.append("a type that a browser may guess")
    if got.status == 200 and got.body and sent.path.startswith("/webhooks"):
        if not kind.startswith("text/plain"):
            found.append("a token that is not plain text")
        if got.headers.get("x-content-type-options") != "nosniff":
            found.append("a token that a browser may take for a page")
    return found


# --- strategies -----------------------------------------------------------------------------------

_TOKEN = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
_LINE = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60
).map(str.strip)
_TEXT = st.one_of(st.text(max_size=80), st.sampled_from(MARKUP), st.just(""))
METHODS = st.one_of(
    st.sampled_from(["POST", "GET"]),
    st.sampled_from(["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "post"]),
)
_HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            [
                "Content-Type",
                "Content-Encoding",
                "Cookie",
                "Authorization",
                "Accept",
                "X-Forwarded-For",
                "X-MS-CLIENT-PRINCIPAL",
                "X-HTTP-Method-Override",
                "traceparent",
                "Origin",
            ]
        ),
        _TOKEN.map(lambda name: f"X-{name}"),
    ),
    st.one_of(
        _LINE,
        st.sampled_from(
            ["application/json", "text/html", "gzip", "utf-16", "Bearer x", "a=b; c", "*/*"]
        ),
    ),
    max_size=5,
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


def _pairs(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(st.tuples(names, _TEXT), max_size=4).map(
            lambda pairs: urlencode(pairs, errors="replace")
        ),
        st.text(string.printable[:94], max_size=60).map(lambda text: quote(text, safe="%&=+<>\"'")),
    )


def notices(target: Target) -> st.SearchStrategy[dict[str, Any]]:
    """A notification that is right in all but its clientState (and perhaps in more)."""
    right: dict[str, Any] = {
        "subscriptionId": target.subscriptions[0],
        "tenantId": target.tenant,
        "changeType": "updated",
    }
    wrong_state = st.one_of(
        _JSON,
        st.sampled_from(
            [
                "",
                target.client_state[:-1],
                target.client_state + "x",
                target.client_state.swapcase(),
                target.client_state[::-1],
                [target.client_state],
                {"value": target.client_state},
                None,
            ]
        ),
    ).filter(lambda state: state != target.client_state)
    resources = st.sampled_from(
        [f"Users/{each}" for each in target.people] + [f"Groups/{each}" for each in target.groups]
    )
    more = st.fixed_dictionaries(
        {},
        optional={
            "subscriptionId": st.one_of(st.sampled_from(target.subscriptions), _JSON),
            "tenantId": st.one_of(st.just(target.tenant.upper()), _JSON),
            "lifecycleEvent": st.one_of(
                st.sampled_from(["missed", "subscriptionRemoved", "reauthorizationRequired"]), _JSON
            ),
            "resourceData": _JSON,
            "changeType": _JSON,
        },
    )
    return st.builds(
        lambda state, resource, other: {
            **right,
            "resource": resource,
            "resourceData": {"id": resource.partition("/")[2]},
            **other,
            "clientState": state,
        },
        wrong_state,
        st.one_of(resources, _TEXT),
        more,
    )


def bodies(target: Target) -> st.SearchStrategy[bytes]:
    """Bytes, JSON, near-valid notifications, in several encodings."""
    documents = st.one_of(
        _JSON,
        st.fixed_dictionaries({"value": _JSON}),
        st.fixed_dictionaries({"value": st.lists(st.one_of(notices(target), _JSON), max_size=6)}),
        st.fixed_dictionaries({"value": st.lists(notices(target), min_size=1, max_size=3)}),
    )
    encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
    return st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda document, encoding: json.dumps(document).encode(encoding, "replace"),
            documents,
            encodings,
        ),
        st.integers(1, 3000).map(lambda deep: b'{"value":' + b"[" * deep),
    )


def to_webhook(target: Target) -> st.SearchStrategy[Sent]:
    """A request to the webhook or its lifecycle address."""
    ids = st.one_of(
        st.just(target.connection),
        st.just(target.connection),
        st.sampled_from(["stranger-1", "stranger-2", "..", "%2e%2e", "a%00b", "x" * 300, "%FF"]),
        st.text("<>'\"%/\\ äΩ", min_size=1, max_size=6).map(lambda text: quote(text, safe="")),
    )
    paths = st.builds(
        lambda one, tail: f"/webhooks/graph/{one}{tail}",
        ids,
        st.sampled_from(["", "", "/lifecycle", "/LIFECYCLE", "/", "/lifecycle/more"]),
    )
    names = st.sampled_from(["validationToken", "validationtoken", "ValidationToken", "code", "x"])
    queries = st.one_of(st.just(""), st.just(""), _pairs(names))
    methods = st.one_of(st.just("POST"), st.just("POST"), METHODS)
    return st.builds(Sent, methods, paths, queries, _HEADERS, bodies(target))


def to_callback(target: Target) -> st.SearchStrategy[Sent]:
    """A request to the way back from Microsoft's sign-in."""
    names = st.sampled_from(
        ["state", "code", "error", "error_description", "tenant", "admin_consent", "x"]
    )
    paths = st.sampled_from([CALLBACK, CALLBACK.lower(), CALLBACK + "/"])
    methods = st.one_of(st.just("GET"), st.just("GET"), METHODS)
    return st.builds(Sent, methods, paths, _pairs(names), _HEADERS, st.binary(max_size=50))


def to_health() -> st.SearchStrategy[Sent]:
    """A request to the health check."""
    paths = st.sampled_from(["/health", "/HEALTH", "/health/", "/health/x", "/health%2F"])
    queries = _pairs(_TEXT)
    return st.builds(Sent, METHODS, paths, queries, _HEADERS, st.binary(max_size=50))
