"""Signing in to v2, and who is signed in."""

from __future__ import annotations

from typing import Any

from infra.local.bms.calls import Call
from infra.local.bms.refusals import NotThere, SignInRefused, Unreadable
from infra.local.bms.replies import Reply, enveloped
from infra.local.bms.tokens import Pair
from infra.local.bms.world import TENANT_ID


def authenticate(call: Call) -> Reply:
    """POST /v2/security/authenticate: a form, multipart or urlencoded, names in any casing."""
    form = call.form()
    if not form.get("granttype"):
        raise SignInRefused("The GrantType field is required.")
    if form["granttype"].lower() != "password":
        raise SignInRefused("Only the grant type password is known here.")
    now = call.world.clock.now()
    call.service.tokens.sign_in(form, now)
    return _tokens(call, call.service.tokens.issue(call.switches, now))


def refresh_token(call: Call) -> Reply:
    """POST /v2/security/refreshtoken."""
    form = call.form()
    if not form.get("accesstoken"):
        raise SignInRefused("The AccessToken field is required.")
    now = call.world.clock.now()
    pair = call.service.tokens.renew(form.get("refreshtoken", ""), call.switches, now)
    return _tokens(call, pair)


def user_info(call: Call) -> Reply:
    """GET /v2/security/userinfo."""
    world = call.world
    user = world.employees.get(call.user_id)
    if user is None:
        raise NotThere("The signed-in user is not an employee any more.")
    return enveloped(
        {
            "UserId": user.id,
            "FullName": user.full_name(),
            "EmailAddress": user.email,
            "TimeStamp": world.stamp(world.clock.now()),
            "TimeZoneValue": 1.0,
            "TimeZoneName": "W. Europe Standard Time",
            "OlsonTimeZoneName": "Europe/Berlin",
            "DateFormat": "dd.MM.yyyy",
            "TimeFormat": "HH:mm",
            "TimeFormatWithSeconds": "HH:mm:ss",
            "TenantId": TENANT_ID,
            "AccountId": None,
            "LocationId": user.location_id,
            "ContactId": None,
            "BusinessName": world.tenant,
            "UserAccessRights": [
                {
                    "CanView": True,
                    "CanModify": True,
                    "CanDelete": False,
                    "MainMenuId": 2,
                    "MenuCategoryId": 1,
                    "ListingIDEnum": 5,
                }
            ],
            "SpecialFeatures": [{"Id": 1}],
            "ViewsMenus": [],
            "QueuesMenus": [],
            "CurrencyCode": "EUR",
            "CultureCode": "en-US",
            "FilesVersionNumber": "1",
            "NewTicketingUI": True,
            "IsUserSystemAdmin": False,
            "ProductName": "BMS",
            "PictureUrl": None,
            "OpenIdRealmId": None,
        },
        call.switches,
    )


def sso_status(call: Call) -> Reply:
    """GET /v2/security/ssostatus: asked before signing in, so it needs no token."""
    if call.query.text("Tenant") is None:
        raise Unreadable({"Tenant": ["The Tenant field is required."]})
    return enveloped({"Enabled": False, "LoginEndpointUrl": None}, call.switches)


def _tokens(call: Call, pair: Pair) -> Reply:
    result: dict[str, Any] = {"AccessToken": pair.access, "RefreshToken": pair.refresh}
    if call.switches.token_expiry == "given":
        result["AccessTokenExpireOn"] = call.world.stamp(pair.access_expires)
        result["RefreshTokenExpireOn"] = call.world.stamp(pair.refresh_expires)
    return enveloped(result, call.switches)
