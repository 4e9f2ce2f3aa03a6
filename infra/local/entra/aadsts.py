"""Errors of the sign-in service: AADSTS numbers with their OAuth error, sub-error and text."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

# number -> (error, suberror, text)
KNOWN: Final[Mapping[int, tuple[str, str, str]]] = {
    16000: ("interaction_required", "", "The account does not exist in this tenant."),
    28002: ("invalid_scope", "", "Provided value for scope is not valid."),
    28003: ("invalid_scope", "", "Provided value for scope cannot be empty."),
    50011: ("invalid_request", "", "The redirect URI specified in the request does not match."),
    50020: ("invalid_grant", "", "User account does not exist in tenant and cannot access it."),
    50033: ("temporarily_unavailable", "", "A transient error has occurred."),
    50034: ("invalid_grant", "", "The user account does not exist in the directory."),
    50053: ("invalid_grant", "", "The account is locked."),
    50055: ("invalid_grant", "user_password_expired", "The password is expired."),
    50057: ("invalid_grant", "", "The user account is disabled."),
    50072: ("interaction_required", "basic_action", "User needs to enroll for MFA."),
    50074: ("interaction_required", "basic_action", "Strong authentication is required."),
    50076: (
        "invalid_grant",
        "basic_action",
        "Due to a configuration change made by your administrator, or because you moved to a "
        "new location, you must use multi-factor authentication to access the resource.",
    ),
    50078: ("invalid_grant", "basic_action", "Presented MFA has expired."),
    50079: ("invalid_grant", "basic_action", "User needs to enroll for MFA."),
    50087: ("temporarily_unavailable", "", "A transient error has occurred during sign-out."),
    50089: ("invalid_grant", "", "The flow token is expired."),
    50105: ("invalid_grant", "", "The signed in user is not assigned to a role."),
    50144: ("invalid_grant", "user_password_expired", "The user's password has expired."),
    50147: ("invalid_grant", "", "The size of the code challenge parameter is not valid."),
    50158: ("interaction_required", "additional_action", "External challenge is not satisfied."),
    50173: (
        "invalid_grant",
        "bad_token",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
    ),
    50194: ("invalid_request", "", "The application is not configured as multi-tenant."),
    50196: ("invalid_grant", "", "The server terminated an operation: a request loop."),
    51004: ("invalid_grant", "", "The user account does not exist in the directory."),
    53000: ("invalid_grant", "message_only", "Device is not in required device state."),
    53001: ("invalid_grant", "message_only", "Device is not domain joined."),
    53003: ("invalid_grant", "message_only", "Access has been blocked by Conditional Access."),
    530032: ("invalid_grant", "message_only", "Blocked by security policy."),
    530035: ("invalid_grant", "message_only", "Blocked by security defaults."),
    54005: ("invalid_grant", "", "OAuth2 Authorization code was already redeemed."),
    65001: (
        "invalid_grant",
        "consent_required",
        "The user or administrator has not consented to use the application.",
    ),
    65004: ("access_denied", "", "User declined to consent to access the app."),
    650052: ("invalid_client", "", "The app needs access to a service that is not available."),
    650056: ("invalid_client", "", "Misconfigured application."),
    650057: ("invalid_resource", "", "The resource is not listed in the app's permissions."),
    70000: ("invalid_grant", "", "The provided grant is not valid."),
    70001: ("unauthorized_client", "", "The application is disabled."),
    70002: ("invalid_client", "", "Error validating credentials."),
    70008: ("invalid_grant", "token_expired", "The provided code or refresh token has expired."),
    70011: ("invalid_scope", "", "The provided value for the input parameter 'scope' is invalid."),
    70043: ("invalid_grant", "token_expired", "The refresh token has expired: sign-in frequency."),
    700005: ("invalid_grant", "", "The code is intended to be used against another tenant."),
    700011: ("unauthorized_client", "", "The application was not found in the directory."),
    700016: ("unauthorized_client", "", "The application was not found in the directory."),
    700022: ("invalid_request", "", "Several resources in one scope."),
    700025: ("invalid_client", "", "Client is public, so no secret may be presented."),
    700082: ("invalid_grant", "token_expired", "The refresh token has expired due to inactivity."),
    7000112: ("unauthorized_client", "", "The application is disabled."),
    7000215: (
        "invalid_client",
        "",
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        "client secret value, not the client secret ID.",
    ),
    7000218: ("invalid_client", "", "The request body must contain: client_secret."),
    7000222: ("invalid_client", "", "The provided client secret keys are expired."),
    90002: ("invalid_tenant", "", "Tenant not found."),
    900432: ("invalid_request", "", "Confidential client is not supported in cross cloud."),
    90006: ("temporarily_unavailable", "", "The service is temporarily unavailable."),
    900971: ("invalid_request", "", "No reply address provided."),
    90014: ("invalid_request", "", "A required field is missing."),
    90024: ("temporarily_unavailable", "", "The request budget is exceeded."),
    90033: ("temporarily_unavailable", "", "A transient error has occurred."),
    90038: ("invalid_request", "", "The tenant is in another national cloud."),
    90094: ("access_denied", "", "An administrator of the organization must grant permission."),
    90095: ("access_denied", "", "Admin consent is required."),
    501481: ("invalid_grant", "", "The Code_Verifier does not match the code_challenge."),
    500011: ("invalid_resource", "", "The resource principal was not found in the tenant."),
    70003: ("unsupported_grant_type", "", "The app requested an unsupported grant type."),
    90013: ("invalid_request", "", "Invalid input received from the user."),
    700051: ("unsupported_response_type", "", "The response_type is not enabled."),
    50058: ("login_required", "", "Silent sign-in request was sent but no user is signed in."),
}
_CLAIMS_FOR = frozenset({50072, 50074, 50076, 50078, 50079, 50158, 53000, 53001, 53003})


@dataclass(slots=True)
class SignInError(Exception):
    """A refusal by the sign-in service."""

    number: int
    detail: str = ""
    error: str = ""

    @property
    def name(self) -> str:
        """Return the OAuth error."""
        return self.error or KNOWN.get(self.number, ("invalid_grant", "", ""))[0]

    @property
    def status(self) -> int:
        """Return the HTTP status of the token endpoint."""
        if self.name == "invalid_client":
            return 401
        return 503 if self.name == "temporarily_unavailable" else 400

    def description(self, now: float) -> str:
        """Return the text with the trace lines that the real one ends with."""
        text = self.detail or KNOWN.get(self.number, ("", "", "The request was refused."))[2]
        return (
            f"AADSTS{self.number}: {text} Trace ID: {uuid.uuid4()} "
            f"Correlation ID: {uuid.uuid4()} Timestamp: {_stamp(now)}"
        )

    def body(self, now: float, correlation_id: str) -> dict[str, Any]:
        """Return the JSON body of the token endpoint."""
        trace = str(uuid.uuid4())
        text = self.detail or KNOWN.get(self.number, ("", "", "The request was refused."))[2]
        lines = (
            f"AADSTS{self.number}: {text}",
            f"Trace ID: {trace}",
            f"Correlation ID: {correlation_id}",
            f"Timestamp: {_stamp(now)}",
        )
        body: dict[str, Any] = {
            "error": self.name,
            "error_description": "\r\n".join(lines),
            "error_codes": [self.number],
            "timestamp": _stamp(now),
            "trace_id": trace,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        suberror = KNOWN.get(self.number, ("", "", ""))[1]
        if suberror:
            body["suberror"] = suberror
        if self.number in _CLAIMS_FOR:
            body["claims"] = json.dumps({"access_token": {"capolids": {"essential": True}}})
        return body


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
