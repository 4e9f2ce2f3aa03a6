"""/api/settings/app: what this deployment was set to, and what an app registration needs of it."""

from __future__ import annotations

from dataclasses import dataclass

from shared import VERSION
from shared.config import Settings
from shared.core.permissions import APPLICATION, DELEGATED
from shared.web.api.shapes import Shown
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class DeploymentShown(Shown):
    """Set where the app is deployed; nothing of it can be changed here, and nothing is secret."""

    version: str
    public_url: str
    redirect_uri: str
    delegated_permissions: list[str]
    application_permissions: list[str]
    retention_days: int
    sweep_schedule: str


@dataclass(frozen=True, slots=True)
class DeploymentApi:
    """The resource."""

    settings: Settings

    def routes(self) -> list[Route]:
        """Its row in the table."""
        return [
            Route(
                "GET",
                "/api/settings/app",
                self.get,
                "What this deployment was set to",
                description=(
                    "The redirect URI and the Microsoft Graph permissions that an app registration "
                    "needs, and the app settings that are no secret."
                ),
                reply=DeploymentShown,
            )
        ]

    def get(self, _: Call) -> Reply:
        """GET /api/settings/app."""
        return json_reply(
            DeploymentShown(
                version=VERSION,
                public_url=self.settings.public_url,
                redirect_uri=self.settings.redirect_uri,
                delegated_permissions=list(DELEGATED),
                application_permissions=list(APPLICATION),
                retention_days=self.settings.retention_days,
                sweep_schedule=self.settings.sweep_schedule,
            )
        )
