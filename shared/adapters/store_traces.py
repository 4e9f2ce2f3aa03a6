"""What a line of the activity keeps so that it can be undone, as text in one property."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.adapters.store_people import link_entity, link_of
from shared.core.model import FieldChange, RecordType, Trace

# Defaults are left out, and so are the names, which a link that lives on has anyway.
_EMPTY: tuple[object, ...] = ("", -1, False, "{}")
_NAMES = frozenset({"displayName", "upn", "address"})


def trace_text(trace: Trace | None) -> str:
    """JSON text of a trace; "" for none."""
    if trace is None:
        return ""
    link = {
        name: value
        for name, value in link_entity(trace.before).items()
        if name not in _NAMES and value not in _EMPTY
    }
    body = {
        "before": link,
        "type": trace.record_type.value,
        "created": trace.created,
        "added": list(trace.added),
        "removed": list(trace.removed),
        "left": [[one.field, one.old, one.new] for one in trace.left],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def trace_of(text: str) -> Trace | None:
    """The inverse."""
    if not text:
        return None
    body = json.loads(text)
    left: Sequence[Sequence[str]] = body["left"]
    return Trace(
        before=link_of(body["before"]),
        record_type=RecordType(body["type"]),
        created=bool(body["created"]),
        added=tuple(body["added"]),
        removed=tuple(body["removed"]),
        left=tuple(FieldChange(*one) for one in left),
    )
