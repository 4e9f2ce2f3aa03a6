"""The sign-in service: which path is which, metadata, keys and instance discovery."""

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from infra.local.entra import authorize, id_tokens, token_endpoint
from infra.local.entra.aadsts import SignInError
from infra.local.entra.directory import Directory
from infra.local.entra.signin_pages import HEADERS, error_page

if TYPE_CHECKING:
    from infra.local.entra.world import World

LOGIN_HOST = "login.microsoftonline.com"
SHARED_AUTHORITIES = ("common", "organizations", "consumers")


@dataclass(slots=True)
class SignInReply:
    """A reply of the sign-in service."""

    status: int
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SignInRequest:
    """One request to the sign-in service."""

    world: "World"
    method: str
    authority: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: Any
    base: str  # the https host, or the address the request came to
    browser_base: str  # where a person's browser finds the pages

    @property
    def tenant(self) -> Directory | None:
        """Return the tenant named in the path; None for a shared authority."""
        if self.authority.lower() in SHARED_AUTHORITIES:
            return None
        directory = self.world.find_tenant(self.authority)
        if directory is None:
            raise SignInError(90002, f"Tenant '{self.authority}' not found.")
        return directory


_TEMPLATES = {
    "v2.0/.well-known/openid-configuration": "/{tenant}/v2.0/.well-known/openid-configuration",
    "oauth2/v2.0/authorize": "/{tenant}/oauth2/v2.0/authorize",
    "oauth2/v2.0/token": "/{tenant}/oauth2/v2.0/token",
    "oauth2/v2.0/logout": "/{tenant}/oauth2/v2.0/logout",
    "v2.0/adminconsent": "/{tenant}/v2.0/adminconsent",
    "discovery/v2.0/keys": "/{tenant}/discovery/v2.0/keys",
    "discovery/instance": "/common/discovery/instance",
}


def template_of(path: str) -> str:
    """Return the route template of a path, for counters and faults."""
    rest = path.strip("/").partition("/")[2]
    return _TEMPLATES.get(rest, "unknown")


def answer(request: SignInRequest) -> SignInReply:
    """Answer one request."""
    template = template_of(request.path)
    try:
        if template.endswith("openid-configuration"):
            return _json(200, _metadata(request))
        if template.endswith("/keys"):
            return _json(200, id_tokens.key_set(f"{request.base}/{request.authority}/v2.0"))
        if template == "/common/discovery/instance":
            return _instance(request)
        if template.endswith("/authorize"):
            return _page(authorize.answer(request))
        if template.endswith("/adminconsent"):
            return _page(authorize.admin_consent(request))
        if template.endswith("/logout"):
            return SignInReply(200, "You have signed out.", "text/plain")
        if template.endswith("/token"):
            if request.method != "POST":
                return _json(405, {"error": "invalid_request"})
            return _json(200, token_endpoint.answer(request))
    except SignInError as error:
        return refusal(request, error)
    return SignInReply(404, error_page(900144, "There is no such page."), "text/html")


def refusal(request: SignInRequest, error: SignInError) -> SignInReply:
    """Answer with a refusal: a page for a browser, JSON for a client."""
    now = request.world.clock.now()
    if template_of(request.path).endswith(("/authorize", "/adminconsent")):
        # Never sent back to the app: the address to send it to is not to be trusted.
        text = error.description(now).partition(": ")[2]
        return SignInReply(400, error_page(error.number, text), "text/html", dict(HEADERS))
    correlation = request.headers.get("client-request-id") or str(uuid.uuid4())
    return _json(error.status, error.body(now, correlation))


def _metadata(request: SignInRequest) -> dict[str, Any]:
    directory = request.tenant
    tenant = directory.id if directory else request.authority.lower()
    base = f"{request.base}/{tenant}"
    issuer = f"https://{LOGIN_HOST}/{directory.id if directory else '{tenantid}'}/v2.0"
    browser = request.browser_base if request.world.switches.browser_http else request.base
    return {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_endpoint": f"{browser}/{tenant}/oauth2/v2.0/authorize",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "tid",
            "oid",
            "name",
            "preferred_username",
            "nonce",
        ],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }


def _instance(request: SignInRequest) -> SignInReply:
    asked = urlsplit(request.query.get("authorization_endpoint", ""))
    aliases = [LOGIN_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    if asked.hostname not in aliases and asked.hostname not in ("localhost", "127.0.0.1"):
        return _json(400, {"error": "invalid_instance", "error_description": "AADSTS50049"})
    tenant = asked.path.strip("/").partition("/")[0] or "common"
    metadata = {
        "preferred_network": LOGIN_HOST,
        "preferred_cache": "login.windows.net",
        "aliases": aliases,
    }
    return _json(
        200,
        {
            "tenant_discovery_endpoint": (
                f"{request.base}/{tenant}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [metadata],
        },
    )


def read_form(body: bytes) -> dict[str, str]:
    """Read a form body."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _json(status: int, value: Any) -> SignInReply:
    return SignInReply(status, json.dumps(value), headers={"Cache-Control": "no-store"})


def _page(answered: authorize.PageAnswer) -> SignInReply:
    if answered.location:
        return SignInReply(302, "", "text/html", {"Location": answered.location})
    return SignInReply(200, answered.html, "text/html", dict(HEADERS))
