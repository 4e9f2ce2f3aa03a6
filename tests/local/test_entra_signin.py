"""The sign-in stand-in against msal, a client that we did not write, and at the wire."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msal
import pytest
import requests

from infra.local.entra.control import EntraControl, running
from infra.local.entra.loopback import LOGIN, session

CLIENT_ID = "11111111-0000-4000-8000-000000000001"
SECRET = "correct-secret-value"
REDIRECT = "https://sync.example.test/OAuth/IntegrationCallback.aspx"
# msal recommends form_post; query is what the product uses.
pytestmark = pytest.mark.filterwarnings("ignore:response_mode")
SCOPES = ["User.Read", "User.Read.All", "Group.Read.All", "Directory.Read.All"]


@pytest.fixture(scope="module")
def process() -> Iterator[EntraControl]:
    with running() as control:
        yield control


@pytest.fixture
def entra(process: EntraControl) -> EntraControl:
    process.reset()
    return process


@pytest.fixture
def tenant(entra: EntraControl) -> str:
    tenant = entra.add_tenant("contoso.test", display_name="Contoso")
    entra.add_user(tenant, "ines@contoso.test", displayName="Ines Okafor")
    entra.register_app(CLIENT_ID, tenant, SECRET, [REDIRECT])
    entra.sign_in_as("ines@contoso.test", tenant)
    return tenant


def an_app(
    entra: EntraControl,
    authority: str,
    secret: str = SECRET,
    cache: msal.SerializableTokenCache | None = None,
) -> Any:
    return msal.ConfidentialClientApplication(
        CLIENT_ID,
        client_credential=secret,
        authority=f"{LOGIN}/{authority}",
        http_client=session(entra.base_url),
        token_cache=cache,
    )


def browse(entra: EntraControl, url: str) -> requests.Response:
    return session(entra.base_url).get(url, allow_redirects=False, timeout=10)


def signed_in(entra: EntraControl, app: Any) -> dict[str, Any]:
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT)
    answer = browse(entra, flow["auth_uri"])
    location = urlsplit(answer.headers["Location"])
    assert answer.status_code == 302
    return dict(app.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(location.query))))


def test_msal_signs_a_person_in_with_pkce(entra: EntraControl, tenant: str) -> None:
    result = signed_in(entra, an_app(entra, tenant))

    claims = result["id_token_claims"]
    assert claims["tid"] == tenant
    assert claims["aud"] == CLIENT_ID
    assert claims["preferred_username"] == "ines@contoso.test"
    assert set(SCOPES) <= set(result["scope"].split())
    assert "offline_access" not in result["scope"]


def test_msal_renews_silently_and_the_old_refresh_token_stays_good(
    entra: EntraControl, tenant: str
) -> None:
    app = an_app(entra, tenant)
    first = signed_in(entra, app)
    account = app.get_accounts()[0]

    cached = app.acquire_token_silent_with_error(SCOPES, account)
    renewed = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    again = redeem(entra, tenant, grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert cached["access_token"] == first["access_token"]
    assert renewed["access_token"] != first["access_token"]
    assert again.status_code == 200


def test_msal_gets_a_token_for_the_application(entra: EntraControl, tenant: str) -> None:
    result = an_app(entra, tenant).acquire_token_for_client(
        ["https://graph.microsoft.com/.default"]
    )

    assert result["token_type"] == "Bearer"
    assert "refresh_token" not in result


@pytest.mark.parametrize(
    ("ends", "number"),
    [(None, 7000215), ("2020-01-01T00:00:00Z", 7000222)],
    ids=["wrong secret", "expired secret"],
)
def test_msal_is_told_what_is_wrong_with_the_secret(
    entra: EntraControl, tenant: str, ends: str | None, number: int
) -> None:
    value = "another-value" if ends is None else SECRET
    entra.update_app(CLIENT_ID, secret=[{"value": value, "ends": ends}])

    result = an_app(entra, tenant).acquire_token_for_client(
        ["https://graph.microsoft.com/.default"]
    )

    assert result["error"] == "invalid_client"
    assert result["error_codes"] == [number]


def ended_by(entra: EntraControl, tenant: str, how: str) -> None:
    if how == "sessions revoked":
        entra.revoke_sessions(tenant, "ines@contoso.test")
    elif how == "account disabled":
        entra.block_user(tenant, "ines@contoso.test")
    elif how == "consent withdrawn":
        entra.withdraw_consent(CLIENT_ID, tenant)
    elif how == "MFA required":
        entra.require_mfa(tenant)
    elif how == "90 days unused":
        entra.move_clock(days=91)
    elif how == "user deleted":
        entra.soft_delete(tenant, "ines@contoso.test")


@pytest.mark.parametrize(
    ("how", "number", "suberror"),
    [
        ("sessions revoked", 50173, "bad_token"),
        ("account disabled", 50057, None),
        ("consent withdrawn", 65001, "consent_required"),
        ("MFA required", 50076, "basic_action"),
        ("90 days unused", 700082, "token_expired"),
        ("user deleted", 50034, None),
    ],
)
def test_msal_sees_why_a_refresh_is_refused(
    entra: EntraControl, tenant: str, how: str, number: int, suberror: str | None
) -> None:
    app = an_app(entra, tenant)
    signed_in(entra, app)
    account = app.get_accounts()[0]

    ended_by(entra, tenant, how)
    result = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)

    assert result["error"] == "invalid_grant"
    assert result["error_codes"] == [number]
    assert result.get("suberror") == suberror
    if how == "MFA required":
        assert "access_token" in json.loads(result["claims"])


def test_msal_refuses_an_unknown_tenant(entra: EntraControl) -> None:
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        an_app(entra, "nobody.test")


def test_a_domain_in_the_authority_leads_to_endpoints_with_the_tenant_id(
    entra: EntraControl, tenant: str
) -> None:
    url = f"{LOGIN}/contoso.test/v2.0/.well-known/openid-configuration"
    metadata = browse(entra, url).json()

    assert metadata["token_endpoint"] == f"{LOGIN}/{tenant}/oauth2/v2.0/token"
    assert metadata["issuer"] == f"{LOGIN}/{tenant}/v2.0"


def test_the_page_for_a_browser_is_on_plain_loopback_unless_switched_off(
    entra: EntraControl, tenant: str
) -> None:
    url = f"{LOGIN}/{tenant}/v2.0/.well-known/openid-configuration"
    path = f"/{tenant}/oauth2/v2.0/authorize"

    assert browse(entra, url).json()["authorization_endpoint"] == entra.base_url + path
    entra.switch(browser_http=False)
    assert browse(entra, url).json()["authorization_endpoint"] == LOGIN + path


def test_links_keep_the_address_that_the_request_came_to(entra: EntraControl, tenant: str) -> None:
    url = f"{entra.base_url}/{tenant}/v2.0/.well-known/openid-configuration"

    metadata = requests.get(url, timeout=10).json()

    assert metadata["token_endpoint"].startswith(entra.base_url)


def authorize_url(tenant: str, **more: str) -> str:
    values = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "User.Read openid offline_access",
        "state": "state-1",
        **more,
    }
    return f"{LOGIN}/{tenant}/oauth2/v2.0/authorize?{urlencode(values)}"


def redeem(entra: EntraControl, authority: str, **values: str) -> requests.Response:
    data = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "redirect_uri": REDIRECT,
        "scope": "User.Read openid offline_access",
        **values,
    }
    return session(entra.base_url).post(
        f"{LOGIN}/{authority}/oauth2/v2.0/token", data=data, timeout=10
    )


def a_code(entra: EntraControl, tenant: str, **more: str) -> str:
    location = browse(entra, authorize_url(tenant, **more)).headers["Location"]
    return dict(parse_qsl(urlsplit(location).query))["code"]


def test_a_redirect_uri_in_other_case_is_shown_and_not_followed(
    entra: EntraControl, tenant: str
) -> None:
    answer = browse(entra, authorize_url(tenant, redirect_uri=REDIRECT.lower()))

    assert answer.status_code == 400
    assert "AADSTS50011" in answer.text
    assert "Location" not in answer.headers


def test_a_code_is_good_for_one_use(entra: EntraControl, tenant: str) -> None:
    code = a_code(entra, tenant)

    first = redeem(entra, tenant, grant_type="authorization_code", code=code)
    second = redeem(entra, tenant, grant_type="authorization_code", code=code)

    assert first.status_code == 200
    assert second.json()["error_codes"] == [54005]


def test_a_code_ends_after_ten_minutes(entra: EntraControl, tenant: str) -> None:
    code = a_code(entra, tenant)
    entra.move_clock(minutes=11)

    reply = redeem(entra, tenant, grant_type="authorization_code", code=code)

    assert reply.json()["error_codes"] == [70008]


def test_a_code_needs_its_verifier(entra: EntraControl, tenant: str) -> None:
    code = a_code(entra, tenant, code_challenge="c" * 43, code_challenge_method="S256")

    reply = redeem(
        entra, tenant, grant_type="authorization_code", code=code, code_verifier="v" * 43
    )

    assert reply.json()["error_codes"] == [501481]


def test_a_code_is_redeemed_at_the_tenant_where_it_was_given(
    entra: EntraControl, tenant: str
) -> None:
    other = entra.add_tenant("fabrikam.test")
    entra.register_app(CLIENT_ID, tenant, SECRET, [REDIRECT], multi_tenant=True)
    code = a_code(entra, tenant)

    reply = redeem(entra, other, grant_type="authorization_code", code=code)

    assert reply.json()["error_codes"] == [700005]


def test_a_wrong_secret_is_a_401(entra: EntraControl, tenant: str) -> None:
    reply = redeem(entra, tenant, grant_type="authorization_code", client_secret="nonsense")

    assert reply.status_code == 401
    assert "\r\n" in reply.json()["error_description"]


def test_an_account_of_another_tenant_is_refused_or_let_in_by_switch(
    entra: EntraControl, tenant: str
) -> None:
    other = entra.add_tenant("fabrikam.test")
    entra.add_user(other, "zoe@fabrikam.test")
    entra.register_app(CLIENT_ID, tenant, SECRET, [REDIRECT], multi_tenant=True)
    entra.set_consent(CLIENT_ID, other)
    entra.sign_in_as("zoe@fabrikam.test", tenant, home=other)

    refused = browse(entra, authorize_url(tenant))
    entra.switch(foreign_account="token")
    code = a_code(entra, tenant)
    token = redeem(entra, tenant, grant_type="authorization_code", code=code).json()["id_token"]
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    assert "AADSTS50020" in refused.text
    assert claims["tid"] == other


def test_a_person_chooses_an_account_on_an_escaped_page(entra: EntraControl, tenant: str) -> None:
    entra.sign_in_as(None, tenant)
    entra.update_user(tenant, "ines@contoso.test", displayName="<b>Ines</b>")

    page = browse(entra, authorize_url(tenant))
    link = re.findall(r'href="(\?[^"]*_account[^"]*)"', page.text)[0].replace("&amp;", "&")
    chosen = browse(entra, f"{LOGIN}/{tenant}/oauth2/v2.0/authorize{link}")

    assert "<b>Ines" not in page.text
    assert "&lt;b&gt;Ines" in page.text
    assert chosen.headers["Location"].startswith(f"{REDIRECT}?code=")


def test_a_login_hint_signs_in_at_once(entra: EntraControl, tenant: str) -> None:
    entra.sign_in_as(None, tenant)

    answer = browse(entra, authorize_url(tenant, login_hint="INES@contoso.test"))

    assert answer.status_code == 302


def test_without_consent_an_ordinary_user_is_sent_back_with_access_denied(
    entra: EntraControl, tenant: str
) -> None:
    entra.withdraw_consent(CLIENT_ID, tenant)

    location = browse(entra, authorize_url(tenant, scope="User.Read.All")).headers["Location"]

    query = dict(parse_qsl(urlsplit(location).query))
    assert query["error"] == "access_denied"
    assert query["state"] == "state-1"
    assert "AADSTS90094" in query["error_description"]


def test_an_administrator_grants_consent_for_scopes_and_roles(
    entra: EntraControl, tenant: str
) -> None:
    entra.set_administrator(tenant, "ines@contoso.test")
    entra.withdraw_consent(CLIENT_ID, tenant)
    url = f"{LOGIN}/{tenant}/v2.0/adminconsent?" + urlencode(
        {
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT,
            "state": "s",
            "scope": "https://graph.microsoft.com/.default",
        }
    )

    granted = dict(parse_qsl(urlsplit(browse(entra, url).headers["Location"]).query))
    entra.sign_in_outcome(tenant, "access_denied", "AADSTS65004: declined")
    refused = dict(parse_qsl(urlsplit(browse(entra, url).headers["Location"]).query))

    assert granted["admin_consent"] == "True"
    assert granted["tenant"] == tenant
    assert "error" not in granted
    # The flag is there on failure too.
    assert refused["admin_consent"] == "True"
    assert refused["error"] == "access_denied"


def test_a_refused_scope_is_missing_from_the_token(entra: EntraControl, tenant: str) -> None:
    entra.update_app(CLIENT_ID, dropped_scopes=["Group.Read.All"])

    result = signed_in(entra, an_app(entra, tenant))

    assert "Group.Read.All" not in result["scope"]
    assert "User.Read.All" in result["scope"]


def test_any_refusal_of_the_token_endpoint_can_be_asked_for(
    entra: EntraControl, tenant: str
) -> None:
    entra.add_fault("aadsts", "/{tenant}/oauth2/v2.0/token", service="login", aadsts=53003, count=1)

    first = an_app(entra, tenant).acquire_token_for_client(["https://graph.microsoft.com/.default"])
    second = an_app(entra, tenant).acquire_token_for_client(
        ["https://graph.microsoft.com/.default"]
    )

    assert first["error_codes"] == [53003]
    assert "access_token" in second


def test_form_post_brings_a_page_that_posts_the_code(entra: EntraControl, tenant: str) -> None:
    page = browse(entra, authorize_url(tenant, response_mode="form_post"))

    assert f'action="{REDIRECT}"' in page.text
    assert 'name="code"' in page.text
