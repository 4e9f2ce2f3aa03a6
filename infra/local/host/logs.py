"""The log on stderr: one line a record with time, level and the function that wrote it.

host.json's `logging.logLevel` decides what is written, by the categories `default`, `Function`,
`Function.NAME` and `Function.NAME.User`. In Azure all records of Python code have the category
`Function.NAME.User`, whatever their logger is called: a level for "Azure" does nothing to them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

import azure_functions_runtime as runtime

from infra.local.host.refusal import Refused

HOST = logging.getLogger("infra.local.host")
STORAGE_THREADS = "host-storage"

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
# Set on this loop; the worker does not carry context variables into its thread pool, but sets its
# own variable with the invocation id there.
_function: ContextVar[str | None] = ContextVar("function", default=None)


def _level(name: str) -> int:
    try:
        return _LEVELS[name.lower()]
    except KeyError:
        raise Refused(f'host.json: the log level "{name}" is unknown.') from None


class Logs:
    """Attributes log records to functions and writes them."""

    def __init__(self, levels: Mapping[str, str]) -> None:
        self._levels = {category.lower(): _level(name) for category, name in levels.items()}
        self._by_function: dict[str | None, int] = {}
        self._names: dict[str, str] = {}
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Lines(self))
        handler.addFilter(self._wanted)
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(min([logging.INFO, *self._levels.values()]))
        # The worker library's own talk ("Function name: …" at each invocation) is a system log.
        logging.getLogger("azure.functions").setLevel(logging.WARNING)

    @contextmanager
    def invocation(self, invocation_id: str, function: str) -> Iterator[None]:
        """Attribute what is logged inside, also in the worker's threads, to the function."""
        self._names[invocation_id] = function
        token = _function.set(function)
        try:
            yield
        finally:
            _function.reset(token)
            del self._names[invocation_id]

    def failure(self, message: str, stack_trace: str) -> None:
        """Log the exception of the function that runs now."""
        HOST.error("failed: %s\n%s", message, stack_trace.rstrip())

    def host_error(self, message: str) -> None:
        """Log what the host itself has to say about the function that runs now."""
        HOST.error(message)

    def current_function(self) -> str | None:
        """The function that the calling code belongs to, if it belongs to one."""
        name = _function.get()
        if name is None:
            invocation_id = runtime.invocation_id_cv.get()
            name = self._names.get(invocation_id) if invocation_id else None
        return name

    def _wanted(self, record: logging.LogRecord) -> bool:
        if record.name == HOST.name:
            return True
        if record.threadName and record.threadName.startswith(STORAGE_THREADS):
            # The SDK's talk about the host's own polling would drown the app's log.
            return record.levelno >= logging.WARNING
        function = self.current_function()
        record.__dict__["function"] = function
        level = self._by_function.get(function)
        if level is None:
            level = self._by_function[function] = self._level_of(function)
        return record.levelno >= level

    def _level_of(self, function: str | None) -> int:
        category = f"function.{function}.user".lower() if function else "worker"
        known = [key for key in self._levels if f"{category}.".startswith(f"{key}.")]
        if known:
            return self._levels[max(known, key=len)]
        return self._levels.get("default", logging.INFO)


class _Lines(logging.Formatter):
    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        who = record.__dict__.get("function") or self._logs.current_function() or "-"
        text = record.getMessage()
        # Several lines are a traceback of the host's; a message of the app stays one line.
        if record.name != HOST.name:
            text = text.replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{time.replace('+00:00', 'Z')} {record.levelname:<8} {who}: {text}"
