"""The browser's part of signing in: choosing an account, consent, and the way back to the app.

A person gets pages. A test does not want any: with `sign_in_as` set for the tenant, or with a
login_hint that names an account, the answer is a redirect at once.
"""

import base64
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from infra.local.entra.aadsts import KNOWN, SignInError
from infra.local.entra.apps import USER_CONSENT, App, Consent, graph_scopes
from infra.local.entra.directory import Directory
from infra.local.entra.entities import Entity
from infra.local.entra.signin_pages import account_page, consent_page, form_post_page

if TYPE_CHECKING:
    from infra.local.entra.signin import SignInRequest

_ACCOUNTS_SHOWN = 50


@dataclass(slots=True)
class PageAnswer:
    """A page, or a redirect when there is a location."""

    html: str = ""
    location: str = ""


@dataclass(slots=True)
class Grant:
    """An authorization code and what it was given for."""

    client_id: str
    tenant: str
    authority: str
    user: str
    redirect_uri: str
    scope: str
    nonce: str | None
    challenge: str | None
    challenge_method: str | None
    issued_at: float
    redeemed: bool = False


@dataclass(slots=True)
class Outcome:
    """How the next sign-ins of a tenant end, when a test wants them to fail."""

    error: str
    description: str = ""
    subcode: str = ""
    count: int | None = None


def answer(request: "SignInRequest") -> PageAnswer:
    """Answer /authorize."""
    query = {**request.query, **request.form}
    tenant = request.tenant
    app = _app(request, query, tenant)
    redirect_uri = _redirect_uri(app, query)
    problem = _malformed(query)
    if problem:
        return _back(query, redirect_uri, {"error": problem[0], "error_description": problem[1]})
    if query.get("_cancel"):
        return _refused(request, query, redirect_uri, 65004, "cancel")
    outcome = _forced_outcome(request, tenant)
    chosen = _account(request, query, tenant)
    if outcome is not None:
        values = {"error": outcome.error, "error_description": outcome.description}
        if outcome.subcode:
            values["error_subcode"] = outcome.subcode
        return _back(query, redirect_uri, values)
    if chosen is None:
        if query.get("prompt") == "none":
            return _refused(request, query, redirect_uri, 50058)
        return PageAnswer(_choose_account(request, app, tenant, query))
    directory, user, automatic = chosen
    _check_account(request, tenant, directory, user)
    missing = _missing_consent(app, directory, query)
    if missing:
        administrator = user.id in request.world.administrators
        if not administrator and not missing <= USER_CONSENT:
            return _refused(request, query, redirect_uri, 90094)
        accepted = query.get("_accept") == "1"
        if not accepted and not (automatic and request.world.switches.auto_consent):
            if automatic:
                return _refused(request, query, redirect_uri, 65004)
            return PageAnswer(_ask_consent(app, directory, user, missing, query))
        app.consents.setdefault(directory.id, Consent()).delegated |= missing
    return _signed_in(request, app, directory, user, query, redirect_uri)


def admin_consent(request: "SignInRequest") -> PageAnswer:
    """Answer /adminconsent."""
    query = request.query
    tenant = request.tenant
    if request.authority.lower() == "common":
        raise SignInError(90013, "The tenant 'common' cannot be used for admin consent.")
    app = _app(request, query, tenant)
    redirect_uri = _redirect_uri(app, query)
    chosen = _account(request, query, tenant)
    if query.get("_cancel"):
        return _consent_refused(request, tenant, query, redirect_uri, 65004)
    outcome = _forced_outcome(request, tenant)
    if outcome is not None:
        # The flag is there on failure too; only `error` tells.
        values = {
            "admin_consent": "True",
            "tenant": tenant.id if tenant else "",
            "error": outcome.error,
            "error_description": outcome.description,
        }
        return _back(query, redirect_uri, values)
    if chosen is None:
        return PageAnswer(_choose_account(request, app, tenant, query))
    directory, user, automatic = chosen
    _check_account(request, tenant, directory, user)
    if user.id not in request.world.administrators:
        return _consent_refused(request, directory, query, redirect_uri, 90094)
    try:
        wanted, _ = graph_scopes(query.get("scope", ""))
    except ValueError as error:
        raise SignInError(70011) from error
    whole = not wanted or ".default" in wanted
    delegated = set(app.declared_delegated) if whole else set(wanted) & app.declared_delegated
    roles = set(app.declared_roles) if whole else set(wanted) & app.declared_roles
    if not automatic and query.get("_accept") != "1":
        return PageAnswer(_ask_consent(app, directory, user, delegated | roles, query))
    consent = app.consents.setdefault(directory.id, Consent())
    consent.delegated |= delegated
    consent.roles |= roles
    values = {"admin_consent": "True", "tenant": directory.id, "scope": query.get("scope", "")}
    return _back(query, redirect_uri, values)


def _app(request: "SignInRequest", query: dict[str, str], tenant: Directory | None) -> App:
    client_id = query.get("client_id", "")
    app = request.world.apps.get(client_id.lower())
    if app is None or (tenant is not None and not app.allowed_in(tenant.id)):
        raise SignInError(700016, f"Application with identifier '{client_id}' was not found.")
    if tenant is None and not app.multi_tenant:
        raise SignInError(50194)
    if app.disabled:
        raise SignInError(7000112)
    return app


def _redirect_uri(app: App, query: dict[str, str]) -> str:
    given = query.get("redirect_uri")
    if not given and not app.redirect_uris:
        raise SignInError(900971)
    if given not in app.redirect_uris:
        raise SignInError(
            50011,
            f"The redirect URI '{given}' specified in the request does not match the redirect "
            f"URIs configured for the application '{app.client_id}'.",
        )
    return given


def _malformed(query: dict[str, str]) -> tuple[str, str] | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type", "AADSTS700051: response_type is not enabled."
    if query.get("response_mode", "query") not in ("query", "fragment", "form_post"):
        return "invalid_request", "AADSTS90014: response_mode is not valid."
    if not query.get("scope"):
        return "invalid_request", "AADSTS900144: The request must contain: 'scope'."
    challenge = query.get("code_challenge")
    if challenge is not None:
        if not 43 <= len(challenge) <= 128:
            return "invalid_request", f"AADSTS50147: {KNOWN[50147][2]}"
        if query.get("code_challenge_method", "plain") not in ("S256", "plain"):
            return "invalid_request", "AADSTS501491: Invalid code_challenge_method."
    try:
        graph_scopes(query["scope"])
    except ValueError as error:
        return "invalid_scope", f"AADSTS70011: the scope {error} is not valid."
    return None


def _account(
    request: "SignInRequest", query: dict[str, str], tenant: Directory | None
) -> tuple[Directory, Entity, bool] | None:
    world = request.world
    picked = query.get("_account")
    if picked:
        home_id, _, user_id = picked.partition("/")
        home = world.tenants.get(home_id)
        if home is not None and user_id in home.objects:
            return home, home.objects[user_id], False
    key = tenant.id if tenant is not None else ""
    forced = world.signs_in_as.get(key) or world.signs_in_as.get("")
    if forced is not None:
        home = world.tenants[forced[0]]
        return home, home.objects[forced[1]], True
    hint = query.get("login_hint", "").lower()
    if hint:
        # Guests first: the tenant asked for may know the address too.
        for home in [*([tenant] if tenant else []), *world.tenants.values()]:
            user_id = home.by_upn.get(hint, "")
            if user_id:
                return home, home.objects[user_id], True
    return None


def _check_account(
    request: "SignInRequest", tenant: Directory | None, home: Directory, user: Entity
) -> None:
    if user.status != "live":
        raise SignInError(50034)
    if not user.props.get("accountEnabled", True):
        raise SignInError(50057)
    if tenant is None or tenant is home or request.world.switches.foreign_account == "token":
        return
    raise SignInError(
        50020,
        f"User account '{user.props.get('userPrincipalName')}' does not exist in tenant "
        f"'{tenant.display_name}' and cannot access the application.",
    )


def _missing_consent(app: App, directory: Directory, query: dict[str, str]) -> set[str]:
    wanted, _ = graph_scopes(query.get("scope", ""))
    have = {scope.lower() for scope in app.consent(directory.id).delegated}
    missing = {scope for scope in wanted if scope.lower() not in have and scope != ".default"}
    if query.get("prompt") == "consent":
        missing |= {scope for scope in wanted if scope != ".default"}
    return missing - app.dropped_scopes


def _signed_in(
    request: "SignInRequest",
    app: App,
    directory: Directory,
    user: Entity,
    query: dict[str, str],
    redirect_uri: str,
) -> PageAnswer:
    world = request.world
    code = "1.AX" + secrets.token_urlsafe(240)
    world.codes[code] = Grant(
        client_id=app.client_id,
        tenant=directory.id,
        authority=request.authority,
        user=user.id,
        redirect_uri=redirect_uri,
        scope=query["scope"],
        nonce=query.get("nonce"),
        challenge=query.get("code_challenge"),
        challenge_method=query.get("code_challenge_method"),
        issued_at=world.clock.now(),
    )
    values = {"code": code}
    if query.get("client_info"):
        info = json.dumps({"uid": user.id, "utid": directory.id}).encode()
        values["client_info"] = base64.urlsafe_b64encode(info).decode().rstrip("=")
    values["session_state"] = str(uuid.uuid4())
    return _back(query, redirect_uri, values)


def _forced_outcome(request: "SignInRequest", tenant: Directory | None) -> Outcome | None:
    outcomes = request.world.sign_in_outcomes
    key = tenant.id if tenant is not None else ""
    outcome = outcomes.get(key)
    if outcome is not None and outcome.count is not None:
        outcome.count -= 1
        if outcome.count <= 0:
            del outcomes[key]
    return outcome


def _refused(
    request: "SignInRequest",
    query: dict[str, str],
    redirect_uri: str,
    number: int,
    subcode: str = "",
) -> PageAnswer:
    error = SignInError(number)
    values = {
        "error": error.name,
        "error_description": error.description(request.world.clock.now()),
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    if subcode:
        values["error_subcode"] = subcode
    return _back(query, redirect_uri, values)


def _consent_refused(
    request: "SignInRequest",
    tenant: Directory | None,
    query: dict[str, str],
    redirect_uri: str,
    number: int,
) -> PageAnswer:
    error = SignInError(number)
    values = {
        "admin_consent": "True",
        "tenant": tenant.id if tenant else "",
        "error": error.name,
        "error_description": error.description(request.world.clock.now()),
    }
    return _back(query, redirect_uri, values)


def _back(query: dict[str, str], redirect_uri: str, values: dict[str, str]) -> PageAnswer:
    """Go back to the app with the values and its state, in the response mode it asked for."""
    if "state" in query:
        values = {**values, "state": query["state"]}
    mode = query.get("response_mode", "query")
    if mode == "form_post":
        return PageAnswer(form_post_page(redirect_uri, values.items()))
    mark = "#" if mode == "fragment" else "&" if "?" in redirect_uri else "?"
    return PageAnswer(location=f"{redirect_uri}{mark}{urlencode(values)}")


def _choose_account(
    request: "SignInRequest", app: App, tenant: Directory | None, query: dict[str, str]
) -> str:
    accounts: list[tuple[str, str, str, str]] = []
    more = 0
    homes = [*([tenant] if tenant else [])]
    homes += [home for home in request.world.tenants.values() if home is not tenant]
    for home in homes:
        # Administrators first: they are who connects an app.
        first = [i for i in home.user_ids if i in request.world.administrators]
        candidates = [*first, *home.user_ids[:_ACCOUNTS_SHOWN]]
        more += len(home.user_ids) - len(candidates)
        for user_id in dict.fromkeys(candidates):
            user = home.objects[user_id]
            if user.status != "live":
                continue
            link = "?" + urlencode({**query, "_account": f"{home.id}/{user_id}"}, quote_via=quote)
            name = str(user.props.get("displayName") or user.props["userPrincipalName"])
            if user_id in request.world.administrators:
                name += " (administrator)"
            address = str(user.props["userPrincipalName"])
            accounts.append((link, name, address, home.display_name))
    cancel = "?" + urlencode({**query, "_cancel": "1"}, quote_via=quote)
    return account_page(app.name, accounts, cancel, max(0, more))


def _ask_consent(
    app: App, directory: Directory, user: Entity, scopes: set[str], query: dict[str, str]
) -> str:
    accept = "?" + urlencode(
        {**query, "_account": f"{directory.id}/{user.id}", "_accept": "1"}, quote_via=quote
    )
    cancel = "?" + urlencode({**query, "_cancel": "1"}, quote_via=quote)
    who = str(user.props.get("userPrincipalName"))
    return consent_page(app.name, who, sorted(scopes), accept, cancel)
