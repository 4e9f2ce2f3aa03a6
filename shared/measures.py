"""What is measured and traced, by name: one place for the code, the alerts and the workbook.

Only OpenTelemetry's interface is used here. Where nothing is set up to receive them (a local run),
measuring costs next to nothing; in Azure the wiring sends them to Application Insights. Attributes
hold ids, kinds and numbers, never a person's name or address.
"""

from __future__ import annotations

from opentelemetry import metrics, trace

_NAME = "directory-sync"

tracer = trace.get_tracer(_NAME)
_meter = metrics.get_meter(_NAME)

FRESHNESS = _meter.create_histogram(
    "sync.freshness.seconds", "s", "From the first signal of a change to the write in BMS"
)
DECISIONS = _meter.create_counter("sync.decisions", description="Users decided, by kind")
FAILURES = _meter.create_counter("sync.failures", description="Work that was given up, by cause")
BMS_CALLS = _meter.create_counter("sync.bms.calls", description="Calls to BMS, by lane and outcome")

FRESHNESS_P95 = _meter.create_gauge(
    "sync.freshness.p95.seconds", "s", "Of the changes written within the last quarter of an hour"
)
FAILURES_WAITING = _meter.create_gauge(
    "sync.failures.waiting", description="Failures that wait for a person"
)
BACKLOG = _meter.create_gauge("sync.backlog", description="Messages that wait, by queue")
SWEEP_AGE = _meter.create_gauge(
    "sync.sweep.age.seconds", "s", "Since the last successful sweep, of the worst connection"
)
BUDGET_USED = _meter.create_gauge(
    "sync.bms.budget.used.share", "1", "Of BMS's hourly limit, of the endpoint called most"
)
CREDENTIAL_DAYS = _meter.create_gauge(
    "sync.credential.days.left", "d", "Until the next one ends, by kind"
)


def correlation_id() -> str:
    """The trace that the present work belongs to, as 32 hex digits; empty outside of any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
