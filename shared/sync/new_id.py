"""Ids of things that are made here: connections, mapping rules, syncs."""

from __future__ import annotations

import base64
import secrets


def new_id() -> str:
    """A random id of ten characters, fit for a URL, a table key and the name of a secret."""
    return base64.b32encode(secrets.token_bytes(6)).decode().rstrip("=").lower()
