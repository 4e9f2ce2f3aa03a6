"""What the local function host refuses at start, as Azure does, and with which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.host.host_json import read_host_json
from infra.local.host.messages import Record
from infra.local.host.ncrontab import parse_schedule
from infra.local.host.refusal import Refused
from infra.local.host.storage import read_connection
from infra.local.host.triggers import QueueTrigger, read_functions
from infra.local.process import ChildFailed
from tests.local.host_app import RunningHost, write_app


def start(app: Path, **settings: str) -> str:
    """Start the host, which must refuse the app, and return what it said."""
    host = RunningHost(app, **settings)
    with pytest.raises(ChildFailed, match="exit status 1"), host:
        pass
    return host.log


def test_a_bad_annotation_is_refused_with_the_workers_words(tmp_path: Path) -> None:
    log = start(
        write_app(
            tmp_path / "app",
            """
            @app.route()
            def hello(req: func.HttpRequest) -> dict:
                return {}
            """,
        )
    )
    assert log == (
        "The app could not be loaded: FunctionLoadError: cannot load the hello function: "
        'Python return annotation "dict" does not match binding type "http"\n'
    )


def test_a_wrong_trigger_annotation_is_refused_with_the_workers_words(tmp_path: Path) -> None:
    log = start(
        write_app(
            tmp_path / "app",
            """
            @app.queue_trigger(arg_name="message", queue_name="q", connection="AzureWebJobsStorage")
            def work(message: dict) -> None: ...
            """,
        )
    )
    assert "cannot load the work function: " in log
    assert "annotation" in log


def test_an_app_that_breaks_at_import_is_refused_with_its_traceback(tmp_path: Path) -> None:
    log = start(write_app(tmp_path / "app", "raise KeyError('SOME_SETTING')"))
    assert "Traceback" in log
    assert log.endswith("The app could not be loaded: KeyError: 'SOME_SETTING'\n")


def test_a_directory_without_an_app_is_refused(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "")
    (app / "function_app.py").unlink()
    assert "is there a function_app.py" in start(app)


def test_a_queue_function_without_its_connection_is_refused(tmp_path: Path) -> None:
    log = start(
        write_app(
            tmp_path / "app",
            """
            @app.queue_trigger(arg_name="m", queue_name="work", connection="AzureWebJobsStorage")
            def work(m: func.QueueMessage) -> None: ...
            """,
        )
    )
    assert 'The queue "work" needs the setting AzureWebJobsStorage' in log


def functions(*bindings: list[dict[str, Any]], **settings: str) -> Any:
    """Read functions f0, f1, … with these raw bindings."""
    metadata = [
        Record(name=f"f{i}", function_id=str(i), raw_bindings=[json.dumps(b) for b in each])
        for i, each in enumerate(bindings)
    ]
    return read_functions(metadata, "", settings)


def http(route: str, *methods: str) -> list[dict[str, Any]]:
    trigger = {"type": "httpTrigger", "name": "req", "direction": "IN", "authLevel": "ANONYMOUS"}
    return [
        {**trigger, "route": route, "methods": list(methods)},
        {"type": "http", "name": "$return", "direction": "OUT"},
    ]


def queue(name: str) -> list[dict[str, Any]]:
    return [{"type": "queueTrigger", "name": "m", "direction": "IN", "queueName": name}]


@pytest.mark.parametrize("route", ["admin/x", "adminpage", "/Admin", "runtime"])
def test_a_route_in_the_hosts_own_space_is_refused(route: str) -> None:
    with pytest.raises(Refused, match="conflicts with one or more built in routes"):
        functions(http(route))


@pytest.mark.parametrize("methods", [("GET",), ()])
def test_two_functions_of_one_route_and_method_are_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="conflicts with the route defined by function 'f0'"):
        functions(http("a/{x}", "GET", "POST"), http("A/{x}", *methods))


def test_two_functions_may_share_a_route_with_different_methods() -> None:
    assert len(functions(http("a", "GET"), http("a", "POST"))) == 2


def test_an_output_binding_is_refused() -> None:
    output = {"type": "queue", "name": "out", "direction": "OUT", "queueName": "q"}
    with pytest.raises(Refused, match='knows no "queue" binding'):
        functions([*http("a"), output])


def test_a_queue_name_comes_from_a_setting() -> None:
    (function,) = functions(queue("%QUEUE%-poison"), QUEUE="orders")
    assert isinstance(function.trigger, QueueTrigger)
    assert function.trigger.queue == "orders-poison"


@pytest.mark.parametrize("name", ["%MISSING%", "a_b", "ab", "a--b", "-ab"])
def test_a_queue_name_that_storage_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="f0"):
        functions(queue(name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "0 0 0 * * 7",
        "0 0 0 * * ?",
        "0 0 0 L * *",
        "60 * * * * *",
        "*/0 * * * * *",
        "0 0 0 30 2 *",
        "@hourly",
        "00:05:00",
        "0 5-1 * * * *",
    ],
)
def test_a_bad_schedule_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="f0"):
        functions([{"type": "timerTrigger", "name": "t", "direction": "IN", "schedule": text}])


@pytest.mark.parametrize(
    "queues",
    [
        {"batchSize": 33},
        {"maxDequeueCount": 0},
        {"visibilityTimeout": 30},
        {"maxPollingInterval": "00:00:00.05"},
        {"messageEncoding": "hex"},
    ],
)
def test_a_wrong_queue_option_in_host_json_is_refused(
    tmp_path: Path, queues: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match=r"host\.json"):
        read_host_json(write_app(tmp_path, "", queues=queues))


def test_queue_options_come_from_host_json(tmp_path: Path) -> None:
    queues = {"batchSize": 4, "visibilityTimeout": "00:01:30", "messageEncoding": "none"}
    options = read_host_json(write_app(tmp_path, "", queues=queues)).queues
    assert (options.batch_size, options.new_batch_threshold) == (4, 2)
    assert (options.visibility_timeout, options.base64) == (90, False)


def test_a_connection_may_be_an_account_with_an_identity() -> None:
    by_account = read_connection("Store", {"Store__accountName": "mine"})
    by_uri = read_connection("Store", {"Store__queueServiceUri": "https://q.example.com"})
    assert by_account is not None
    assert by_account.queue_uri == "https://mine.queue.core.windows.net"
    assert by_uri is not None
    assert (by_uri.queue_uri, by_uri.table_uri) == ("https://q.example.com", "")
    assert read_connection("Store", {}) is None


def test_schedules_of_five_fields_are_understood() -> None:
    assert parse_schedule("*/5 * * * *", "f0").plain == "0 */5 * * * *"
