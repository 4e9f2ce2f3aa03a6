"""Where traces and metrics go: to Application Insights when Azure names one, else nowhere.

Spans have ids in either case, so that a log line can be found by its correlation id. The exporter
is imported only where it is used: it would double the time of a start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.config import Settings
from shared.measures import tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

_PROPAGATOR = TraceContextTextMapPropagator()
_EVERY = 60_000  # milliseconds between two exports of the metrics
_PATIENCE = 2_000  # milliseconds to wait for what is sent at once


def set_up(settings: Settings) -> bool:
    """Choose where traces and metrics of this process go, once; whether they go anywhere."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        resource = Resource.create({"service.name": "directory-sync"})
        # Spans that go nowhere have their ids, and hold nothing.
        sampler = DEFAULT_ON if settings.insights else ALWAYS_OFF
        provider = TracerProvider(sampler, resource)
        if settings.insights:
            _export(settings, provider, resource)
        trace.set_tracer_provider(provider)
    return bool(settings.insights)


def _export(settings: Settings, provider: TracerProvider, resource: Any) -> None:
    # The exporter would report on itself to an address of its own.
    os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    from azure.identity import ManagedIdentityCredential
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider, _Gauge
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    given = {
        "connection_string": settings.insights,
        "credential": ManagedIdentityCredential(client_id=settings.storage.client_id or None),
        "disable_offline_storage": True,
    }
    provider.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(**given)))
    exporter = AzureMonitorMetricExporter(**given)
    # A gauge is told once for each time it was set. Else its last value would be sent every minute
    # for ever, also when nobody measures any more, and the alerts would believe it.
    preferred: dict[type, AggregationTemporality] = dict(exporter._preferred_temporality or {})
    exporter._preferred_temporality = {**preferred, _Gauge: AggregationTemporality.DELTA}
    reader = PeriodicExportingMetricReader(exporter, _EVERY)
    metrics.set_meter_provider(MeterProvider([reader], resource))


def flush() -> None:
    """Send what was measured so far: an instance may be frozen as soon as it has nothing to do."""
    for provider in (metrics.get_meter_provider(), trace.get_tracer_provider()):
        if hasattr(provider, "force_flush"):
            provider.force_flush(_PATIENCE)


@contextmanager
def invocation(name: str, traceparent: str = "") -> Iterator[None]:
    """A span around the work of one trigger, as the child of what the message carries."""
    parent: Context | None = None
    if traceparent:
        parent = _PROPAGATOR.extract({"traceparent": traceparent})
    with tracer.start_as_current_span(name, context=parent):
        yield


def traceparent() -> str:
    """The present context, as messages carry it; empty outside of any span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")
