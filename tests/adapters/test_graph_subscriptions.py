"""R31 at the wire: subscriptions at the Graph stand-in, which does the handshake for real."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.local.entra.control import EntraControl
from shared.core.model import Mode
from shared.errors import PersonMustAct, Rejected
from shared.ports import Directory
from tests.adapters.entra_wire import Wire, a_wire


class Hook(BaseHTTPRequestHandler):
    """Answers handshakes as Graph wants them."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0].encode()
        self.send_response(200 if token else 202)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(token)))
        self.end_headers()
        self.wfile.write(token)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def a_hook() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    with a_hook() as url:
        yield url


@pytest.fixture
def hooked(entra_process: EntraControl, hook: str) -> Wire:
    return a_wire(entra_process, hook)


def expiry(days: float = 27) -> datetime:
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def made(wire: Wire, directory: Directory, resource: str = "users") -> tuple[str, datetime]:
    return directory.create_subscription(
        resource,
        notify=wire.settings.webhook_url("c1"),
        lifecycle=wire.settings.webhook_url("c1", lifecycle=True),
        client_state="our-secret",
        expires=expiry(),
    )


def test_both_resources_can_be_subscribed_to(hooked: Wire) -> None:
    directory = hooked.directory()

    users, until = made(hooked, directory)
    groups, _ = made(hooked, directory, "groups")

    shown = {each["id"]: each for each in hooked.entra.subscriptions(hooked.tenant)}
    assert {shown[users]["resource"], shown[groups]["resource"]} == {"users", "groups"}
    assert shown[users]["changeType"] == "updated,deleted"
    assert abs(until - expiry()) < timedelta(minutes=1)
    assert directory.subscription_exists(users)


def test_one_that_stands_in_the_way_is_replaced(hooked: Wire) -> None:
    directory = hooked.directory()
    first, _ = made(hooked, directory)

    second, _ = made(hooked, directory)

    assert [each["id"] for each in hooked.entra.subscriptions(hooked.tenant)] == [second]
    assert first != second


def test_one_that_graph_has_lost_is_told_as_lost(hooked: Wire) -> None:
    directory = hooked.directory()
    subscription, _ = made(hooked, directory)
    hooked.entra.drop_subscription(subscription)

    assert directory.extend_subscription(subscription, expiry()) is None
    assert not directory.subscription_exists(subscription)
    directory.delete_subscription(subscription)


def test_extending_moves_the_end(hooked: Wire) -> None:
    directory = hooked.directory()
    subscription, _ = made(hooked, directory)

    until = directory.extend_subscription(subscription, expiry(28))

    assert until is not None
    assert abs(until - expiry(28)) < timedelta(minutes=1)


def test_delegated_extending_takes_a_fresh_token_and_never_reauthorizes(hooked: Wire) -> None:
    hooked.sign_in_once()
    directory = hooked.directory(Mode.DELEGATED)
    subscription, _ = made(hooked, directory)
    hooked.entra.end_subscription_token(subscription)
    hooked.sign_in.forget(hooked.connection().id)
    [before] = hooked.entra.subscriptions(hooked.tenant)

    directory.extend_subscription(subscription, expiry())

    [after] = hooked.entra.subscriptions(hooked.tenant)
    assert after["tokenExpiresAt"] > before["tokenExpiresAt"]
    assert hooked.entra.count("graph POST /subscriptions/{id}/reauthorize") == 0


def test_a_deleted_one_is_gone_at_graph(hooked: Wire) -> None:
    directory = hooked.directory()
    subscription, _ = made(hooked, directory)

    directory.delete_subscription(subscription)

    assert hooked.entra.subscriptions(hooked.tenant) == []


def test_an_address_that_graph_cannot_reach_is_a_sentence_about_public_url(wire: Wire) -> None:
    with pytest.raises(Rejected) as error:
        made(a_wire(wire.entra, "http://127.0.0.1:9"), a_wire(wire.entra).directory())

    assert error.value.code == "subscription"
    assert "PUBLIC_URL" in error.value.next_step


def test_a_full_quota_is_not_taken_for_a_missing_permission(hooked: Wire) -> None:
    hooked.entra.switch(subscriptions_per_app_and_tenant=0)

    with pytest.raises(PersonMustAct) as error:
        made(hooked, hooked.directory())

    assert error.value.code == "subscription"
