"""What a vault holds: secrets, their versions, and those that are deleted but recoverable.

Plain values and dictionaries, no HTTP. Deleting and recovering can take a while, as in the real
service; until then the name is in neither list and cannot be used.
"""

from __future__ import annotations

import re
import secrets
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from infra.local.vault import errors

_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
LONGEST_VALUE = 25_600
MOST_TAGS = 15
RECOVERABLE_DAYS = 90


@dataclass
class Switches:
    """Behaviour that differs between vaults, or that nobody has measured."""

    deletion_seconds: float = 0.0
    recovery_seconds: float = 0.0
    purge_protection: bool = False
    page_size: int = 25


@dataclass(frozen=True)
class Version:
    """One version of a secret."""

    id: str
    value: str
    content_type: str | None
    tags: Mapping[str, str] | None
    enabled: bool
    not_before: int | None
    expires: int | None
    created: int
    updated: int


@dataclass
class Secret:
    """A name and its versions, oldest first. Busy until `ready_at` after a deletion or recovery."""

    name: str
    versions: dict[str, Version] = field(default_factory=dict)
    ready_at: float = 0.0
    deleted_on: int | None = None

    @property
    def newest(self) -> Version:
        return self.versions[next(reversed(self.versions))]

    @property
    def busy(self) -> bool:
        return self.ready_at > time.monotonic()


class Store:
    """One vault."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        # Names of secrets are case-insensitive and keep the case that they were first written with.
        self._active: dict[str, Secret] = {}
        self._deleted: dict[str, Secret] = {}
        self._sorted: dict[bool, list[str]] = {}

    def set(self, name: str, body: Mapping[str, Any]) -> tuple[Secret, Version]:
        """Write a new version; the first makes the secret."""
        if not _NAME.fullmatch(name):
            raise errors.bad_parameter(f"The request URI contains an invalid name: {name}")
        key = name.lower()
        gone = self._deleted.get(key)
        if gone is not None:
            raise errors.being_deleted(name) if gone.busy else errors.deleted_but_recoverable(name)
        secret = self._active.get(key)
        if secret is not None and secret.busy:
            raise errors.being_recovered(name)
        value = body.get("value")
        if not isinstance(value, str):
            raise errors.bad_parameter("The parameter value is required.")
        if len(value.encode()) > LONGEST_VALUE:
            raise errors.bad_parameter(
                f"Secret value is too long: the limit is {LONGEST_VALUE} bytes."
            )
        now = int(time.time())
        version = _with_properties(
            Version(secrets.token_hex(16), value, None, None, True, None, None, now, now), body
        )
        if secret is None:
            secret = self._active[key] = Secret(name)
            self._sorted.pop(True, None)
        secret.versions[version.id] = version
        return secret, version

    def get(self, name: str, version_id: str = "") -> tuple[Secret, Version]:
        """Read a version, or the newest."""
        secret, version = self._find(name, version_id)
        if not version.enabled:
            raise errors.disabled()
        return secret, version

    def update(self, name: str, version_id: str, body: Mapping[str, Any]) -> tuple[Secret, Version]:
        """Change a version's properties; its value cannot be changed."""
        secret, version = self._find(name, version_id)
        changed = replace(_with_properties(version, body), updated=int(time.time()))
        secret.versions[version.id] = changed
        return secret, changed

    def versions(self, name: str) -> list[Version]:
        """All versions of a secret, oldest first; none for a name that nobody has used."""
        secret = self._active.get(name.lower())
        return [] if secret is None or secret.busy else list(secret.versions.values())

    def delete(self, name: str) -> Secret:
        """Delete softly."""
        key = name.lower()
        if key in self._deleted and self._deleted[key].busy:
            raise errors.being_deleted(name)
        secret, _ = self._find(name, "")
        del self._active[key]
        secret.deleted_on = int(time.time())
        secret.ready_at = time.monotonic() + self._switches.deletion_seconds
        self._deleted[key] = secret
        self._sorted.clear()
        return secret

    def get_deleted(self, name: str) -> Secret:
        """Read a deleted secret; not found until its deletion is complete."""
        secret = self._deleted.get(name.lower())
        if secret is None or secret.busy:
            raise errors.deleted_not_found(name)
        return secret

    def recover(self, name: str) -> Secret:
        """Bring a deleted secret back; it cannot be read until that is complete."""
        secret = self._settled_deleted(name)
        del self._deleted[name.lower()]
        secret.deleted_on = None
        secret.ready_at = time.monotonic() + self._switches.recovery_seconds
        self._active[name.lower()] = secret
        self._sorted.clear()
        return secret

    def purge(self, name: str) -> None:
        """Remove a deleted secret for good."""
        self._settled_deleted(name)
        if self._switches.purge_protection:
            raise errors.VaultError(
                403,
                "Forbidden",
                'Operation "purge" is not allowed because purge protection is enabled for this '
                "vault.",
                "ForbiddenByPolicy",
            )
        del self._deleted[name.lower()]
        self._sorted.pop(False, None)

    def page(self, *, deleted: bool, after: str, size: int) -> tuple[list[Secret], str | None]:
        """One page of secrets in the order of their names, and where the next one begins."""
        secrets_by_name = self._deleted if deleted else self._active
        names = self._sorted.get(not deleted)
        if names is None:
            names = self._sorted[not deleted] = sorted(secrets_by_name)
        first = bisect_right(names, after)
        chosen = names[first : first + size]
        more = chosen[-1] if first + size < len(names) else None
        return [one for one in map(secrets_by_name.__getitem__, chosen) if not one.busy], more

    def active(self) -> dict[str, Secret]:
        """All secrets that are not deleted, by name."""
        return {secret.name: secret for secret in self._active.values()}

    def deleted(self) -> dict[str, Secret]:
        """All deleted secrets, by name."""
        return {secret.name: secret for secret in self._deleted.values()}

    def _find(self, name: str, version_id: str) -> tuple[Secret, Version]:
        secret = self._active.get(name.lower())
        if secret is None or secret.busy:
            raise errors.not_found(name)
        if not version_id:
            return secret, secret.newest
        version = secret.versions.get(version_id)
        if version is None:
            raise errors.not_found(f"{name}/{version_id}")
        return secret, version

    def _settled_deleted(self, name: str) -> Secret:
        secret = self._deleted.get(name.lower())
        if secret is None:
            raise errors.deleted_not_found(name)
        if secret.busy:
            raise errors.being_deleted(name)
        return secret


def _with_properties(version: Version, body: Mapping[str, Any]) -> Version:
    attributes = body.get("attributes") or {}
    tags = body.get("tags")
    if tags is not None and len(tags) > MOST_TAGS:
        raise errors.bad_parameter(f"A secret has at most {MOST_TAGS} tags.")
    return replace(
        version,
        content_type=body.get("contentType", version.content_type),
        tags=version.tags if tags is None else dict(tags),
        enabled=attributes.get("enabled", version.enabled),
        not_before=attributes.get("nbf", version.not_before),
        expires=attributes.get("exp", version.expires),
    )
