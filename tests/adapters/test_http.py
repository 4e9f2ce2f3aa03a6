"""Where requests leave (design section 9, R16, R29), against a small server that misbehaves."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.local.network.ca import make_certificates
from shared.adapters.http import (
    NO_DELETE,
    Answer,
    Brake,
    HttpClient,
    Patience,
    retry_after_seconds,
)
from shared.adapters.http_session import PooledSession
from shared.errors import Misconfigured, TryLater, Uncertain

Script = list[Any]


class Server(ThreadingHTTPServer):
    """Answers by a script: (status, headers, body), "reset", "silence" or "cut"."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: Script = []
        self.seen: list[tuple[str, str]] = []
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Server

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path))
        self.server.headers_seen.append({k.lower(): v for k, v in self.headers.items()})
        step = self.server.script.pop(0) if self.server.script else (200, {}, b"{}")
        self.close_connection = True
        if step == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if step == "silence":
            threading.Event().wait(2)
            return
        status, headers, body = (200, {}, b'{"a": 1}') if step == "cut" else step
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (50 if step == "cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server asks for the names

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}).start()
    yield made
    made.shutdown()
    made.server_close()


class Sleeps(list[float]):
    """Waits of zero seconds, written down."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(server: Server, sleeps: Sleeps | None = None, **more: Any) -> HttpClient:
    more.setdefault("patience", Patience(connect_timeout=0.5, read_timeout=0.3))
    return HttpClient(
        PooledSession(),
        "The service",
        [more.pop("origin", server.url)],
        sleep=Sleeps() if sleeps is None else sleeps,
        **more,
    )


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("trouble", [503, 500, 502, 504, 429, "reset", "silence", "cut"])
def test_passing_trouble_of_a_read_is_tried_again(server: Server, trouble: Any) -> None:
    server.script = [(trouble, {}, b"") if isinstance(trouble, int) else trouble]

    assert client(server).request("GET", f"{server.url}/a").json() == {}
    assert len(server.seen) == 2


def test_trying_again_is_bounded_in_tries(server: Server) -> None:
    server.script = [(503, {}, b"")] * 50

    with pytest.raises(TryLater) as error:
        client(server).request("GET", f"{server.url}/a")

    assert error.value.counts
    assert len(server.seen) == 4


def test_a_wait_longer_than_seconds_is_left_to_the_queue(server: Server) -> None:
    server.script = [(429, {"Retry-After": "17"}, b"")]
    sleeps = Sleeps()

    with pytest.raises(TryLater) as error:
        client(server, sleeps).request("GET", f"{server.url}/a")

    assert error.value.after == timedelta(seconds=17)
    assert not error.value.counts
    assert sleeps == []


def test_a_short_retry_after_is_waited_for(server: Server) -> None:
    server.script = [(429, {"Retry-After": "2.128"}, b"")]
    sleeps = Sleeps()

    client(server, sleeps).request("POST", f"{server.url}/a", json_body={})

    assert sleeps == [2.128]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("17", 17.0), ("2.128", 2.128), ("0", 0.0), ("-3", 0.0), ("soon", None), ("nan", None)],
)
def test_retry_after_is_read_in_every_form(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": text}) == seconds


def test_retry_after_as_a_date_is_measured_by_their_clock() -> None:
    theirs = datetime(2020, 1, 1, tzinfo=UTC)
    headers = {
        "retry-after": format_datetime(theirs + timedelta(seconds=30), usegmt=True),
        "Date": format_datetime(theirs, usegmt=True),
    }

    assert retry_after_seconds(headers) == 30


@pytest.mark.parametrize("trouble", [(500, {}, b""), (503, {"Retry-After": "1"}, b""), "reset",
                                     "silence", "cut"])  # fmt: skip
def test_a_create_without_an_answer_is_uncertain_and_not_sent_again(
    server: Server, trouble: Any
) -> None:
    server.script = [trouble]

    with pytest.raises(Uncertain):
        client(server).request("POST", f"{server.url}/a", json_body={"name": "x"})

    assert len(server.seen) == 1


def test_a_create_that_never_got_out_is_simply_tried_later(server: Server) -> None:
    nowhere = closed_port()

    with pytest.raises(TryLater) as error:
        client(server, origin=nowhere).request("POST", f"{nowhere}/a", json_body={})

    assert not isinstance(error.value, Uncertain)


def test_an_untrusted_certificate_stops_a_create_before_it_is_sent(
    server: Server, tmp_path: Path
) -> None:
    import ssl

    made = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_address[1]}"

    with pytest.raises(TryLater) as error:
        client(server, origin=url).request("POST", f"{url}/a", json_body={})

    assert not isinstance(error.value, Uncertain)
    assert "certificate" in error.value.sentence
    assert server.seen == []


def test_the_ca_bundle_of_the_environment_is_trusted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    made = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.bundle))
    url = f"https://localhost:{server.server_address[1]}"

    assert client(server, origin=url).request("GET", f"{url}/a").ok


def test_a_ca_bundle_that_is_not_there_names_the_setting(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")

    with pytest.raises(Misconfigured, match="REQUESTS_CA_BUNDLE"):
        client(server, origin="https://localhost:1").request("GET", "https://localhost:1/a")


def test_r16_delete_is_refused_before_anything_is_sent(server: Server) -> None:
    with pytest.raises(Misconfigured, match="DELETE"):
        client(server, methods=NO_DELETE).request("DELETE", f"{server.url}/contacts/1")

    assert server.seen == []
    assert (
        client(server, methods=frozenset({"DELETE"}))
        .request("DELETE", f"{server.url}/subscriptions/1")
        .ok
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/a",
        "http://127.0.0.1:1/a",
        "http://{host}@elsewhere.test/a",
        "http://{host}\\@elsewhere.test/a",
        "http://{host} .elsewhere.test/a",
        "file:///etc/passwd",
        "//elsewhere.test/a",
        "",
    ],
)
def test_no_other_host_is_ever_called(server: Server, url: str) -> None:
    host = server.url.removeprefix("http://")

    with pytest.raises(Misconfigured):
        client(server).request("GET", url.replace("{host}", host))

    assert server.seen == []


def test_redirects_are_not_followed(server: Server) -> None:
    server.script = [(302, {"Location": f"{server.url}/b"}, b"")]

    assert client(server).request("GET", f"{server.url}/a").status == 302
    assert server.seen == [("GET", "/a")]


@pytest.mark.parametrize(
    "path", ["/delta?$skiptoken=a~b%2C%7Ec!'d*e(f)", "/delta?$deltaToken=%20x+y==&$select=a,b"]
)
def test_a_link_goes_out_exactly_as_given(server: Server, path: str) -> None:
    client(server).request("GET", f"{server.url}{path}")

    assert server.seen == [("GET", path)]


def test_nothing_is_remembered_between_calls(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.script = [(200, {"Set-Cookie": "tenant=1"}, b"{}")]
    one = client(server)

    one.request("GET", f"{server.url}/a")
    one.request("GET", f"{server.url}/b")

    assert "cookie" not in server.headers_seen[1]
    assert "authorization" not in server.headers_seen[1]


@pytest.mark.parametrize(("repeatable", "error"), [(True, TryLater), (False, Uncertain)])
def test_a_body_that_is_no_json_is_passing_trouble(
    repeatable: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Answer(200, {}, b'{"a": ', "The service", repeatable).json()


def test_a_refusal_is_the_callers_business(server: Server) -> None:
    server.script = [(400, {}, b'{"error": 1}'), (429, {"Retry-After": "99"}, b"{}")]
    one = client(server)

    assert one.request("GET", f"{server.url}/a").status == 400
    assert one.request("GET", f"{server.url}/a", handed_back=(429,)).status == 429


def test_r29_a_failed_call_is_one_line_without_names_or_tokens(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [(400, {"request-id": "r-1"}, b"{}")]
    caplog.set_level(logging.INFO)

    client(server).request(
        "GET",
        f"{server.url}/users/ada%40contoso.test/x?$filter=mail eq 'ada'".replace(" ", "%20"),
        headers={"Authorization": "Bearer abc", "client-request-id": "c-1"},
    )

    [record] = caplog.records
    assert "/users/*/x" in record.getMessage()
    assert "r-1" in record.getMessage()
    assert "c-1" in record.getMessage()
    assert "ada" not in record.getMessage()
    assert "Bearer" not in record.getMessage()


def test_an_answer_that_drips_is_given_up(server: Server) -> None:
    clock = iter(range(0, 10_000, 100))
    patience = Patience(tries=1, whole_timeout=50)

    with pytest.raises(TryLater, match="too slowly"):
        client(server, clock=lambda: float(next(clock)), patience=patience).request(
            "GET", f"{server.url}/a"
        )


def test_a_brake_stops_whoever_comes_next(server: Server) -> None:
    server.script = [(429, {"Retry-After": "60"}, b"")]
    brake, one = Brake(), client(server)
    with pytest.raises(TryLater):
        one.request("GET", f"{server.url}/a", brake=brake)

    with pytest.raises(TryLater) as error:
        one.request("GET", f"{server.url}/b", brake=brake)

    assert error.value.after is not None
    assert not error.value.counts
    assert server.seen == [("GET", "/a")]


@contextmanager
def a_connect_proxy() -> Iterator[tuple[str, list[str]]]:
    """Refuses every name, and writes down which were asked for."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(4096).decode().split("\r\n")[0])
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(1)


def test_the_proxy_of_the_environment_is_used_and_its_refusal_means_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_connect_proxy() as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        one = client(server, origin="https://api.bms.kaseya.com", patience=Patience(tries=1))

        with pytest.raises(TryLater) as error:
            one.request("POST", "https://api.bms.kaseya.com/v2/x", json_body={})

    assert not isinstance(error.value, Uncertain)
    assert "proxy" in error.value.sentence
    assert [line.split()[:2] for line in asked] == [["CONNECT", "api.bms.kaseya.com:443"]]


def test_the_environment_is_read_once_per_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    session = PooledSession()
    first = session.merge_environment_settings("https://a.test/x?1", None, False, None, None)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:2")
    second = session.merge_environment_settings("https://a.test/y?2", None, False, None, None)

    assert first["proxies"] == second["proxies"]
    assert first["proxies"]["https"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("proxied", [False, True])
def test_bodies_are_not_delayed_by_nagle(proxied: bool) -> None:
    adapter: Any = PooledSession().get_adapter("https://a.test/")
    manager = adapter.proxy_manager_for("http://127.0.0.1:1") if proxied else adapter.poolmanager

    pool = manager.connection_from_url("https://a.test/")

    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in pool.conn_kw["socket_options"]


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb"])
def test_a_header_with_a_line_break_is_never_sent(server: Server, value: str) -> None:
    with pytest.raises(Misconfigured, match="characters that are not allowed"):
        client(server).request("GET", f"{server.url}/a", headers={"X-One": value})

    assert server.seen == []
