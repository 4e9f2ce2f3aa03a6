"""The CONNECT proxy: it leads the known names to their stand-ins, and nothing anywhere else."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.local.network.control_client import ControlRefused
from infra.local.network.proxy_control import ProxyControl
from infra.local.process import ChildProcess


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # some tests cut the connection
            while data := self.request.recv(65536):
                self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[tuple[int, int]]:
    child = ChildProcess(
        "proxy",
        [
            *(sys.executable, "-m", "infra.local.network.proxy", "--port", "0"),
            *("--route", f"graph.microsoft.com=127.0.0.1:{echo_port}"),
            *("--route", f"*.vault.azure.net=127.0.0.1:{echo_port}"),
        ],
        log=tmp_path_factory.mktemp("proxy") / "proxy.log",
    )
    child.start()
    ready = child.wait_ready()
    yield ready["port"], ready["controlPort"]
    child.stop()


@pytest.fixture
def control(ports: tuple[int, int]) -> ProxyControl:
    control = ProxyControl(f"http://127.0.0.1:{ports[1]}")
    control.clear_faults()
    control.reset_counts()
    return control


def send(port: int, request: str, body: bytes = b"") -> tuple[socket.socket, str]:
    """Send a request's head, and return the connection with the answer's first line."""
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = client.recv(1)
        if not piece:
            break
        answer += piece
    return client, answer.split(b"\r\n")[0].decode()


def exchange(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = client.recv(65536)
        if not piece:
            break
        got += piece
    return got


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(65536):
        pass


def test_a_known_name_leads_to_its_stand_in(ports: tuple[int, int], control: ProxyControl) -> None:
    client, status = send(ports[0], "CONNECT graph.microsoft.com:443")
    with client:
        assert status == "HTTP/1.1 200 Connection established"
        assert exchange(client, b"hello") == b"hello"
        assert control.state()["open"] == {"graph.microsoft.com": 1}
    assert control.connections() == {"graph.microsoft.com": 1}
    assert control.refused() == {}


def test_names_ignore_case(ports: tuple[int, int], control: ProxyControl) -> None:
    client, status = send(ports[0], "CONNECT Graph.Microsoft.COM:443")
    client.close()
    assert " 200 " in status


def test_a_wildcard_stands_for_one_label(ports: tuple[int, int], control: ProxyControl) -> None:
    statuses = []
    for name in ("one.vault.azure.net", "vault.azure.net", "a.b.vault.azure.net"):
        client, status = send(ports[0], f"CONNECT {name}:443")
        client.close()
        statuses.append(status.split(" ")[1])
    assert statuses == ["200", "403", "403"]


@pytest.mark.parametrize(
    ("request_line", "counted"),
    [
        ("CONNECT example.com:443", "example.com"),
        ("CONNECT graph.microsoft.com.evil.example:443", "graph.microsoft.com.evil.example"),
        ("CONNECT graph.microsoft.com:8443", "graph.microsoft.com:8443"),
        ("CONNECT 169.254.169.254:443", "169.254.169.254"),
        ("GET http://graph.microsoft.com/", "GET http://graph.microsoft.com/"),
    ],
)
def test_everything_else_is_refused_and_counted(
    ports: tuple[int, int], control: ProxyControl, request_line: str, counted: str
) -> None:
    client, status = send(ports[0], request_line)
    with client:
        assert status == "HTTP/1.1 403 Forbidden"
    assert control.refused() == {counted: 1}
    assert control.connections() == {}


def test_bytes_sent_with_the_request_are_not_lost(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    client, _ = send(ports[0], "CONNECT graph.microsoft.com:443", b"early")
    with client:
        client.sendall(b"-late")
        got = b""
        while len(got) < len(b"early-late"):
            got += client.recv(100)
    assert got == b"early-late"


def test_megabytes_pass_unharmed_in_both_directions(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    sent = bytes(range(256)) * 40_000
    client, _ = send(ports[0], "CONNECT graph.microsoft.com:443")
    with client:
        sender = threading.Thread(target=client.sendall, args=(sent,))
        sender.start()
        got = bytearray()
        while len(got) < len(sent):
            got += client.recv(1 << 20)
        sender.join()
    assert bytes(got) == sent


def test_a_body_that_waits_for_an_acknowledgement_is_not_held_up(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    client, _ = send(ports[0], "CONNECT graph.microsoft.com:443")
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        began = time.monotonic()
        for _ in range(25):
            client.sendall(b"head")
            client.sendall(b"body")
            got = b""
            while len(got) < 8:
                got += client.recv(8)
        # A late acknowledgement would cost 40 ms each time.
        assert time.monotonic() - began < 0.5


def test_the_end_of_one_direction_leaves_the_other_open(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    client, _ = send(ports[0], "CONNECT graph.microsoft.com:443")
    with client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"last words"
        assert client.recv(100) == b""


def test_a_refused_name_answers_503_and_loses_its_open_tunnels(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    opened, _ = send(ports[0], "CONNECT graph.microsoft.com:443")
    with opened:
        control.add_fault("graph.microsoft.com", "refuse", times=1)
        with pytest.raises(ConnectionResetError):
            opened.recv(1)
    statuses = []
    for _ in range(2):
        client, status = send(ports[0], "CONNECT graph.microsoft.com:443")
        client.close()
        statuses.append(status.split(" ")[1])
    assert statuses == ["503", "200"]


def test_a_connection_is_reset_in_the_middle_of_an_answer(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    client, _ = send(ports[0], "CONNECT graph.microsoft.com:443")
    with client:
        assert exchange(client, b"x" * 100) == b"x" * 100
        control.add_fault("graph.microsoft.com", "reset", times=1, after_bytes=150)
        assert exchange(client, b"x" * 100) == b"x" * 100
        client.sendall(b"x" * 100)
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)
    after, status = send(ports[0], "CONNECT graph.microsoft.com:443")
    with after:
        assert " 200 " in status
        assert exchange(after, b"x" * 500) == b"x" * 500


def test_connecting_can_take_longer(ports: tuple[int, int], control: ProxyControl) -> None:
    control.add_fault("*.vault.azure.net", "delay", seconds=0.3, times=1)
    for slow in (True, False):
        began = time.monotonic()
        client, status = send(ports[0], "CONNECT a.vault.azure.net:443")
        client.close()
        assert " 200 " in status
        assert (time.monotonic() - began >= 0.3) == slow


def test_a_stand_in_that_does_not_run_gives_502(
    ports: tuple[int, int], control: ProxyControl
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        control.set_routes({"api.itglue.com": f"127.0.0.1:{taken.getsockname()[1]}"})
        client, status = send(ports[0], "CONNECT api.itglue.com:443")
        client.close()
    assert " 502 " in status


def test_a_route_leads_to_loopback_only(control: ProxyControl) -> None:
    with pytest.raises(ControlRefused, match=r"127\.0\.0\.1"):
        control.set_routes({"api.itglue.com": "10.0.0.1:443"})


def test_a_wrong_command_line_is_refused_with_a_sentence(tmp_path: Path) -> None:
    child = ChildProcess(
        "proxy",
        [sys.executable, "-m", "infra.local.network.proxy", "--route", "a=b"],
        log=tmp_path / "proxy.log",
    )
    child.start()
    with pytest.raises(Exception, match=r"A route leads to 127\.0\.0\.1:PORT"):
        child.wait_ready()
