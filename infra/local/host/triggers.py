"""What the app declares: functions with an HTTP, timer or queue trigger, checked as Azure checks.

The worker library indexes the app and describes each function by its raw bindings (function.json as
JSON texts). Here they become typed values; what this host cannot run is refused with a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from infra.local.host.host_json import resolve_settings
from infra.local.host.ncrontab import Schedule, parse_schedule
from infra.local.host.refusal import Refused

_QUEUE_NAME = re.compile(r"^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$")


@dataclass(frozen=True)
class HttpTrigger:
    """An HTTP trigger; no methods means every method."""

    argument: str
    route: str
    methods: frozenset[str]
    auth_level: str


@dataclass(frozen=True)
class TimerTrigger:
    """A timer trigger with its schedule parsed."""

    argument: str
    schedule: Schedule
    use_monitor: bool
    run_on_startup: bool


@dataclass(frozen=True)
class QueueTrigger:
    """A storage queue trigger; the connection is the name of a setting."""

    argument: str
    queue: str
    connection: str


@dataclass(frozen=True)
class RetryPolicy:
    """`@app.retry`: how often, and how long to wait before each try; -1 means for ever."""

    most: int
    shortest: float
    longest: float

    def delay(self, tries: int) -> float:
        """The seconds to wait after that many failed tries."""
        return float(min(self.longest, self.shortest * 2 ** min(tries - 1, 30)))


Trigger = HttpTrigger | TimerTrigger | QueueTrigger


@dataclass(frozen=True)
class Function:
    """One function of the app."""

    name: str
    id: str
    trigger: Trigger
    retry: RetryPolicy | None = None

    def describe(self) -> str:
        """Say in one line what starts this function."""
        match self.trigger:
            case HttpTrigger(route=route, methods=methods, auth_level=level):
                return f"http {','.join(sorted(methods)) or 'any'} /{route} ({level})"
            case TimerTrigger(schedule=schedule):
                return f"timer {schedule.text}"
            case QueueTrigger(queue=queue):
                return f"queue {queue}"


def read_functions(
    metadata: Iterable[Any], route_prefix: str, settings: Mapping[str, str]
) -> list[Function]:
    """Turn the worker's metadata into functions; refuse what Azure, or this host, refuses."""
    functions: list[Function] = []
    for entry in metadata:
        name = str(entry.name)
        bindings = [json.loads(raw) for raw in entry.raw_bindings]
        functions.append(
            Function(
                name=name,
                id=str(entry.function_id),
                trigger=_trigger(name, bindings, route_prefix, settings),
                retry=_retry(entry.retry_options),
            )
        )
    _refuse_twice_the_same_route(functions)
    return functions


def _trigger(
    name: str, bindings: list[dict[str, Any]], prefix: str, settings: Mapping[str, str]
) -> Trigger:
    trigger: Trigger | None = None
    for binding in bindings:
        match binding["type"]:
            case "httpTrigger":
                trigger = _http(name, binding, prefix)
            case "timerTrigger":
                trigger = _timer(name, binding, settings)
            case "queueTrigger":
                trigger = _queue(name, binding, settings)
            case "http" if binding["name"] == "$return":
                pass
            case other:
                raise Refused(
                    f'Function {name}: this host knows no "{other}" binding, only HTTP, timer and '
                    "queue triggers."
                )
    if trigger is None:
        raise Refused(f"Function {name}: no trigger binding was found.")
    return trigger


def _http(name: str, binding: Mapping[str, Any], prefix: str) -> HttpTrigger:
    # Without a route, or with an empty one, the function's name is the route.
    route = str(binding.get("route") or "").strip() or name
    bare = route.strip("/")
    # The Functions host compares prefixes, so "adminpage" is refused as well.
    if bare.lower().startswith(("admin", "runtime")):
        raise Refused(
            f"Function {name}: the specified route conflicts with one or more built in routes "
            f'("{route}" begins with admin or runtime).'
        )
    level = str(binding.get("authLevel") or "FUNCTION").lower()
    if level not in ("anonymous", "function", "admin"):
        raise Refused(f'Function {name}: the auth level "{level}" is unknown.')
    return HttpTrigger(
        argument=str(binding["name"]),
        route="/".join(part for part in (prefix, bare) if part),
        methods=frozenset(str(method).upper() for method in binding.get("methods") or ()),
        auth_level=level,
    )


def _timer(name: str, binding: Mapping[str, Any], settings: Mapping[str, str]) -> TimerTrigger:
    where = f"Function {name}"
    text = resolve_settings(str(binding.get("schedule") or ""), settings, where)
    monitored = binding.get("useMonitor")
    return TimerTrigger(
        argument=str(binding["name"]),
        schedule=parse_schedule(text, where),
        use_monitor=monitored is None or bool(monitored),
        run_on_startup=bool(binding.get("runOnStartup")),
    )


def _queue(name: str, binding: Mapping[str, Any], settings: Mapping[str, str]) -> QueueTrigger:
    where = f"Function {name}"
    queue = resolve_settings(str(binding.get("queueName") or ""), settings, where).lower()
    if not _QUEUE_NAME.match(queue):
        raise Refused(
            f'{where}: "{queue}" is no queue name (3 to 63 lower-case letters, digits and single '
            "hyphens)."
        )
    connection = str(binding.get("connection") or "AzureWebJobsStorage")
    return QueueTrigger(
        argument=str(binding["name"]),
        queue=queue,
        connection=resolve_settings(connection, settings, where),
    )


def _retry(options: Any) -> RetryPolicy | None:
    if options is None:
        return None
    fixed: timedelta | None = options.delay_interval
    if fixed is not None:
        return RetryPolicy(options.max_retry_count, fixed.total_seconds(), fixed.total_seconds())
    return RetryPolicy(
        options.max_retry_count,
        options.minimum_interval.total_seconds(),
        options.maximum_interval.total_seconds(),
    )


def _refuse_twice_the_same_route(functions: Iterable[Function]) -> None:
    seen: list[tuple[str, HttpTrigger]] = []
    for function in functions:
        trigger = function.trigger
        if not isinstance(trigger, HttpTrigger):
            continue
        for other_name, other in seen:
            overlap = not trigger.methods or not other.methods or trigger.methods & other.methods
            if other.route.lower() == trigger.route.lower() and overlap:
                raise Refused(
                    f"Function {function.name}: the route specified conflicts with the route "
                    f"defined by function '{other_name}'."
                )
        seen.append((function.name, trigger))
