"""One trace from the first signal to the last call, across queues and threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from shared.adapters import telemetry
from shared.adapters.http import HttpClient
from shared.adapters.http_session import PooledSession
from shared.adapters.queues import StorageQueues
from shared.config import Settings, StorageSettings
from shared.core.correlation import carried
from shared.errors import TryLater
from shared.measures import correlation_id, tracer
from shared.ports import FRESH
from tests.real_storage import RealStorage

SETTINGS = Settings(StorageSettings("", "", ""), "https://vault.example", "https://sync.example")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    telemetry.set_up(SETTINGS)
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # A process exports to one place or to none, from its start: here the first of them did not.
    monkeypatch.setattr(getattr(tracer, "_tracer", tracer), "sampler", DEFAULT_ON)
    yield exporter
    exporter.shutdown()


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [span for span in spans.get_finished_spans() if span.name == name]
    return found


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def test_nothing_is_exported_or_recorded_where_no_place_is_named() -> None:
    assert telemetry.set_up(SETTINGS) is False
    with telemetry.invocation("user-deltas"):
        assert correlation_id(), "a log line is found by it"
        assert not trace.get_current_span().is_recording()


def test_a_message_carries_the_trace_of_the_work_that_sent_it(
    seen: InMemorySpanExporter, real_storage: RealStorage
) -> None:
    queues = StorageQueues(real_storage.settings, PooledSession)
    with tracer.start_as_current_span("graph notifications"):
        queues.send(FRESH, '{"v":1}')
        first = correlation_id()
    queue = QueueClient.from_connection_string(
        real_storage.connection_string, FRESH, message_decode_policy=TextBase64DecodePolicy()
    )
    with queue:
        texts = [message.content for message in queue.receive_messages()]
        queue.clear_messages()

    with telemetry.invocation("user-deltas", carried(texts[-1])):
        assert correlation_id() == first

    assert first == trace_of(named(seen, "user-deltas"))
    assert trace_of(named(seen, "graph notifications")) == first


def test_a_call_in_another_thread_belongs_to_the_same_trace_and_names_nobody(
    seen: InMemorySpanExporter,
) -> None:
    client = HttpClient(PooledSession(), "BMS", frozenset({"http://127.0.0.1:9"}))

    def call() -> None:
        with pytest.raises(TryLater):
            replace(client, sleep=lambda _: None).request(
                "GET", "http://127.0.0.1:9/v2/people/ada@contoso.example?q=Ada"
            )

    with telemetry.invocation("user-deltas"), ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, call).result()
        trace_id = correlation_id()

    calls = [span for span in seen.get_finished_spans() if span.name == "BMS GET"]
    assert {trace_of(span) for span in calls} == {trace_id}
    assert {(span.attributes or {})["url.path"] for span in calls} == {"/v2/people/*"}


def test_outside_of_any_work_there_is_no_correlation() -> None:
    assert correlation_id() == ""
    assert telemetry.traceparent() == ""
