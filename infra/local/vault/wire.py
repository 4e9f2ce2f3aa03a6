"""Secrets in the JSON shapes of Key Vault."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from infra.local.vault.store import RECOVERABLE_DAYS, Secret, Version


def id_of(request: web.Request, *parts: str) -> str:
    """A secret's id: its address under the host name that was asked."""
    return "/".join([f"{request.scheme}://{request.host}", "secrets", *parts])


def item(request: web.Request, secret: Secret, version: Version) -> dict[str, Any]:
    """A secret in a list: no version in its id, no value."""
    attributes: dict[str, Any] = {"enabled": version.enabled}
    if version.not_before is not None:
        attributes["nbf"] = version.not_before
    if version.expires is not None:
        attributes["exp"] = version.expires
    attributes |= {
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": RECOVERABLE_DAYS,
    }
    shape: dict[str, Any] = {"id": id_of(request, secret.name), "attributes": attributes}
    if version.content_type is not None:
        shape["contentType"] = version.content_type
    if version.tags is not None:
        shape["tags"] = dict(version.tags)
    return shape


def bundle(
    request: web.Request, secret: Secret, version: Version, *, with_value: bool = False
) -> dict[str, Any]:
    """One version of a secret."""
    shape = item(request, secret, version)
    shape["id"] = id_of(request, secret.name, version.id)
    return {"value": version.value, **shape} if with_value else shape


def deletion(request: web.Request, secret: Secret) -> dict[str, Any]:
    """What a deleted secret has beside the rest."""
    deleted_on = secret.deleted_on or 0
    return {
        "recoveryId": f"{request.scheme}://{request.host}/deletedsecrets/{secret.name}",
        "deletedDate": deleted_on,
        "scheduledPurgeDate": deleted_on + RECOVERABLE_DAYS * 86_400,
    }


def deleted_bundle(request: web.Request, secret: Secret) -> dict[str, Any]:
    """A deleted secret."""
    return {**deletion(request, secret), **bundle(request, secret, secret.newest)}


def next_link(request: web.Request, size: int, more: str | None) -> str | None:
    """The address of the next page, if there is one."""
    if more is None:
        return None
    query = {
        "api-version": request.query.get("api-version", ""),
        "$skiptoken": base64.urlsafe_b64encode(more.encode()).decode(),
        "maxresults": str(size),
    }
    return f"{request.scheme}://{request.host}{request.path}?{urlencode(query)}"
