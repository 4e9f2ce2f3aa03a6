"""The two app registrations as Microsoft Graph takes them, and how they are made.

The connector reads customers' directories: multi-tenant, with the permissions that the sync needs
and nothing that writes. The console signs the MSP's own administrators in: single-tenant, without
a secret, only for people (and programs) that have its app role. Both are known by their client id
once they are made; none is taken by its name alone, since anybody in a tenant may give that name.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

GRAPH = "00000003-0000-0000-c000-000000000000"  # Microsoft Graph, in every tenant
# Microsoft Graph permissions reference: name → id.
DELEGATED = {
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
    "User.Read.All": "a154be20-db9c-4678-8ab7-66f6cc099a59",
    "Group.Read.All": "5f8c59db-677d-491f-a6b8-5f174b11ec1d",
    "Directory.Read.All": "06da0dbc-49e2-44d2-8312-53f166ab848a",
}
APPLICATION = {
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
}
ADMIN_ROLE = "Sync.Admin"
CALLBACK = "/OAuth/IntegrationCallback.aspx"  # R28
SIGN_IN_CALLBACK = "/.auth/login/aad/callback"
_ROLE_NAME = "Directory sync administrator"
_ROLE_TEXT = "May set up and watch the directory sync."
_OURS = uuid.UUID("5b1f3a0e-0c1c-4c0c-9a53-3f1c3d1e8a77")  # namespace of the ids that we choose


class Graph(Protocol):
    """Calls of Microsoft Graph v1.0 as whoever deploys."""

    def get(self, path: str) -> dict[str, Any] | None:
        """The object; None when there is none."""

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The object that was made."""

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Change the object."""


class AlreadyThere(Exception):
    """A registration has that name, and it is not known whose it is."""

    def __init__(self, name: str, client_id: str) -> None:
        super().__init__(name)
        self.name = name
        self.client_id = client_id


@dataclass(frozen=True)
class Registration:
    """One app registration: its object id, and its application (client) id."""

    object_id: str
    client_id: str


def connector_body(environment: str, *, delegated_only: bool = False) -> dict[str, Any]:
    """The registration that customers consent to."""
    access = [{"id": identifier, "type": "Scope"} for identifier in DELEGATED.values()]
    if not delegated_only:
        access += [{"id": identifier, "type": "Role"} for identifier in APPLICATION.values()]
    return {
        "displayName": f"BMS directory sync ({environment})",
        "signInAudience": "AzureADMultipleOrgs",
        "requiredResourceAccess": [{"resourceAppId": GRAPH, "resourceAccess": access}],
    }


def console_body(environment: str) -> dict[str, Any]:
    """The registration that signs administrators in."""
    return {
        "displayName": f"BMS directory sync console ({environment})",
        "signInAudience": "AzureADMyOrg",
        # App Service asks for an ID token beside the code.
        "web": {"implicitGrantSettings": {"enableIdTokenIssuance": True}},
        "api": {
            # App Service checks the issuer of version 2.
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [
                {
                    "id": str(uuid.uuid5(_OURS, "user_impersonation")),
                    "value": "user_impersonation",
                    "type": "Admin",
                    "isEnabled": True,
                    "adminConsentDisplayName": "Use the admin API",
                    "adminConsentDescription": "Use the directory sync's admin API as yourself.",
                }
            ],
        },
        "appRoles": [
            {
                "id": str(uuid.uuid5(_OURS, ADMIN_ROLE)),
                "value": ADMIN_ROLE,
                "displayName": _ROLE_NAME,
                "description": _ROLE_TEXT,
                "allowedMemberTypes": ["User", "Application"],
                "isEnabled": True,
            }
        ],
        "requiredResourceAccess": [
            {
                "resourceAppId": GRAPH,
                "resourceAccess": [{"id": DELEGATED["User.Read"], "type": "Scope"}],
            }
        ],
    }


def register(graph: Graph, body: Mapping[str, Any]) -> Registration:
    """A new registration; AlreadyThere when one has that name."""
    condition = quote(f"displayName eq '{body['displayName']}'")
    found = (graph.get(f"applications?$filter={condition}") or {}).get("value", [])
    if found:
        raise AlreadyThere(str(body["displayName"]), str(found[0]["appId"]))
    application = graph.post("applications", body)
    return Registration(str(application["id"]), str(application["appId"]))


def known(graph: Graph, client_id: str) -> Registration | None:
    """The registration with this client id."""
    application = graph.get(f"applications(appId='{client_id}')")
    if application is None:
        return None
    return Registration(str(application["id"]), str(application["appId"]))


def open_console(graph: Graph, console: Registration) -> str:
    """Let only people with the role sign in, without a question of consent.

    The answer is the object id of the enterprise application.
    """
    graph.patch(
        f"applications/{console.object_id}", {"identifierUris": [f"api://{console.client_id}"]}
    )
    principal = _principal(graph, console.client_id)
    graph.patch(f"servicePrincipals/{principal}", {"appRoleAssignmentRequired": True})
    # Where an assignment is required nobody may consent for himself: the administrator does.
    grants = graph.get(f"oauth2PermissionGrants?$filter=clientId eq '{principal}'") or {}
    if not grants.get("value"):
        graph.post(
            "oauth2PermissionGrants",
            {
                "clientId": principal,
                "consentType": "AllPrincipals",
                "resourceId": _principal(graph, GRAPH),
                "scope": "openid profile email User.Read",
            },
        )
    return principal


def admit_clients(graph: Graph, console: Registration, client_ids: Sequence[str]) -> None:
    """Let these applications ask for tokens of the admin API without a question of consent."""
    path = f"applications/{console.object_id}"
    api = (graph.get(path) or {}).get("api") or {}
    scopes = api.get("oauth2PermissionScopes") or []
    wanted = [scope["id"] for scope in scopes if scope["value"] == "user_impersonation"]
    there = {one["appId"]: one for one in api.get("preAuthorizedApplications") or []}
    new = [client_id for client_id in client_ids if client_id not in there]
    if new:
        admitted = [{"appId": one, "delegatedPermissionIds": wanted} for one in new]
        said = {
            # Said again, so that it stays whichever way the change is understood.
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": scopes,
            "preAuthorizedApplications": [*there.values(), *admitted],
        }
        graph.patch(path, {"api": said})


def give_role(graph: Graph, principal: str, user_id: str) -> None:
    """Make a person an administrator of the sync."""
    role = str(uuid.uuid5(_OURS, ADMIN_ROLE))
    path = f"servicePrincipals/{principal}/appRoleAssignedTo"
    given = (graph.get(path) or {}).get("value", [])
    if not any(one["principalId"] == user_id and one["appRoleId"] == role for one in given):
        graph.post(path, {"principalId": user_id, "resourceId": principal, "appRoleId": role})


def add_redirect(graph: Graph, registration: Registration, uri: str) -> None:
    """Add a redirect URI, keeping those that are there."""
    path = f"applications/{registration.object_id}"
    web = (graph.get(path) or {}).get("web") or {}
    there = list(web.get("redirectUris") or [])
    if uri not in there:
        # Said again, so that it stays whichever way the change is understood.
        kept = {"implicitGrantSettings": web.get("implicitGrantSettings") or {}}
        graph.patch(path, {"web": {**kept, "redirectUris": [*there, uri]}})


def trust_identity(graph: Graph, console: Registration, issuer: str, principal_id: str) -> None:
    """Let the app's managed identity vouch for the console, in place of a client secret."""
    path = f"applications/{console.object_id}/federatedIdentityCredentials"
    there = (graph.get(path) or {}).get("value", [])
    if not any(one["subject"] == principal_id and one["issuer"] == issuer for one in there):
        graph.post(
            path,
            {
                "name": f"function-app-{principal_id}",
                "issuer": issuer,
                "subject": principal_id,
                "audiences": ["api://AzureADTokenExchange"],
                "description": "The managed identity of the directory sync's function app",
            },
        )


def _principal(graph: Graph, client_id: str) -> str:
    path = f"servicePrincipals(appId='{client_id}')"
    there = graph.get(path) or graph.post("servicePrincipals", {"appId": client_id})
    return str(there["id"])
