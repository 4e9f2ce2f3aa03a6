"""What a refusal of Microsoft's sign-in service means, and what a person has to do (R28, R30).

The service answers with an `error`, sometimes a `suberror`, and numbers (AADSTS…). Microsoft warns
that numbers and texts change, so the error decides the class (passing, registration, person) and
the numbers only choose the better sentence (graph.md section 8). The service's own text is never
passed on: it may name people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody can sign in until a person has done `next_step`."""

    code: str
    reason: str
    next_step: str


_AGAIN = "press Connect"
_PORTAL = "the Entra admin center under App registrations"

DECLINED = Refusal(
    "sign-in-declined",
    "The consent was declined, or the sign-in was cancelled.",
    f"Decide whether this app may read the directory; then {_AGAIN} again and accept.",
)
RECONNECT = Refusal(
    "sign-in-expired",
    "Microsoft no longer accepts the sign-in that this connection was made with.",
    f"Let an administrator of the tenant {_AGAIN} again.",
)
REVOKED = Refusal(
    "sign-in-revoked",
    "The sign-in of this connection was revoked: the account's password was reset, or its "
    "sessions were ended.",
    f"Let the account that the connection uses {_AGAIN} again.",
)
UNUSED = Refusal(
    "sign-in-expired",
    "The sign-in of this connection was not used for 90 days and has ended.",
    f"Let an administrator of the tenant {_AGAIN} again.",
)
FREQUENCY = Refusal(
    "sign-in-frequency",
    "A Conditional Access policy of the tenant (sign-in frequency) has ended the sign-in.",
    f"Except the account that the connection uses from that policy, or change the connection to "
    f"application mode; then {_AGAIN} again.",
)
CODE_SPENT = Refusal(
    "sign-in-again",
    "The sign-in took too long, or its answer was used twice.",
    f"Start once more: {_AGAIN} again.",
)
FACTOR = Refusal(
    "sign-in-factor",
    "The tenant now asks the account for a further sign-in factor.",
    f"Let the account {_AGAIN} again and pass the further factor, or change the connection to "
    "application mode, which needs no person.",
)
POLICY = Refusal(
    "sign-in-policy",
    "Conditional Access or the security defaults of the tenant block the sign-in.",
    f"Let an administrator of the tenant adapt the policy for this app; then {_AGAIN} again.",
)
ACCOUNT_DISABLED = Refusal(
    "sign-in-account-disabled",
    "The account that the connection uses is disabled in Entra.",
    f"Enable the account, or {_AGAIN} again with another one.",
)
ACCOUNT_FOREIGN = Refusal(
    "sign-in-account-foreign",
    "The account does not belong to the tenant of this connection.",
    f"{_AGAIN[0].upper()}{_AGAIN[1:]} again and sign in with an account of that tenant.",
)
ACCOUNT_LOCKED = Refusal(
    "sign-in-account-locked",
    "The account is locked after wrong sign-ins, or its address is considered risky.",
    f"Wait, or let an administrator of the tenant unlock it; then {_AGAIN} again.",
)
PASSWORD_EXPIRED = Refusal(
    "sign-in-password-expired",
    "The password of the account that the connection uses has expired.",
    f"Let the account renew its password and {_AGAIN} again.",
)
NOT_ASSIGNED = Refusal(
    "sign-in-not-assigned",
    "The app demands an assignment, and the account is not assigned to it.",
    "Assign the account to the app in the Entra admin center under Enterprise applications; then "
    f"{_AGAIN} again.",
)
CONSENT = Refusal(
    "sign-in-consent",
    "The tenant has not consented to this app, or has withdrawn its consent.",
    f"Let an administrator of the tenant {_AGAIN} again and give consent for the organization.",
)
ADMIN_NEEDED = Refusal(
    "sign-in-admin-needed",
    "The permissions of this app need the consent of an administrator of the tenant.",
    f"Let an administrator {_AGAIN}, or approve the request in the Entra admin center.",
)
SECRET_WRONG = Refusal(
    "sign-in-secret-wrong",
    "Microsoft does not accept the application key.",
    "Enter the value of the client secret (not its id) as the application key; then "
    f"{_AGAIN} again.",
)
SECRET_EXPIRED = Refusal(
    "sign-in-secret-expired",
    "The application key (client secret) has expired.",
    f"Make a new client secret in {_PORTAL}, enter its value as the application key; then "
    f"{_AGAIN} again.",
)
SECRET_MISSING = Refusal(
    "sign-in-secret-missing",
    "The connection has no application key (client secret).",
    f"Enter the application key in the connection; then {_AGAIN} again.",
)
PUBLIC_CLIENT = Refusal(
    "sign-in-registration",
    "The app is registered as a public client, which takes no client secret.",
    f"Register the redirect address under the platform Web in {_PORTAL}; then {_AGAIN} again.",
)
APP_UNKNOWN = Refusal(
    "sign-in-app-unknown",
    "The tenant does not know an application with this id.",
    "Check application id and tenant domain, and that an administrator of the tenant has consented "
    f"to the app; then {_AGAIN} again.",
)
APP_DISABLED = Refusal(
    "sign-in-app-disabled",
    "The application is disabled in the tenant.",
    f"Enable it in the Entra admin center under Enterprise applications; then {_AGAIN} again.",
)
REDIRECT = Refusal(
    "sign-in-redirect",
    "The redirect address of this app is not registered.",
    f"Register exactly the address that ends in /OAuth/IntegrationCallback.aspx in {_PORTAL}, "
    f"platform Web; then {_AGAIN} again.",
)
TENANT_UNKNOWN = Refusal(
    "sign-in-tenant-unknown",
    "Microsoft knows no tenant of this domain name.",
    "Check the tenant domain of the connection; in a national cloud, check LOGIN_URL as well.",
)
SINGLE_TENANT = Refusal(
    "sign-in-registration",
    "The app is registered for another tenant alone.",
    f"Register the app for several tenants, or in this tenant; then {_AGAIN} again.",
)
RESOURCE = Refusal(
    "sign-in-registration",
    "The registration of the app lacks the permissions for Microsoft Graph.",
    "Add User.Read, User.Read.All, Group.Read.All and Directory.Read.All of Microsoft Graph to the "
    f"registration; then {_AGAIN} again.",
)
OTHER_CLOUD = Refusal(
    "sign-in-cloud",
    "The tenant lives in another national cloud of Microsoft.",
    "Let the operator set LOGIN_URL and GRAPH_URL to that cloud.",
)
REGISTRATION = Refusal(
    "sign-in-registration",
    "Microsoft refuses the registration of the app.",
    f"Compare application id, application key, redirect address and permissions with {_PORTAL}; "
    f"then {_AGAIN} again.",
)
WRONG_TENANT = Refusal(
    "sign-in-wrong-tenant",
    "Somebody signed in to another tenant than the one that this connection names.",
    f"{_AGAIN[0].upper()}{_AGAIN[1:]} again with an account of the connection's tenant, or "
    "correct the tenant domain.",
)
NOT_PROVEN = Refusal(
    "sign-in-not-proven",
    "The answer of the sign-in service does not fit the sign-in that was begun here.",
    f"{_AGAIN[0].upper()}{_AGAIN[1:]} again, in one browser window only.",
)
PERMISSIONS = Refusal(
    "permissions",
    "Microsoft Graph refuses to show the directory: a permission is missing or was withdrawn.",
    "Let an administrator of the tenant consent to User.Read.All, Group.Read.All and "
    f"Directory.Read.All; then {_AGAIN} again.",
)


def scopes_missing(names: Iterable[str]) -> Refusal:
    """The token came without some of the permissions that are needed."""
    return Refusal(
        "sign-in-scopes-missing",
        f"These permissions were not granted: {', '.join(sorted(names))}.",
        f"Let an administrator of the tenant {_AGAIN} again and give consent for the organization.",
    )


_TABLE: Final[tuple[tuple[Refusal | None, frozenset[int]], ...]] = (
    (None, frozenset({50033, 50087, 90006, 90012, 90024, 90033, 90055})),  # passing
    (None, frozenset({50196})),  # asked too often: it lets us in again after some minutes
    (SECRET_EXPIRED, frozenset({7000222})),
    (SECRET_WRONG, frozenset({7000215, 70002})),
    (SECRET_MISSING, frozenset({7000218})),
    (PUBLIC_CLIENT, frozenset({700025})),
    (REVOKED, frozenset({50173})),
    (UNUSED, frozenset({700082})),
    (FREQUENCY, frozenset({70043})),
    (CODE_SPENT, frozenset({54005, 501481, 50147, 700005})),
    (RECONNECT, frozenset({70008, 70000, 50089})),
    (FACTOR, frozenset({50076, 50079, 50074, 50072, 50078, 50158})),
    (POLICY, frozenset({53000, 53001, 53003, 530032, 530035})),
    (ACCOUNT_DISABLED, frozenset({50057})),
    (ACCOUNT_FOREIGN, frozenset({50034, 51004, 50020, 16000})),
    (ACCOUNT_LOCKED, frozenset({50053})),
    (PASSWORD_EXPIRED, frozenset({50055, 50144})),
    (NOT_ASSIGNED, frozenset({50105})),
    (CONSENT, frozenset({65001})),
    (DECLINED, frozenset({65004})),
    (ADMIN_NEEDED, frozenset({90094, 90095})),
    (APP_UNKNOWN, frozenset({700016, 700011, 7000229})),
    (APP_DISABLED, frozenset({7000112, 70001})),
    (REDIRECT, frozenset({50011, 900971})),
    (TENANT_UNKNOWN, frozenset({90002})),
    (SINGLE_TENANT, frozenset({50194})),
    (RESOURCE, frozenset({500011, 650052, 650056, 650057, 70011, 28002, 28003, 700022})),
    (OTHER_CLOUD, frozenset({90038, 900432})),
)
_BY_NUMBER: Final[Mapping[int, Refusal | None]] = MappingProxyType(
    {number: refusal for refusal, numbers in _TABLE for number in numbers}
)
_BY_SUBERROR: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "consent_required": CONSENT,
        "user_password_expired": PASSWORD_EXPIRED,
        "bad_token": RECONNECT,
        "token_expired": RECONNECT,
        "basic_action": FACTOR,
        "additional_action": FACTOR,
        "message_only": POLICY,
        "device_authentication_failed": POLICY,
        "protection_policy_required": POLICY,
        "client_mismatch": REGISTRATION,
    }
)
_BY_ERROR: Final[Mapping[str, Refusal | None]] = MappingProxyType(
    {
        "temporarily_unavailable": None,
        "server_error": None,
        "invalid_client": SECRET_WRONG,
        "invalid_grant": RECONNECT,
        "interaction_required": FACTOR,
        "consent_required": CONSENT,
        "login_required": RECONNECT,
        "access_denied": DECLINED,
        "unauthorized_client": APP_UNKNOWN,
        "invalid_tenant": TENANT_UNKNOWN,
        "invalid_resource": RESOURCE,
        "invalid_scope": RESOURCE,
        "invalid_request": REGISTRATION,
        "unsupported_grant_type": REGISTRATION,
        "unsupported_response_type": REGISTRATION,
    }
)
# What the error says is passing stays so, and what it says needs a person never becomes passing,
# whatever the number. Numbers speak within that.
_PASSING_ERRORS: Final = frozenset({"temporarily_unavailable", "server_error"})
_PERSON_ERRORS: Final = frozenset(
    {"invalid_client", "consent_required", "login_required", "access_denied"}
)

SIGN_IN_CODES: Final = frozenset(
    {
        refusal.code
        for refusal in (
            *(refusal for refusal, _ in _TABLE if refusal is not None),
            *_BY_SUBERROR.values(),
            *(refusal for refusal in _BY_ERROR.values() if refusal is not None),
            WRONG_TENANT,
            NOT_PROVEN,
            PERMISSIONS,
            scopes_missing(()),
        )
    }
)

_NUMBERS = re.compile(r"AADSTS(\d{5,9})")


def explain(
    error: str, suberror: str = "", numbers: Iterable[int] = (), description: str = ""
) -> Refusal | None:
    """What the refusal means for a person; None when it is passing trouble."""
    if error in _PASSING_ERRORS:
        return None
    named = [*numbers, *(int(text) for text in _NUMBERS.findall(description))]
    for number in named:
        if number in _BY_NUMBER:
            refusal = _BY_NUMBER[number]
            if refusal is None and error in _PERSON_ERRORS:
                continue
            return refusal
    if suberror in _BY_SUBERROR:
        return _BY_SUBERROR[suberror]
    return _BY_ERROR.get(error, REGISTRATION)


def explain_answer(answer: Mapping[str, object]) -> Refusal | None:
    """The same for an error answer as it came: from the token endpoint, or in a callback's query.

    The text is parsed for numbers only; "access_token" may stand in an *error* answer (the claims
    of a Conditional Access refusal), so nothing is ever searched for in it.
    """
    numbers = answer.get("error_codes")
    return explain(
        str(answer.get("error") or ""),
        str(answer.get("suberror") or ""),
        [number for number in numbers if isinstance(number, int)]
        if isinstance(numbers, list | tuple)
        else (),
        str(answer.get("error_description") or ""),
    )
