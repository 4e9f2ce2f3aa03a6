"""A directory in memory that answers the few Graph calls of the deployment's scripts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

Body = dict[str, Any]


class Directory:
    """registrations.Graph over dictionaries; `calls` counts what was changed."""

    def __init__(self) -> None:
        self.applications: dict[str, Body] = {}
        self.principals: dict[str, Body] = {}
        self.grants: list[Body] = []
        self.below: dict[str, list[Body]] = {}
        self.changes = 0
        self.secrets: list[str] = []  # the paths that made one
        self.post("servicePrincipals", {"appId": "00000003-0000-0000-c000-000000000000"})

    def get(self, path: str) -> Body | None:
        path = unquote(path)
        if path == "me":
            return {"id": "me"}
        if match := re.fullmatch(r"applications\?\$filter=displayName eq '(.*)'", path):
            named = [a for a in self.applications.values() if a["displayName"] == match[1]]
            return {"value": named}
        if match := re.fullmatch(r"oauth2PermissionGrants\?\$filter=clientId eq '(.*)'", path):
            return {"value": [g for g in self.grants if g["clientId"] == match[1]]}
        if match := re.fullmatch(r"(applications|servicePrincipals)\(appId='(.*)'\)", path):
            kind = self.applications if match[1] == "applications" else self.principals
            return next((one for one in kind.values() if one["appId"] == match[2]), None)
        if match := re.fullmatch(r"applications/([^/]*)", path):
            return self.applications.get(match[1])
        return {"value": self.below.get(path, [])}

    def post(self, path: str, body: Mapping[str, Any]) -> Body:
        self.changes += 1
        made = {"id": str(uuid.uuid4()), **body}
        if path == "applications":
            made["appId"] = str(uuid.uuid4())
            self.applications[made["id"]] = made
        elif path == "servicePrincipals":
            self.principals[made["id"]] = made
        elif path == "oauth2PermissionGrants":
            self.grants.append(made)
        elif path.endswith("/addPassword"):
            self.secrets.append(path)
            return {"secretText": "s3cret", "endDateTime": "2027-11-23T00:00:00Z"}
        else:
            self.below.setdefault(path, []).append(made)
        return made

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        self.changes += 1
        kind, _, identifier = path.partition("/")
        target = self.applications if kind == "applications" else self.principals
        for name, value in body.items():
            old = target[identifier].get(name)
            merged = {**old, **value} if isinstance(old, dict) else value
            target[identifier][name] = merged

    def named(self, part: str) -> Body:
        """The one registration with this in its name."""
        [found] = [a for a in self.applications.values() if part in a["displayName"]]
        return found
