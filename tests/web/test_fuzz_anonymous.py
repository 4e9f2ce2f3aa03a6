"""Strangers send anything to the anonymous routes (R28, R31, design section 9).

Never a 5xx, never anything of the inside or a secret in an answer, never markup that was sent, and
nothing is queued by a request that proves nothing: looked at in the real queues, behind the real
host, and with many more examples in this process.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.queue import QueueServiceClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.local.admin import wait_for
from infra.local.world import World
from shared.core.model import Connection, ConnectionId, Mode, Subscription
from shared.ports import PendingSignIn, client_state
from shared.sync.connect import Connect
from shared.sync.status import Health
from shared.web.api.connect import ConnectApi
from shared.web.api.status import StatusApi
from shared.web.auth import AdminOnly
from shared.web.http import request_from
from shared.web.router import Api
from shared.web.webhook import Webhook
from tests.fakes import (
    START,
    FakeBmsSettings,
    FakeConnections,
    FakeQueues,
    FakeSignIn,
    FakeSweepState,
    FakeVault,
)
from tests.stories.faults_customer import FaultCustomer
from tests.stories.faults_forms import UNLIMITED
from tests.stories.story import SECRET
from tests.web.strangers import (
    CALLBACK,
    MARKUP,
    Got,
    Sent,
    Target,
    notices,
    to_callback,
    to_health,
    to_webhook,
    wrongs,
)
from tests.web.world import SETTINGS

NEVER = "0 0 0 1 1 *"
TENANT = "0a1b2c3d-0000-4000-8000-0000000000ff"
ADA = "0a1b2c3d-0000-4000-8000-00000000000a"
GROUP = "77777777-0000-4000-8000-00000000000a"
SUBSCRIPTION = "d3a1d3a1-0000-4000-8000-000000000001"
STATE = "the-Client-State"
KNOWN = Target("c1", TENANT, (SUBSCRIPTION,), (ADA,), (GROUP,), STATE, (STATE, "the-bms-password"))
PATIENT = settings(
    max_examples=800,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# --- in this process: the same code without a network, and many examples -------------------------


@dataclass
class Pending:
    """Sign-ins that wait; a stranger knows none of them."""

    held: dict[str, PendingSignIn] = field(default_factory=dict)

    def add(self, pending: PendingSignIn) -> None:
        self.held[pending.state_hash] = pending

    def take(self, state_hash: str) -> PendingSignIn | None:
        return self.held.pop(state_hash, None)


class Careless:
    """Keeps no subscriptions."""

    def keep(self, connection_id: ConnectionId, *, urged: bool = False) -> None:
        raise AssertionError("a stranger connected something")


@dataclass
class Inside:
    """The anonymous routes over fakes, in one event loop."""

    queues: FakeQueues = field(default_factory=FakeQueues)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        connections, state, vault = FakeConnections(), FakeSweepState(), FakeVault()
        one = ConnectionId(KNOWN.connection)
        connections.add(
            Connection(
                id=one,
                tenant_domain="contoso.test",
                application_id="app",
                mode=Mode.APPLICATION,
                created_at=START,
                tenant_id=TENANT,
                connected_at=START,
                first_sync_at=START,
            )
        )
        until = START + timedelta(days=27)
        state.save_subscription(Subscription(one, "users", SUBSCRIPTION, until, START))
        vault.put(client_state(one), STATE)

        def now() -> datetime:
            return datetime.now(UTC)

        self.webhook = Webhook(connections, state, vault, self.queues, now)
        connect = Connect(connections, Pending(), FakeSignIn(), Careless(), self.queues, now)
        shown: Any = None  # the status page is the admin's
        health = StatusApi(shown, Health(FakeBmsSettings(), now))
        routes = [*ConnectApi(connect, SETTINGS).routes(), *health.routes()]
        self.api = Api(AdminOnly(SETTINGS), routes)

    def send(self, sent: Sent) -> Got:
        """The answer to a request, as function_app.py leads it."""
        request = request_from(
            sent.method, f"http://localhost{sent.target}", sent.headers, sent.body
        )
        if sent.path.startswith("/webhooks/"):
            connection = request.path.split("/")[3]
            reply = self.loop.run_until_complete(self.webhook.answer(connection, request))
        else:
            reply = self.api.dispatch(request)
        headers = {name.lower(): value for name, value in reply.headers}
        return Got(reply.status, {**headers, "content-type": reply.content_type}, reply.body)


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    one = Inside()
    yield one
    one.loop.close()


@PATIENT
@given(sent=st.one_of(to_webhook(KNOWN), to_callback(KNOWN), to_health()))
@example(sent=Sent("GET", "/health", "%3Cscript=%1F"))
@example(sent=Sent("POST", "/webhooks/graph/c1", "validationToken=%3Cscript%3E"))
@example(sent=Sent("GET", CALLBACK, "state=%3Cscript%3E&error=%3Cb%3E"))
@example(sent=Sent("POST", "/webhooks/graph/c1", body=b'{"value":' + b"[" * 100_000))
def test_no_request_of_a_stranger_breaks_anything_or_is_told_anything(
    inside: Inside, sent: Sent
) -> None:
    got = inside.send(sent)

    assert wrongs(sent, got, KNOWN) == []
    assert inside.queues.sent == []


@PATIENT
@given(items=st.lists(notices(KNOWN), min_size=1, max_size=4))
def test_a_notification_with_a_wrong_client_state_is_never_queued_r31(
    inside: Inside, items: list[dict[str, Any]]
) -> None:
    body = json.dumps({"value": items}).encode()

    assert inside.send(Sent("POST", "/webhooks/graph/c1", body=body)).status == 202
    assert inside.queues.sent == []


def test_the_same_notification_with_the_right_client_state_is_queued_r31() -> None:
    inside = Inside()
    item = {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "resource": f"Users/{ADA}"}
    body = json.dumps({"value": [{**item, "clientState": STATE}]}).encode()

    assert inside.send(Sent("POST", "/webhooks/graph/c1", body=body)).status == 202
    assert len(inside.queues.sent) == 1


# --- through the real host -----------------------------------------------------------------------


@dataclass
class Outside:
    """A connected customer whose app strangers can reach."""

    world: World
    customer: FaultCustomer
    target: Target

    def send(self, sent: Sent) -> Got:
        """One request over a socket, byte by byte as it was made up."""
        port = self.customer.host.port
        lines = [f"{sent.method} {sent.target} HTTP/1.1", f"Host: localhost:{port}"]
        lines += [f"{name}: {value}" for name, value in sent.headers.items()]
        lines += [f"Content-Length: {len(sent.body)}", "Connection: close", "", ""]
        head = "\r\n".join(lines).encode("latin-1", "replace")
        with socket.create_connection(("localhost", port), timeout=30) as connection:
            connection.sendall(head + sent.body)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        top, _, body = received.partition(b"\r\n\r\n")
        first, *rest = top.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Got(int(first.split(" ")[1]), headers, body)

    def queued(self) -> int:
        """How many messages have ever been sent to the queues."""
        return self.world.storage.calls().get("queue POST", 0)

    def waiting(self) -> dict[str, int]:
        """The real queues that are not empty."""
        found: dict[str, int] = {}
        with QueueServiceClient.from_connection_string(
            self.world.storage_connection_string
        ) as service:
            for queue in service.list_queues():
                properties = service.get_queue_client(queue.name).get_queue_properties()
                if count := properties.approximate_message_count:
                    found[queue.name] = count
        return found


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """Nothing is queued by itself: no timer runs, and Graph loses every notification."""
    with World(storage_faults=True) as world:
        customer = FaultCustomer(world, world.start_host(SWEEP_SCHEDULE=NEVER), "fuzzed")
        customer.admin.call("PUT", "/api/settings/bms", UNLIMITED)
        customer.begin()
        customer.entra.switch(notify_loss_rate=1.0)
        customer.entra.lose_notifications()
        one = Outside(world, customer, _target(world, customer))
        wait_for(lambda: not one.waiting(), 30, what="an end of the first sync's work")
        yield one


def _target(world: World, customer: FaultCustomer) -> Target:
    subscriptions = customer.entra.subscriptions(customer.tenant)
    secrets = [SECRET, world.admin_token, str(UNLIMITED["password"])]
    secrets += [value for value in world.vault.secrets().values() if len(value) > 8]
    return Target(
        customer.connection,
        customer.tenant,
        tuple(str(each["id"]) for each in subscriptions),
        tuple(customer.id(f"p{number}") for number in range(3)),
        (customer.id("staff"),),
        str(subscriptions[0]["clientState"]),
        tuple(secrets),
    )


def _settled(outside: Outside) -> int:
    """How much has been queued, when the answers that were still under way are out."""
    before = -1
    while (now := outside.queued()) != before:
        before = now
        time.sleep(0.5)
    return before


@pytest.mark.world
def test_no_stranger_breaks_the_host_or_queues_anything(outside: Outside) -> None:
    before = _settled(outside)
    target = outside.target

    @settings(max_examples=250, suppress_health_check=list(HealthCheck))
    @given(sent=st.one_of(to_webhook(target), to_callback(target), to_health()))
    @example(sent=Sent("POST", f"/webhooks/graph/{target.connection}", body=b"\xff" * 1000))
    def plays(sent: Sent) -> None:
        assert wrongs(sent, outside.send(sent), target) == []

    plays()
    assert _settled(outside) == before
    assert outside.waiting() == {}
    log = outside.customer.host.log_path.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert [secret for secret in target.secrets if secret in log] == []


@pytest.mark.world
@pytest.mark.parametrize("tail", ["", "/lifecycle"])
@pytest.mark.parametrize(
    ("size", "status"), [(8 * 1024 * 1024 + 1, 413), (9_000_000, 413), (8 * 1024 * 1024, 202)]
)
def test_a_body_over_eight_mebibytes_is_refused_and_one_below_is_read(
    outside: Outside, tail: str, size: int, status: int
) -> None:
    before = _settled(outside)
    head, end = b'{"value": [{"clientState": "', b'"}]}'
    body = head + b"x" * (size - len(head) - len(end)) + end

    got = outside.send(
        Sent("POST", f"/webhooks/graph/{outside.target.connection}{tail}", body=body)
    )

    assert got.status == status
    assert _settled(outside) == before


@pytest.mark.world
@pytest.mark.parametrize("markup", MARKUP)
def test_markup_in_a_validation_token_or_a_callback_is_never_sent_back(
    outside: Outside, markup: str
) -> None:
    hook = Sent("POST", f"/webhooks/graph/{outside.target.connection}", f"validationToken={markup}")
    for sent in (hook, Sent("GET", CALLBACK, f"state={markup}&error_description={markup}")):
        quoted = Sent(sent.method, sent.path, sent.query.replace(" ", "%20"))
        got = outside.send(quoted)
        assert got.status == 400
        assert markup.encode() not in got.body


@pytest.mark.world
def test_a_storm_of_invented_connections_gets_no_5xx(outside: Outside) -> None:
    before = _settled(outside)
    body = b'{"value": [{}]}'

    statuses = {
        outside.send(Sent("POST", f"/webhooks/graph/invented-{number}", body=body)).status
        for number in range(150)
    }

    assert {status for status in statuses if status >= 500} == set()
    assert _settled(outside) == before


@pytest.mark.world
def test_a_true_notification_is_queued_all_the_same_r31(outside: Outside) -> None:
    """The proof that the tests above would see it."""
    before = _settled(outside)
    target = outside.target
    users = next(
        each
        for each in outside.customer.entra.subscriptions(target.tenant)
        if each["resource"] == "users"
    )
    item = {
        "subscriptionId": users["id"],
        "clientState": users["clientState"],
        "tenantId": target.tenant,
        "resource": f"Users/{target.people[0]}",
    }
    body = json.dumps({"value": [item]}).encode()

    got = outside.send(Sent("POST", f"/webhooks/graph/{target.connection}", body=body))

    assert got.status == 202
    assert _settled(outside) > before
