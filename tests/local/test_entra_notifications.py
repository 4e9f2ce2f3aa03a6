"""Subscriptions and change notifications of the stand-in, against a real endpoint."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from infra.local.entra.control import EntraControl, running
from infra.local.entra.loopback import GRAPH, LOGIN, application_token, session

CLIENT_ID = "11111111-0000-4000-8000-000000000001"
SECRET = "correct-secret-value"
REDIRECT = "https://sync.example.test/OAuth/IntegrationCallback.aspx"
SUBSCRIPTIONS = f"{GRAPH}/v1.0/subscriptions"


@dataclass
class Endpoint:
    """A webhook that answers handshakes and keeps what it is told."""

    url: str = ""
    handshakes: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # for the next deliveries; then 202
    spoil: str = ""  # how to get the handshake wrong
    delay: float = 0.0

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [notice for body in self.bodies for notice in body["value"]]


@pytest.fixture(scope="module")
def process() -> Iterator[EntraControl]:
    with running() as control:
        yield control


@pytest.fixture
def entra(process: EntraControl) -> EntraControl:
    process.reset()
    process.switch(notify_batch_window_seconds=0.0, notify_retry_base_seconds=0.05)
    return process


@pytest.fixture
def hook() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = dict(parse_qsl(urlsplit(self.path).query))
            time.sleep(endpoint.delay)
            if "validationToken" in query:
                endpoint.handshakes.append(self.path)
                self._answer_handshake(query["validationToken"])
                return
            endpoint.paths.append(self.path)
            endpoint.bodies.append(json.loads(body))
            self.send_response(endpoint.statuses.pop(0) if endpoint.statuses else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer_handshake(self, token: str) -> None:
            text = json.dumps(token) if endpoint.spoil == "quoted" else token
            kind = "text/html" if endpoint.spoil == "html" else "text/plain"
            self.send_response(202 if endpoint.spoil == "accepted" else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}"
    yield endpoint
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tenant(entra: EntraControl) -> str:
    tenant = entra.add_tenant("contoso.test")
    entra.add_user(tenant, "ines@contoso.test", displayName="Ines")
    entra.register_app(CLIENT_ID, tenant, SECRET, [REDIRECT])
    return tenant


@pytest.fixture
def graph(entra: EntraControl, tenant: str) -> requests.Session:
    """The application itself."""
    client = session(entra.base_url)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def a_person(entra: EntraControl, tenant: str, user: str = "ines@contoso.test") -> requests.Session:
    """A client with a delegated token."""
    client = session(entra.base_url)
    query = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "User.Read.All Group.Read.All",
        "login_hint": user,
    }
    url = f"{LOGIN}/{tenant}/oauth2/v2.0/authorize?{urlencode(query)}"
    location = client.get(url, allow_redirects=False, timeout=10).headers["Location"]
    data = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT,
        "code": dict(parse_qsl(urlsplit(location).query))["code"],
    }
    reply = client.post(f"{LOGIN}/{tenant}/oauth2/v2.0/token", data=data, timeout=10)
    client.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
    return client


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")


def subscribe(
    client: requests.Session, hook: Endpoint, resource: str = "users", **more: Any
) -> requests.Response:
    body = {
        "changeType": "updated,deleted",
        "resource": resource,
        "notificationUrl": f"{hook.url}/notify?t=5f1c",
        "lifecycleNotificationUrl": f"{hook.url}/lifecycle",
        "expirationDateTime": in_minutes(60 * 24),
        "clientState": "secret-state",
        **more,
    }
    return client.post(SUBSCRIPTIONS, json=body, timeout=20)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_both_urls_are_called_before_the_subscription_exists(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    reply = subscribe(graph, hook)

    assert reply.status_code == 201
    assert reply.json()["clientState"] == "secret-state"
    assert sorted(path.split("?")[0] for path in hook.handshakes) == ["/lifecycle", "/notify"]
    assert any(path.startswith("/notify?t=5f1c&validationToken=") for path in hook.handshakes)


@pytest.mark.parametrize("spoil", ["quoted", "html", "accepted"])
def test_a_wrong_handshake_leaves_no_subscription(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint, spoil: str
) -> None:
    hook.spoil = spoil

    reply = subscribe(graph, hook)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "ValidationError")
    assert entra.subscriptions() == []


def test_a_handshake_that_takes_too_long_has_timed_out(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(validation_seconds=0.1)
    hook.delay = 0.4

    reply = subscribe(graph, hook)

    assert reply.status_code == 400
    assert "timed out" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"changeType": "created"},
        {"resource": "users/1/memberOf"},
        {"resource": "https://graph.microsoft.com/v1.0/users"},
        {"clientState": "x" * 129},
        {"notificationUrl": "http://sync.example.test/notify"},
        {"expirationDateTime": in_minutes(41_800)},
        {"expirationDateTime": in_minutes(-5)},
    ],
    ids=lambda wrong: next(iter(wrong.items()))[0],
)
def test_a_subscription_that_graph_would_not_take_is_refused(
    graph: requests.Session, hook: Endpoint, wrong: dict[str, str]
) -> None:
    assert subscribe(graph, hook, **wrong).status_code == 400


def test_plain_loopback_is_refused_when_strict(
    entra: EntraControl, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(strict_notification_url=True)

    assert subscribe(graph, hook).status_code == 400


def test_doubles_and_quotas_are_refused(
    entra: EntraControl, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(subscriptions_per_app_and_tenant=2)

    statuses = [subscribe(graph, hook, name).status_code for name in ("users", "/users", "groups")]
    statuses.append(subscribe(graph, hook, "users/0a1b").status_code)

    assert statuses == [201, 409, 201, 403]


def test_a_person_sees_only_what_this_person_made(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.add_user(tenant, "ben@contoso.test")
    ines, ben = a_person(entra, tenant), a_person(entra, tenant, "ben@contoso.test")
    made = subscribe(ines, hook).json()

    assert [s["id"] for s in ines.get(SUBSCRIPTIONS, timeout=10).json()["value"]] == [made["id"]]
    assert ben.get(SUBSCRIPTIONS, timeout=10).json()["value"] == []
    assert ben.delete(f"{SUBSCRIPTIONS}/{made['id']}", timeout=10).status_code == 404
    assert len(graph.get(SUBSCRIPTIONS, timeout=10).json()["value"]) == 1


def test_a_change_arrives_with_the_client_state(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    subscription = subscribe(graph, hook).json()

    ada = entra.add_user(tenant, "ada@contoso.test")
    until(lambda: len(hook.notices) == 1)

    notice = hook.notices[0]
    assert notice["subscriptionId"] == subscription["id"]
    assert notice["clientState"] == "secret-state"
    assert notice["tenantId"] == tenant
    assert notice["resource"] == f"Users/{ada}"
    assert notice["changeType"] == "updated"
    assert notice["resourceData"]["sequenceNumber"] > 2**53
    assert hook.paths == ["/notify?t=5f1c"]


def test_leaving_is_told_as_updated_then_deleted(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(notify_hold=True)
    subscribe(graph, hook)

    entra.soft_delete(tenant, "ines@contoso.test")
    entra.restore(tenant, "ines@contoso.test")
    entra.hard_delete(tenant, "ines@contoso.test")
    counts = entra.deliver_now()

    assert counts == {"sent": 3, "delivered": 3, "waiting": 0}
    assert [notice["changeType"] for notice in hook.notices] == ["updated", "updated", "deleted"]


def test_a_membership_change_is_told_on_groups_with_a_plain_removed(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    ada = entra.add_user(tenant, "ada@contoso.test")
    team = entra.add_group(tenant, "Team", members=[ada])
    subscribe(graph, hook, "groups")

    entra.remove_member(tenant, team, ada)
    until(lambda: len(hook.notices) == 1)

    assert hook.notices[0]["resource"] == f"Groups/{team}"
    assert hook.notices[0]["resourceData"]["members@delta"] == [{"id": ada, "@removed": "deleted"}]


def test_one_body_holds_notifications_of_several_subscriptions(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(notify_hold=True)
    subscribe(graph, hook, "users")
    subscribe(graph, hook, "groups")

    entra.add_user(tenant, "ada@contoso.test")
    entra.add_group(tenant, "Team")
    entra.deliver_now()

    assert len(hook.bodies) == 1
    assert len({notice["subscriptionId"] for notice in hook.notices}) == 2


def test_a_refused_delivery_is_tried_again(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    subscribe(graph, hook)
    hook.statuses = [500, 503]

    entra.add_user(tenant, "ada@contoso.test")
    until(lambda: entra.counters()["notifications"]["delivered"] == 1)

    assert len(hook.bodies) == 3
    assert hook.bodies[0] == hook.bodies[2]


def test_after_four_hours_a_delivery_is_given_up(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(notify_retry_base_seconds=3600.0)
    subscribe(graph, hook)
    hook.statuses = [500] * 10

    entra.add_user(tenant, "ada@contoso.test")
    until(lambda: len(hook.bodies) == 1)
    entra.move_clock(minutes=301)
    until(lambda: entra.counters()["notifications"]["discarded"] == 1)

    assert entra.waiting_notifications() == []


def test_notifications_can_be_lost_doubled_and_delayed(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    subscribe(graph, hook)
    entra.switch(notify_loss_rate=1.0)
    entra.add_user(tenant, "lost@contoso.test")
    entra.switch(notify_loss_rate=0.0, notify_duplicate_rate=1.0, notify_delay_seconds=600.0)
    entra.add_user(tenant, "late@contoso.test")

    waiting = len(entra.waiting_notifications())
    entra.move_clock(minutes=11)
    until(lambda: len(hook.notices) == 2)

    assert waiting == 2
    assert entra.counters()["notifications"]["lost"] == 1
    assert hook.notices[0] == hook.notices[1]


def test_delivery_stops_with_the_persons_token_and_resumes_with_reauthorize(
    entra: EntraControl, tenant: str, hook: Endpoint
) -> None:
    entra.switch(lifecycle=False)
    made = subscribe(a_person(entra, tenant), hook).json()
    entra.end_subscription_token(made["id"])

    entra.add_user(tenant, "ada@contoso.test")
    held = entra.deliver_now()
    again = a_person(entra, tenant).post(f"{SUBSCRIPTIONS}/{made['id']}/reauthorize", timeout=10)
    until(lambda: len(hook.notices) == 1)

    assert held == {"sent": 0, "delivered": 0, "waiting": 1}
    assert again.status_code == 204


def test_reauthorization_is_asked_for_before_the_token_ends(
    entra: EntraControl, tenant: str, hook: Endpoint
) -> None:
    entra.switch(access_token_minutes=60.0)
    made = subscribe(a_person(entra, tenant), hook).json()

    entra.move_clock(minutes=46)
    until(lambda: bool(hook.notices))

    assert hook.paths == ["/lifecycle"]
    assert hook.notices[0]["lifecycleEvent"] == "reauthorizationRequired"
    assert hook.notices[0]["subscriptionId"] == made["id"]
    assert "resource" not in hook.notices[0]


def test_renewal_moves_the_end_and_an_ended_subscription_is_gone(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    made = subscribe(graph, hook).json()
    url = f"{SUBSCRIPTIONS}/{made['id']}"

    renewed = graph.patch(url, json={"expirationDateTime": in_minutes(41_000)}, timeout=10)
    late_url = graph.patch(url, json={"lifecycleNotificationUrl": hook.url}, timeout=10)
    entra.move_clock(minutes=41_100)
    client = session(entra.base_url)
    token = application_token(client, tenant, CLIENT_ID, SECRET)
    client.headers["Authorization"] = f"Bearer {token}"
    gone = client.patch(url, json={"expirationDateTime": in_minutes(50_000)}, timeout=10)

    assert renewed.status_code == 200
    assert renewed.json()["expirationDateTime"] > made["expirationDateTime"]
    assert late_url.status_code == 400
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_a_slow_endpoint_is_held_back(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    entra.switch(notify_first_limit_seconds=0.05, endpoint_minimum_replies=1)
    subscribe(graph, hook)
    hook.delay = 0.1

    entra.add_user(tenant, "ada@contoso.test")
    until(lambda: entra.counters()["notifications"]["failed_posts"] == 1)
    entra.add_user(tenant, "ben@contoso.test")

    assert entra.subscriptions()[0]["endpointState"] == "slow"
    assert entra.deliver_now()["sent"] == 0
    hook.delay = 0
    entra.move_clock(minutes=11)
    until(lambda: len(hook.notices) >= 3)


def test_a_subscription_can_vanish(
    entra: EntraControl, tenant: str, graph: requests.Session, hook: Endpoint
) -> None:
    made = subscribe(graph, hook).json()

    assert entra.drop_subscription(made["id"])
    assert graph.get(f"{SUBSCRIPTIONS}/{made['id']}", timeout=10).status_code == 404


def test_the_list_of_subscriptions_is_tightly_throttled(graph: requests.Session) -> None:
    statuses = [graph.get(SUBSCRIPTIONS, timeout=10).status_code for _ in range(27)]

    assert statuses[24] == 200
    assert statuses[26] == 429
