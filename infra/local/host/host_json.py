"""Reads host.json and resolves `%SETTING%`; refuses what the Functions host refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.local.host.refusal import Refused

_TIME_SPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$")
_SETTING = re.compile(r"%([^%]*)%")


@dataclass(frozen=True)
class QueueOptions:
    """host.json's `extensions.queues`."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    # The delay before a failed message is tried again, not the lease.
    visibility_timeout: float = 0.0
    max_polling_interval: float = 60.0
    base64: bool = True


@dataclass(frozen=True)
class HostJson:
    """The parts of host.json that this host obeys."""

    route_prefix: str = "api"
    queues: QueueOptions = field(default_factory=QueueOptions)
    function_timeout: float | None = 1800.0
    log_levels: Mapping[str, str] = field(default_factory=dict)


def time_span(text: object, name: str) -> float:
    """Read .NET's `[d.]hh:mm[:ss[.fraction]]` as seconds; refuse anything else."""
    match = _TIME_SPAN.match(text) if isinstance(text, str) else None
    if match is None:
        raise Refused(f'host.json: {name} must look like "00:00:30", not {json.dumps(text)}.')
    days, hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise Refused(f'host.json: {name} is no time: "{text}".')
    return timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0)
    ).total_seconds() + float(f"0.{fraction or 0}")


def _whole(value: object, name: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise Refused(f"host.json: {name} must be a whole number of {lowest} to {highest}.")
    return value


def _section(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name, {})
    if not isinstance(value, dict):
        raise Refused(f"host.json: {name} must be an object.")
    return value


def _queue_options(queues: Mapping[str, Any]) -> QueueOptions:
    batch_size = _whole(queues.get("batchSize", 16), "queues.batchSize", 1, 32)
    encoding = queues.get("messageEncoding", "base64")
    if str(encoding).lower() not in ("base64", "none"):
        raise Refused('host.json: queues.messageEncoding must be "base64" or "none".')
    longest = time_span(queues.get("maxPollingInterval", "00:01:00"), "queues.maxPollingInterval")
    if longest < 0.1:
        raise Refused("host.json: queues.maxPollingInterval must be 100 milliseconds or more.")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_whole(
            queues.get("newBatchThreshold", batch_size // 2),
            "queues.newBatchThreshold",
            0,
            1_000_000,
        ),
        max_dequeue_count=_whole(
            queues.get("maxDequeueCount", 5), "queues.maxDequeueCount", 1, 1_000_000
        ),
        # The service counts in whole seconds.
        visibility_timeout=math.ceil(
            time_span(queues.get("visibilityTimeout", "00:00:00"), "queues.visibilityTimeout")
        ),
        max_polling_interval=longest,
        base64=str(encoding).lower() == "base64",
    )


def read_host_json(app: Path) -> HostJson:
    """Read the app's host.json; without one, the Functions host's defaults hold."""
    path = app / "host.json"
    if not path.exists():
        return HostJson()
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise Refused(f"host.json cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("version") != "2.0":
        raise Refused('host.json must be an object with "version": "2.0".')
    extensions = _section(content, "extensions")
    prefix = _section(extensions, "http").get("routePrefix", "api")
    if not isinstance(prefix, str):
        raise Refused("host.json: http.routePrefix must be a text.")
    timeout = content.get("functionTimeout", "00:30:00")
    levels = _section(_section(content, "logging"), "logLevel")
    return HostJson(
        route_prefix=prefix.strip("/"),
        queues=_queue_options(_section(extensions, "queues")),
        # -1 is the Functions host's word for "no limit".
        function_timeout=None if timeout == "-1" else time_span(timeout, "functionTimeout"),
        log_levels={str(key): str(value) for key, value in levels.items()},
    )


def resolve_settings(text: str, settings: Mapping[str, str], where: str) -> str:
    """Put the value of every `%NAME%` into the text; refuse a name without a value."""

    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1])
        if not found:
            raise Refused(f"{where}: the setting %{match[1]}% has no value.")
        return found

    return _SETTING.sub(value, text)
