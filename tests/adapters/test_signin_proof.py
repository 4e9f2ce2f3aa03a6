"""R28: what has to fit before an answer of the token endpoint is believed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from shared.adapters.signin_proof import SCOPES, Bound, doubt, missing_scopes, read_cookie
from shared.core.model import Mode

TENANT = "0a1b2c3d-0000-4000-8000-0000000000ff"
APP = "11111111-0000-4000-8000-000000000001"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
BOUND = Bound(Mode.DELEGATED, "state", "verifier", "nonce")


def a_result(**claims: Any) -> dict[str, Any]:
    good = {
        "tid": TENANT,
        "aud": APP,
        "iss": ISSUER,
        "nonce": hashlib.sha256(b"nonce").hexdigest(),
    }
    return {
        "id_token_claims": {**good, **claims},
        "scope": " ".join(SCOPES),
        "refresh_token": "r",
    }


def doubted(result: dict[str, Any], bound: Bound = BOUND, issuer: str = ISSUER) -> str | None:
    refusal = doubt(result, bound, tenant_id=TENANT, application_id=APP, issuer=issuer)
    return refusal.code if refusal else None


def test_an_answer_in_which_all_fits_is_believed() -> None:
    assert doubted(a_result()) is None
    assert doubted(a_result(tid=TENANT.upper())) is None


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"tid": APP}, "sign-in-wrong-tenant"),
        ({"tid": None}, "sign-in-wrong-tenant"),
        ({"aud": TENANT}, "sign-in-not-proven"),
        ({"iss": ISSUER.replace("login", "evil")}, "sign-in-not-proven"),
        ({"nonce": "nonce"}, "sign-in-not-proven"),
        ({"nonce": None}, "sign-in-not-proven"),
    ],
)
def test_each_claim_that_does_not_fit_is_a_reason(claims: dict[str, Any], code: str) -> None:
    assert doubted(a_result(**claims)) == code


@pytest.mark.parametrize("missing", ["id_token_claims", "scope", "refresh_token"])
def test_an_answer_that_lacks_a_part_is_not_believed(missing: str) -> None:
    result = a_result()
    del result[missing]

    assert doubted(result) is not None


def test_an_issuer_that_is_a_pattern_holds_the_tenant() -> None:
    assert doubted(a_result(), issuer=ISSUER.replace(TENANT, "{tenantid}")) is None


def test_permissions_count_with_prefix_and_in_any_case() -> None:
    granted = "https://graph.microsoft.com/user.read USER.READ.ALL Group.Read.All openid"

    assert missing_scopes(granted) == ["Directory.Read.All"]


def test_what_the_browser_holds_comes_back_whole() -> None:
    assert read_cookie(BOUND.cookie()) == BOUND


@pytest.mark.parametrize("cookie", ["", "x", "%", "bnVsbA", "W10", "eyJtIjoieCJ9", "ü"])
def test_anything_else_is_no_cookie_of_ours(cookie: str) -> None:
    assert read_cookie(cookie) is None
