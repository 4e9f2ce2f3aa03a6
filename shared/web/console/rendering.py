"""Templates into pages: Jinja2 with autoescape, and the few words that all templates share.

Text from Entra and BMS is data: whatever it holds, it is shown as text. The policy allows this
app's own script and style and nothing else, nothing inline, nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.web.console import words
from shared.web.http import Reply

if TYPE_CHECKING:
    from jinja2 import Environment

HTML = "text/html; charset=utf-8"
_HERE = Path(__file__).parent
STATIC = _HERE / "static"
HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


def html_reply(
    template: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """The page that this template makes of these values."""
    text = environment().get_template(template).render(values)
    return Reply(status, text.encode(), HTML, HEADERS + headers)


def file_reply(body: bytes, content_type: str, name: str = "") -> Reply:
    """A file to take along under this name, or to read; as private as the pages."""
    kept = (("Content-Disposition", f'attachment; filename="{name}"'),) if name else ()
    return Reply(200, body, content_type, HEADERS + kept)


def standing_alone(template: str, values: Mapping[str, Any]) -> bytes:
    """A page outside the console, in its look; its headers are the caller's."""
    return environment().get_template(template).render(values).encode()


@cache
def environment() -> Environment:
    """The templates, made ready once per process when the first page is asked for."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        iso=iso,
        utc=utc,
        count=words.count,
        seconds=words.seconds,
        label=words.label,
        deed=words.deed,
        tone=words.tone,
        origin=words.origin,
    )
    made.globals.update(asset=asset)
    return made


def iso(at: datetime | None) -> str:
    """For the `datetime` attribute of a time element."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(at: datetime | None) -> str:
    """What is shown until the reader's browser has put it into his own zone."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


@cache
def asset(name: str) -> str:
    """The address of a static file, which changes with its content so that it can be cached."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/console/static/{name}?v={digest}"
