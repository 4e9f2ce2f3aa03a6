"""One trace from Graph's notification to the write in BMS: queue messages carry its context along.

Storage queues know no headers, so the context (W3C Trace Context, `traceparent`) is one more member
at the end of the message's JSON object.
"""

from __future__ import annotations

import re

_CONTEXT = r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
_AT_THE_END = re.compile(rf',"tp":"({_CONTEXT})"\}}$')


def carry(text: str, traceparent: str) -> str:
    """The message with this context in place of an older one; any other text stays as it is."""
    if not re.fullmatch(_CONTEXT, traceparent) or not text.endswith("}") or len(text) < 3:
        return text
    bare = _AT_THE_END.sub("}", text)
    return f'{bare[:-1]},"tp":"{traceparent}"}}'


def carried(text: str) -> str:
    """The context that the message carries; empty for none."""
    found = _AT_THE_END.search(text)
    return found.group(1) if found else ""
