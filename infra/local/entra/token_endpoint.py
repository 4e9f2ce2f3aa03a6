"""The token endpoint: codes, refresh tokens and client credentials become access tokens."""

import base64
import binascii
import hashlib
import json
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from infra.local.entra import id_tokens
from infra.local.entra.aadsts import SignInError
from infra.local.entra.apps import GRAPH_PREFIX, App, graph_scopes
from infra.local.entra.directory import Directory
from infra.local.entra.tokens import AccessToken, RefreshToken

if TYPE_CHECKING:
    from infra.local.entra.signin import SignInRequest


def answer(request: "SignInRequest") -> dict[str, Any]:
    """Answer a token request, or raise what the service refuses it with."""
    directory = request.tenant
    app = _client(request, directory)
    grant = request.form.get("grant_type", "")
    if grant == "authorization_code":
        return _code(request, app)
    if grant == "refresh_token":
        return _refresh(request, app, directory)
    if grant == "client_credentials":
        return _application(request, app, directory)
    if not grant:
        raise SignInError(900144, "The request body must contain: 'grant_type'.", "invalid_request")
    raise SignInError(70003)


def _client(request: "SignInRequest", directory: Directory | None) -> App:
    form = request.form
    client_id, secret = form.get("client_id"), form.get("client_secret")
    header = request.headers.get("Authorization", "")
    if header.lower().startswith("basic "):
        try:
            pair = base64.b64decode(header[6:]).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise SignInError(7000215) from error
        name, _, value = pair.partition(":")
        client_id, secret = unquote_plus(name), unquote_plus(value)
    if not client_id:
        raise SignInError(900144, "The request body must contain: 'client_id'.", "invalid_request")
    app = request.world.apps.get(client_id.lower())
    if app is None or (directory is not None and not app.allowed_in(directory.id)):
        raise SignInError(700016, f"Application with identifier '{client_id}' was not found.")
    if directory is None and not app.multi_tenant:
        raise SignInError(50194)
    if app.disabled:
        raise SignInError(7000112)
    problem = app.secret_problem(secret, request.world.clock.now())
    if problem is not None:
        raise SignInError(problem)
    return app


def _code(request: "SignInRequest", app: App) -> dict[str, Any]:
    world = request.world
    form = request.form
    now = world.clock.now()
    grant = world.codes.get(form.get("code", ""))
    if grant is None or grant.client_id != app.client_id:
        raise SignInError(70000, "The provided authorization code is not valid.")
    if grant.redeemed:
        raise SignInError(54005)
    if now - grant.issued_at > world.switches.code_minutes * 60:
        raise SignInError(70008)
    if grant.authority.lower() != request.authority.lower() and not _same_tenant(
        request, grant.authority
    ):
        raise SignInError(700005)
    if grant.redirect_uri != form.get("redirect_uri"):
        raise SignInError(50011, "The redirect_uri is not the one the code was issued for.")
    _check_verifier(grant.challenge, grant.challenge_method, form.get("code_verifier"))
    grant.redeemed = True
    directory = world.tenants[grant.tenant]
    _check_user(request, directory, grant.user)
    scopes, oidc = _scopes(form.get("scope") or grant.scope)
    if not scopes:
        scopes, more = _scopes(grant.scope)
        oidc |= more
    return _tokens(request, app, directory, grant.user, scopes, oidc, grant.nonce, now)


def _refresh(request: "SignInRequest", app: App, directory: Directory | None) -> dict[str, Any]:
    world = request.world
    now = world.clock.now()
    old = world.tokens.refresh.get(request.form.get("refresh_token", ""))
    if old is None or old.client_id != app.client_id:
        raise SignInError(70000, "The refresh token is malformed or not valid.")
    if directory is not None and directory.id != old.tenant:
        raise SignInError(700005, "The refresh token belongs to another tenant.")
    home = world.tenants.get(old.tenant)
    if home is None:
        raise SignInError(90002)
    if now - old.issued_at > world.switches.refresh_token_days * 86_400:
        raise SignInError(700082)
    if world.revoked_at.get((old.tenant, old.user), 0.0) >= old.signed_in_at:
        raise SignInError(50173)
    _check_user(request, home, old.user)
    if world.mfa_since.get(old.tenant, 0.0) > old.signed_in_at:
        raise SignInError(50076)
    scopes, oidc = _scopes(request.form.get("scope") or " ".join(old.scopes))
    return _tokens(request, app, home, old.user, scopes, oidc, None, old.signed_in_at)


def _application(request: "SignInRequest", app: App, directory: Directory | None) -> dict[str, Any]:
    world = request.world
    if directory is None:
        raise SignInError(90002, "The application token request needs a tenant.", "invalid_request")
    if app.home_tenant != directory.id and directory.id not in app.consents:
        raise SignInError(700016, "The application was not found in the directory.")
    scope = request.form.get("scope", "")
    if scope.rstrip("/") not in (f"{GRAPH_PREFIX}.default", f"{GRAPH_PREFIX}/.default"):
        raise SignInError(
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must "
            "have a scope value with /.default suffixed to the resource identifier.",
            "invalid_scope",
        )
    roles = frozenset(app.consent(directory.id).roles)
    now = world.clock.now()
    lifetime = 3599 if not world.switches.access_token_minutes else _lifetime(request)
    access = AccessToken(directory.id, app.client_id, None, roles, now, now + lifetime)
    return {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": world.tokens.give_access(access, world.switches.access_token_chars),
    }


def _tokens(
    request: "SignInRequest",
    app: App,
    directory: Directory,
    user_id: str,
    wanted: list[str],
    oidc: set[str],
    nonce: str | None,
    signed_in_at: float,
) -> dict[str, Any]:
    world = request.world
    switches = world.switches
    consented = app.consent(directory.id).delegated
    if wanted == [".default"]:
        wanted = sorted(consented)
    names = {name.lower(): name for name in consented}
    missing = [scope for scope in wanted if scope.lower() not in names]
    # What was refused is left out of the token; what was withdrawn ends the connection.
    missing = [scope for scope in missing if scope not in app.dropped_scopes]
    if missing or not consented:
        raise SignInError(65001)
    granted = {names[scope.lower()] for scope in wanted if scope.lower() in names}
    if switches.grants_all_consented:
        granted |= consented
    granted -= app.dropped_scopes
    now = world.clock.now()
    lifetime = _lifetime(request)
    access = AccessToken(
        directory.id, app.client_id, user_id, frozenset(granted), now, now + lifetime
    )
    prefix = GRAPH_PREFIX if switches.scope_prefix else ""
    shown = [prefix + scope for scope in sorted(granted)]
    shown += [scope for scope in ("profile", "openid", "email") if scope in oidc]
    reply: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(shown),
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": world.tokens.give_access(access, switches.access_token_chars),
    }
    if "offline_access" in oidc:
        refresh = RefreshToken(
            directory.id,
            app.client_id,
            user_id,
            (*wanted, *sorted(oidc)),
            signed_in_at,
            now,
        )
        reply["refresh_token"] = world.tokens.give_refresh(refresh, switches.refresh_token_chars)
    if "openid" in oidc:
        reply["id_token"] = id_tokens.signed(_claims(request, app, directory, user_id, nonce))
    if switches.client_info and request.form.get("client_info"):
        info = json.dumps({"uid": user_id, "utid": directory.id}).encode()
        reply["client_info"] = id_tokens.base64url(info)
    return reply


def _claims(
    request: "SignInRequest", app: App, directory: Directory, user_id: str, nonce: str | None
) -> dict[str, Any]:
    now = int(request.world.clock.now())
    props = directory.objects[user_id].props
    subject = hashlib.sha256(f"{user_id}{app.client_id}".encode()).digest()
    claims: dict[str, Any] = {
        "aud": app.client_id,
        "iss": f"https://login.microsoftonline.com/{directory.id}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "name": props.get("displayName"),
        "oid": user_id,
        "preferred_username": props.get("userPrincipalName"),
        "sub": id_tokens.base64url(subject),
        "tid": directory.id,
        "ver": "2.0",
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return claims


def _check_user(request: "SignInRequest", directory: Directory, user_id: str) -> None:
    user = directory.objects.get(user_id)
    if user is None or user.status != "live":
        raise SignInError(50034)
    if not user.props.get("accountEnabled", True):
        raise SignInError(50057)


def _check_verifier(challenge: str | None, method: str | None, verifier: str | None) -> None:
    if challenge is None:
        return
    if not verifier:
        raise SignInError(501481, "The Code_Verifier is missing.")
    computed = verifier
    if method == "S256":
        computed = id_tokens.base64url(hashlib.sha256(verifier.encode()).digest())
    if computed != challenge:
        raise SignInError(501481)


def _scopes(text: str) -> tuple[list[str], set[str]]:
    try:
        return graph_scopes(text)
    except ValueError as error:
        raise SignInError(28003 if not text else 70011) from error


def _same_tenant(request: "SignInRequest", authority: str) -> bool:
    here = request.tenant
    there = request.world.find_tenant(authority)
    return here is not None and there is not None and here.id == there.id


def _lifetime(request: "SignInRequest") -> int:
    minutes = request.world.switches.access_token_minutes
    if minutes:
        return max(1, int(minutes * 60))
    return random.randint(60 * 60, 90 * 60)
