"""Whether a reply is one that the description of the API tells of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

from shared.web.api.openapi import describe
from shared.web.http import Reply
from shared.web.router import Api

PROBLEM = "application/problem+json"


@cache
def _validator(text: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(text), format_checker=FormatChecker())


def _described(api: Api) -> dict[str, Any]:
    """Made once for all APIs of the same routes."""
    key = tuple((route.method, route.template) for route in api.routes)
    if key not in _DESCRIBED:
        _DESCRIBED[key] = describe(api.routes)
    return _DESCRIBED[key]


_DESCRIBED: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}


class Conforming:
    """Holds replies against the description of an API."""

    def __init__(self, api: Api) -> None:
        self.description = _described(api)

    def faults(self, method: str, url: str, reply: Reply) -> list[str]:
        """What the description does not tell of this reply; empty when all is well."""
        operation = self.operation(method, url_path(url))
        named = f"{method} {url} → {reply.status}"
        if operation is None and not url_path(url).startswith("/api"):
            return []  # the page that Microsoft sends the browser to
        if operation is None:  # nothing is described here: a refusal is all there can be
            schema = {"$ref": "#/components/schemas/Problem"}
            return self._body_faults(named, schema, reply)
        response = operation["responses"].get(str(reply.status))
        if response is None:
            return [f"{named} is not described: {reply.body[:200]!r}"]
        if "$ref" in response:
            response = self.description["components"]["responses"][response["$ref"].split("/")[-1]]
        sent = {name.lower() for name, _ in reply.headers}
        missing = [
            f"{named} has no header {name}"
            for name, header in response.get("headers", {}).items()
            if header["required"] and name.lower() not in sent
        ]
        content: Mapping[str, Any] = response.get("content", {})
        if not content:
            return missing + ([f"{named} has a body"] if reply.body else [])
        kinds = {kind.partition(";")[0] for kind in content}
        if reply.content_type.partition(";")[0] not in kinds:
            return [*missing, f"{named} is {reply.content_type}, not {', '.join(kinds)}"]
        [media] = content.values()
        if "json" not in reply.content_type:
            return missing
        return missing + self._body_faults(named, media["schema"], reply)

    def operation(self, method: str, path: str) -> Any:
        """What the description says of this call; literal segments win over parameters."""
        segments = path.strip("/").lower().split("/")
        found = [
            (template.count("{"), item[method.lower()])
            for template, item in self.description["paths"].items()
            if method.lower() in item and _fits(template, segments)
        ]
        return min(found, key=lambda each: each[0])[1] if found else None

    def _body_faults(self, named: str, schema: Any, reply: Reply) -> list[str]:
        whole = {**schema, "components": {"schemas": self.description["components"]["schemas"]}}
        validator = _validator(json.dumps(whole, sort_keys=True))
        return [
            f"{named}: {error.json_path} {error.message[:200]}"
            for error in validator.iter_errors(json.loads(reply.body))
        ]


def url_path(url: str) -> str:
    """The path of a full or a relative address."""
    return urlsplit(url).path


def _fits(template: str, segments: list[str]) -> bool:
    wanted = template.strip("/").lower().split("/")
    return len(wanted) == len(segments) and all(
        want.startswith("{") or want == have for want, have in zip(wanted, segments, strict=True)
    )
