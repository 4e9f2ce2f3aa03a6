"""HTTP triggers of the local function host, over the wire."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from tests.local.host_app import RunningHost, wait_for, write_app

_APP = """
import asyncio, json

def told(req: func.HttpRequest, **more: object) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({
        "method": req.method, "url": req.url, "headers": dict(req.headers),
        "query": dict(req.params), "route": dict(req.route_params),
        "body": req.get_body().decode("latin-1"), **more,
    }), mimetype="application/json")

@app.route(route="echo", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return told(req)

@app.route(route="items/special", methods=["GET"])
def literal(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="literal")

@app.route(route="items/{number:int}", methods=["GET"])
def number(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="number")

@app.route(route="items/{name}", methods=["GET", "DELETE"])
def name(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="name")

@app.route(route="items/{name}", methods=["PUT"])
def put(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="put")

@app.route(route="files/{*rest}", methods=["GET"])
def files(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="files")

@app.route(route="OAuth/IntegrationCallback.aspx", methods=["GET"])
def callback(req: func.HttpRequest) -> func.HttpResponse:
    return told(req, function="callback")

@app.route(route="keyed", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="owner", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def owner(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")

@app.route(route="cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("", status_code=302, headers={"Location": "/elsewhere"})
    response.headers.add("Set-Cookie",
        "session=a.b-c; HttpOnly; Secure; SameSite=Strict; Path=/console; Max-Age=600")
    response.headers.add("Set-Cookie", "state=1/2; SameSite=Lax; Path=/")
    return response

@app.route(route="bytes", methods=["POST"])
def raw(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body(), mimetype="application/octet-stream", status_code=201)

@app.route(route="text", methods=["GET"])
def text(req: func.HttpRequest) -> str:
    return "just text"

@app.route(route="boom", methods=["GET"])
def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a secret detail")

@app.route(route="wait", methods=["GET"])
async def wait(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0.3)
    return func.HttpResponse("waited")

@app.route(route="block", methods=["GET"])
def block(req: func.HttpRequest) -> func.HttpResponse:
    time.sleep(0.3)
    logging.info("ended on %s", threading.current_thread().name)
    return func.HttpResponse("blocked")

@app.route(route="printing", methods=["GET"])
def printing(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    print("printed by the app")
    logging.warning("logged\\nin two lines")
    return func.HttpResponse(context.function_name)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    app = write_app(tmp_path_factory.mktemp("http") / "app", _APP)
    with RunningHost(app, LOCAL_HOST_KEY="the-key", PYTHON_THREADPOOL_THREAD_COUNT="4") as running:
        yield running


def told(host: RunningHost, path: str, method: str = "GET", **options: Any) -> Any:
    return host.call(method, path, **options).json()


@pytest.mark.parametrize(
    ("path", "function", "route"),
    [
        ("/items/special", "literal", {}),
        ("/ITEMS/Special/", "literal", {}),
        ("/items/42", "number", {"number": "42"}),
        ("/items/99999999999", "name", {"name": "99999999999"}),
        ("/items/Jo%20H%C3%A9", "name", {"name": "Jo Hé"}),
        ("/items/a%2Fb", "name", {"name": "a%2Fb"}),
        ("/files/a/b.css", "files", {"rest": "a/b.css"}),
        ("/files", "files", {}),
        ("/oauth/integrationcallback.ASPX?code=x&state=y", "callback", {}),
    ],
)
def test_the_most_exact_route_takes_the_request(
    host: RunningHost, path: str, function: str, route: dict[str, str]
) -> None:
    answer = told(host, path)
    assert (answer["function"], answer["route"]) == (function, route)


def test_a_route_may_be_shared_by_methods_and_a_less_exact_one_takes_the_rest(
    host: RunningHost,
) -> None:
    assert told(host, "/items/x", "PUT")["function"] == "put"
    assert told(host, "/items/special", "DELETE")["function"] == "name"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("GET", "/items"), ("PATCH", "/echo")]
)
def test_a_wrong_route_or_method_is_404_without_a_body(
    host: RunningHost, method: str, path: str
) -> None:
    response = host.call(method, path)
    assert (response.status_code, response.content) == (404, b"")


def test_the_function_sees_headers_query_and_url_as_in_azure(host: RunningHost) -> None:
    answer = told(host, "/echo?a=1&a=2&empty=&Sp=x%20y", headers={"X-Some-Header": "Value"})
    assert answer["query"] == {"a": "1,2", "Sp": "x y"}
    assert answer["headers"]["x-some-header"] == "Value"
    assert answer["url"] == f"{host.url}/echo?a=1&a=2&empty=&Sp=x%20y"


def test_bodies_come_and_go_as_raw_bytes(host: RunningHost) -> None:
    body = bytes(range(256)) * 5000
    response = host.call("POST", "/bytes", data=body)
    assert (response.status_code, response.content) == (201, body)


def test_a_chunked_body_arrives_in_full(host: RunningHost) -> None:
    assert told(host, "/echo", "POST", data=iter([b"one ", b"two"]))["body"] == "one two"


def test_a_text_result_is_plain_text(host: RunningHost) -> None:
    response = host.call("GET", "/text")
    assert (response.text, response.headers["Content-Type"]) == (
        "just text",
        "text/plain; charset=utf-8",
    )


def test_cookies_keep_their_attributes(host: RunningHost) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.ready["port"])
    connection.request("GET", "/cookies")
    response = connection.getresponse()
    first, second = response.headers.get_all("Set-Cookie") or []
    connection.close()
    assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
    session = SimpleCookie(first)["session"]
    assert session.value == "a.b-c"
    assert (session["httponly"], session["secure"]) == (True, True)
    assert (session["samesite"], session["path"], session["max-age"]) == (
        "strict",
        "/console",
        "600",
    )
    # ASP.NET escapes a cookie's value.
    assert second == "state=1%2F2; path=/; samesite=lax"


def test_a_raising_function_is_a_bare_500_and_its_traceback_is_in_the_log_only(
    host: RunningHost,
) -> None:
    response = host.call("GET", "/boom")
    assert (response.status_code, response.content) == (500, b"")
    wait_for(lambda: "RuntimeError: a secret detail" in host.log)
    assert "boom: failed" in host.log
    assert "Traceback" in host.log


@pytest.mark.parametrize("path", ["/keyed", "/owner"])
def test_a_guarded_function_wants_the_key_in_header_or_query(host: RunningHost, path: str) -> None:
    assert host.call("GET", path).status_code == 401
    assert host.call("GET", f"{path}?code=wrong").status_code == 401
    assert host.call("GET", f"{path}?code=the-key").text == "in"
    assert host.call("GET", path, headers={"x-functions-key": "the-key"}).text == "in"


def test_async_functions_share_the_loop(host: RunningHost) -> None:
    assert _seconds_for(host, "/wait", 16) < 3.0


def test_sync_functions_run_in_the_workers_pool_of_the_configured_size(host: RunningHost) -> None:
    # 8 calls of 0.3 s on 4 threads: two rounds.
    assert 0.6 <= _seconds_for(host, "/block", 8) < 2.0


def _seconds_for(host: RunningHost, path: str, calls: int) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(calls) as pool:
        statuses = {r.status_code for r in pool.map(lambda _: host.call("GET", path), range(calls))}
    assert statuses == {200}
    return time.monotonic() - began


def test_log_lines_name_the_function_and_printing_leaves_stdout_alone(host: RunningHost) -> None:
    assert host.call("GET", "/printing").text == "printing"
    wait_for(lambda: "printed by the app" in host.log)
    assert r"WARNING  printing: logged\nin two lines" in host.log


def test_the_hosts_own_routes_answer_on_loopback_only(host: RunningHost) -> None:
    assert host.call("GET", "/admin/host/ping").status_code == 200
    assert told(host, "/admin/host/status")["state"] == "Running"
    assert host.call("GET", "/").status_code == 200
    foreign = {"Host": "tunnel.example.com"}
    assert host.call("GET", "/admin/host/status", headers=foreign).status_code == 401
    foreign["x-functions-key"] = "the-key"
    assert host.call("GET", "/admin/host/status", headers=foreign).status_code == 200


def test_the_default_route_prefix_is_api(tmp_path: Path) -> None:
    app = write_app(
        tmp_path / "app",
        """
        @app.route()
        async def hello(req: func.HttpRequest) -> str:
            return "hello"
        """,
    )
    (app / "host.json").unlink()
    with RunningHost(app) as host:
        assert host.call("GET", "/api/hello").text == "hello"
        assert host.call("GET", "/hello").status_code == 404


def test_sigterm_lets_a_running_request_end(tmp_path: Path) -> None:
    app = write_app(
        tmp_path / "app",
        """
        @app.route()
        def slow(req: func.HttpRequest) -> str:
            note("begun")
            time.sleep(1)
            return "ended"
        """,
    )
    with RunningHost(app) as host, ThreadPoolExecutor(1) as pool:
        call = pool.submit(host.call, "GET", "/slow")
        wait_for(lambda: host.notes("begun"))
        os.kill(host.process.pid, signal.SIGTERM)
        assert call.result().text == "ended"
        assert wait_for(lambda: not host.process.alive)
        assert host.process.exit_status == 0
