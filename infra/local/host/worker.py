"""The seam to Microsoft's worker library: loads the app and invokes its functions as Azure does.

`azure-functions-runtime` is what runs in Azure from Python 3.13 on, called there by a thin proxy
through the same five verbs as here. Indexing, the checks of annotations and their error texts, the
conversion of arguments and results, the context and the thread pool of synchronous functions are
therefore the real ones. One process holds one app: the library keeps it in module globals.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure_functions_runtime as runtime

from infra.local.host.logs import Logs
from infra.local.host.messages import Messages, ParameterBinding, Record, StatusResult, TypedData
from infra.local.host.refusal import Refused

if TYPE_CHECKING:  # the load check runs where only the app's own packages are
    from infra.local.host.triggers import Function

_PROPERTIES = {"protos": Messages(), "host": "127.0.0.1"}
_EMPTY_TRACE = Record(trace_parent="", trace_state="", attributes={})
_NO_RETRY = Record(retry_count=0, max_retry_count=0, exception=None)


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended."""

    succeeded: bool
    value: TypedData | None = None


class InvocationContext:
    """The numbers that a retried invocation shows to the function."""

    def __init__(self, tries: int, most: int) -> None:
        self.record = Record(
            retry_count=tries,
            max_retry_count=most,
            exception=Record(source="", stack_trace="", message=""),
        )


def _request(**messages: Any) -> Any:
    return Record(request=Record(**messages), properties=_PROPERTIES)


async def load_app(app: Path) -> list[Any]:
    """Index the app in the directory and return the worker's metadata of its functions."""
    # As in Azure: the app's directory is the working directory and the first place for imports.
    os.chdir(app)
    sys.path.insert(0, str(app))
    runtime.start_threadpool_executor()
    try:
        answer = await runtime.worker_init_request(
            _request(worker_init_request=Record(capabilities={}, function_app_directory=str(app)))
        )
    except SystemExit as end:
        raise Refused(f"The app ended the process while it was loaded: {end}.") from end
    if answer.result.status != StatusResult.Success:
        message = str(answer.result.exception.message)
        # A function that the worker itself refuses is explained by the message alone; an app that
        # breaks while it is imported by its traceback.
        told = message.startswith(("FunctionLoadError", "ValueError"))
        details = "" if told else str(answer.result.exception.stack_trace)
        raise Refused(f"The app could not be loaded: {message}", details)
    answer = await runtime.functions_metadata_request(_request(functions_metadata_request=Record()))
    metadata = answer.function_metadata_results
    if metadata is None:
        script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
        raise Refused(f"The app has no functions: is there a {script} in {app}?")
    for entry in metadata:
        loaded = await runtime.function_load_request(
            _request(function_load_request=Record(function_id=entry.function_id, metadata=entry))
        )
        if loaded.result.status != StatusResult.Success:
            raise Refused(f"Function {entry.name} could not be loaded.")
    return list(metadata)


class Invoker:
    """Runs functions and knows which of them run."""

    def __init__(self, logs: Logs, function_timeout: float | None) -> None:
        self._logs = logs
        self._timeout = function_timeout
        self.running = 0
        self.invocations = 0

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        *,
        trigger_metadata: dict[str, TypedData] | None = None,
        trace_parent: str = "",
        trace_state: str = "",
        context: InvocationContext | None = None,
    ) -> Outcome:
        """Run the function once with its trigger's value; a failure is logged and told, not raised.

        Synchronous functions wait for the worker's thread pool, asynchronous ones run on this loop.
        """
        invocation_id = str(uuid.uuid4())
        request = _request(
            invocation_request=Record(
                invocation_id=invocation_id,
                function_id=function.id,
                input_data=(ParameterBinding(function.trigger.argument, data),),
                trigger_metadata=trigger_metadata,
                trace_context=Record(
                    trace_parent=trace_parent, trace_state=trace_state, attributes={}
                )
                if trace_parent
                else _EMPTY_TRACE,
                retry_context=context.record if context else _NO_RETRY,
            )
        )
        with self._counted(), self._logs.invocation(invocation_id, function.name):
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await runtime.invocation_request(request)
            except TimeoutError:
                # Azure restarts the worker at this point; here a synchronous function keeps its
                # thread until it ends by itself.
                self._logs.host_error(
                    f"the function did not end within {self._timeout:g} s (functionTimeout)"
                )
                return Outcome(succeeded=False)
            if answer.result.status != StatusResult.Success:
                error = answer.result.exception
                self._logs.failure(str(error.message), str(error.stack_trace))
                return Outcome(succeeded=False)
        return Outcome(succeeded=True, value=answer.return_value)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        self.invocations += 1
        try:
            yield
        finally:
            self.running -= 1
