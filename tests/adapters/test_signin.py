"""R28–R30 at the wire: MSAL against the sign-in stand-in, at Microsoft's own host names."""

from __future__ import annotations

import base64
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.adapters.signin import MsalSignIn
from shared.core.model import Mode
from shared.errors import Misconfigured, PersonMustAct, TryLater
from shared.ports import application_key, token_cache
from tests.adapters.entra_wire import CLIENT_ID, SECRET, Wire

DELEGATED, APPLICATION = Mode.DELEGATED, Mode.APPLICATION


def refusal_code(error: pytest.ExceptionInfo[PersonMustAct]) -> str:
    assert error.value.sentence
    assert error.value.next_step
    return error.value.code


def posts(wire: Wire) -> int:
    return sum(
        1
        for call in wire.entra.requests(last=1000, service="login")
        if call["method"] == "POST" and call["path"].endswith("/token")
    )


def test_r28_the_tenant_id_behind_a_domain_is_read_from_the_metadata(wire: Wire) -> None:
    assert wire.sign_in.tenant_id_of("Contoso.TEST") == wire.tenant


@pytest.mark.parametrize("domain", ["nobody.test", "common", "con toso.test", "a/b.test", ""])
def test_r28_a_domain_without_a_tenant_is_a_sentence(wire: Wire, domain: str) -> None:
    with pytest.raises(PersonMustAct) as error:
        wire.sign_in.tenant_id_of(domain)

    assert refusal_code(error) == "sign-in-tenant-unknown"


def test_r28_delegated_sign_in_proves_the_tenant_and_keeps_its_tokens_in_the_vault(
    wire: Wire,
) -> None:
    signed_in = wire.sign_in_once()

    assert signed_in.tenant_id == wire.tenant
    assert "RefreshToken" in wire.vault.held[token_cache(wire.connection().id)]
    assert wire.directory(DELEGATED).organization_id() == wire.tenant


def test_r28_the_address_carries_pkce_and_state_and_neither_verifier_nor_secret(wire: Wire) -> None:
    start = wire.sign_in.begin(wire.connection(DELEGATED))

    bound = json.loads(base64.urlsafe_b64decode(start.cookie + "=="))
    assert "code_challenge_method=S256" in start.authorize_url
    assert bound["s"] == start.state
    assert bound["v"] not in start.authorize_url
    assert bound["n"] not in start.authorize_url
    assert SECRET not in start.authorize_url + start.cookie


def test_r28_an_account_of_another_tenant_is_refused_and_nothing_is_kept(wire: Wire) -> None:
    other = wire.entra.add_tenant("fabrikam.test")
    wire.entra.add_user(other, "eve@fabrikam.test", displayName="Eve")
    wire.entra.register_app(
        CLIENT_ID.replace("1", "2"), other, SECRET, [wire.settings.redirect_uri]
    )
    theirs = replace(
        wire.connection(DELEGATED), tenant_id=other, application_id=CLIENT_ID.replace("1", "2")
    )
    wire.entra.sign_in_as("eve@fabrikam.test", other)
    start = wire.sign_in.begin(theirs)
    query = wire.browse(start.authorize_url)

    with pytest.raises(PersonMustAct) as error:
        wire.finish(DELEGATED, start.cookie, query)

    assert refusal_code(error)
    assert token_cache(wire.connection().id) not in wire.vault.held


def test_r28_a_nonce_that_is_not_ours_throws_the_tokens_away(wire: Wire) -> None:
    start = wire.sign_in.begin(wire.connection(DELEGATED))
    query = wire.browse(start.authorize_url)
    bound = json.loads(base64.urlsafe_b64decode(start.cookie + "=="))
    bound["n"] = "another-nonce"
    forged = base64.urlsafe_b64encode(json.dumps(bound).encode()).decode()

    with pytest.raises(PersonMustAct) as error:
        wire.finish(DELEGATED, forged, query)

    assert refusal_code(error) == "sign-in-not-proven"
    assert token_cache(wire.connection().id) not in wire.vault.held


def test_r28_a_missing_permission_is_named(wire: Wire) -> None:
    wire.entra.update_app(CLIENT_ID, dropped_scopes=["Group.Read.All"])

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in_once()

    assert "Group.Read.All" in error.value.sentence
    assert "User.Read.All" not in error.value.sentence
    assert token_cache(wire.connection().id) not in wire.vault.held


def test_r28_scopes_written_with_their_prefix_are_the_same_scopes(wire: Wire) -> None:
    wire.entra.switch(scope_prefix=True)

    assert wire.sign_in_once().tenant_id == wire.tenant
    assert wire.sign_in.token(wire.connection(DELEGATED))


@pytest.mark.parametrize("cookie", ["", "%%%", "e30", "bm90IGpzb24"])
def test_r28_a_cookie_that_is_none_of_ours_proves_nothing(wire: Wire, cookie: str) -> None:
    start = wire.sign_in.begin(wire.connection(DELEGATED))
    query = wire.browse(start.authorize_url)

    with pytest.raises(PersonMustAct) as error:
        wire.finish(DELEGATED, cookie, query)

    assert refusal_code(error) == "sign-in-not-proven"


def test_a_declined_consent_is_told_as_such(wire: Wire) -> None:
    wire.entra.sign_in_outcome(wire.tenant, "access_denied", "AADSTS65004: declined.")

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in_once()

    assert refusal_code(error) == "sign-in-declined"


def test_a_declined_admin_consent_counts_although_it_says_admin_consent_true(wire: Wire) -> None:
    start = wire.sign_in.begin(wire.connection(APPLICATION))
    query = {
        "admin_consent": "True",
        "tenant": wire.tenant,
        "state": start.state,
        "error": "access_denied",
        "error_description": "AADSTS65004: declined.",
    }

    with pytest.raises(PersonMustAct) as error:
        wire.finish(APPLICATION, start.cookie, query)

    assert refusal_code(error) == "sign-in-declined"


def test_r28_admin_consent_is_proven_by_the_organization(wire: Wire) -> None:
    signed_in = wire.sign_in_once(APPLICATION)

    assert signed_in.tenant_id == wire.tenant
    assert token_cache(wire.connection().id) not in wire.vault.held


def test_r28_the_tenant_in_the_consent_callback_proves_nothing(wire: Wire) -> None:
    start = wire.sign_in.begin(wire.connection(APPLICATION))
    query = {**wire.browse(start.authorize_url), "tenant": "0a1b2c3d-0000-4000-8000-00000000dead"}

    assert wire.finish(APPLICATION, start.cookie, query).tenant_id == wire.tenant


def test_freshly_granted_roles_that_lag_are_waited_for(wire: Wire) -> None:
    wire.entra.add_fault(
        "status", "/organization", status=403, code="Authorization_RequestDenied", count=2
    )

    assert wire.sign_in_once(APPLICATION).tenant_id == wire.tenant
    assert len(wire.waited) == 2


def test_roles_that_never_come_are_a_sentence(wire: Wire) -> None:
    wire.entra.add_fault("status", "/organization", status=403, code="Authorization_RequestDenied")

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in_once(APPLICATION)

    assert refusal_code(error) == "permissions"


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ([{"value": "another"}], "sign-in-secret-wrong"),
        ([{"value": SECRET, "ends": "2020-01-01T00:00:00Z"}], "sign-in-secret-expired"),
    ],
    ids=["wrong secret", "expired secret"],
)
def test_r30_what_is_wrong_with_the_secret_is_told(
    wire: Wire, secret: list[dict[str, str]], code: str
) -> None:
    wire.entra.update_app(CLIENT_ID, secret=secret)

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in.token(wire.connection(APPLICATION))

    assert refusal_code(error) == code
    assert SECRET not in error.value.sentence + error.value.next_step


def test_r30_a_connection_without_a_secret_says_so(wire: Wire) -> None:
    wire.vault.delete(application_key(wire.connection().id))

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in.begin(wire.connection(DELEGATED))

    assert refusal_code(error) == "sign-in-secret-missing"


def test_r30_a_revoked_sign_in_is_told(wire: Wire) -> None:
    wire.sign_in_once()
    wire.entra.revoke_sessions(wire.tenant)

    with pytest.raises(PersonMustAct) as error:
        wire.sign_in.token(wire.connection(DELEGATED), fresh=True)

    assert refusal_code(error) == "sign-in-revoked"


def test_r30_what_somebody_mends_works_at_once(wire: Wire) -> None:
    wire.entra.update_app(CLIENT_ID, secret=[{"value": "another"}])
    with pytest.raises(PersonMustAct):
        wire.sign_in.token(wire.connection(APPLICATION))
    wire.entra.update_app(CLIENT_ID, secret=[{"value": SECRET}])
    wire.sign_in.forget(wire.connection().id)

    assert wire.sign_in.token(wire.connection(APPLICATION))


@pytest.mark.parametrize("mode", [DELEGATED, APPLICATION])
def test_a_token_is_fetched_once_and_then_kept(wire: Wire, mode: Mode) -> None:
    wire.sign_in_once(mode)
    wire.sign_in.token(wire.connection(mode))
    before = posts(wire)

    tokens = {wire.sign_in.token(wire.connection(mode)) for _ in range(20)}

    assert len(tokens) == 1
    assert posts(wire) == before


@pytest.mark.parametrize("mode", [DELEGATED, APPLICATION])
def test_r31_a_fresh_token_is_another_one(wire: Wire, mode: Mode) -> None:
    wire.sign_in_once(mode)
    first = wire.sign_in.token(wire.connection(mode))

    assert wire.sign_in.token(wire.connection(mode), fresh=True) != first


def test_threads_that_want_one_token_cause_one_call(wire: Wire) -> None:
    before = posts(wire)

    with ThreadPoolExecutor(16) as pool:
        tokens = set(
            pool.map(lambda _: wire.sign_in.token(wire.connection(APPLICATION)), range(64))
        )

    assert len(tokens) == 1
    assert posts(wire) == before + 1


def test_another_instance_goes_on_with_the_tokens_in_the_vault(wire: Wire) -> None:
    wire.sign_in_once()
    before = posts(wire)
    another = MsalSignIn(wire.settings, wire.vault, wire.session)

    assert another.token(wire.connection(DELEGATED))
    assert posts(wire) == before


def test_a_renewed_sign_in_is_saved(wire: Wire) -> None:
    wire.sign_in_once()
    name = token_cache(wire.connection().id)
    before = wire.vault.held[name]

    wire.sign_in.token(wire.connection(DELEGATED), fresh=True)

    assert wire.vault.held[name] != before


def test_another_instances_newer_sign_in_is_noticed_before_a_person_is_troubled(wire: Wire) -> None:
    wire.sign_in_once()
    name = token_cache(wire.connection().id)
    stale = wire.vault.held[name]
    wire.entra.revoke_sessions(wire.tenant)
    wire.sign_in_once()
    newest = wire.vault.held[name]

    class Stale(type(wire.vault)):  # type: ignore[misc]
        def get(self, asked: str, *, fresh: bool = False) -> str | None:
            if asked == name:
                return newest if fresh else stale
            return str(self.held[asked])

    another = MsalSignIn(wire.settings, Stale(dict(wire.vault.held)), wire.session)

    assert another.token(wire.connection(DELEGATED), fresh=True)


def test_passing_trouble_of_the_sign_in_service_is_no_trouble_of_the_connection(wire: Wire) -> None:
    wire.entra.add_fault("status", "*", service="login", status=503)

    with pytest.raises(TryLater):
        wire.sign_in.token(wire.connection(APPLICATION))


def test_r29_a_token_answer_that_is_cut_off_does_not_reach_the_log(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.entra.add_fault("truncate", "*", service="login", method="POST")
    caplog.set_level(logging.DEBUG)

    with pytest.raises(TryLater):
        wire.sign_in.token(wire.connection(APPLICATION))

    assert "access_token" not in caplog.text
    assert SECRET not in caplog.text


def test_r29_neither_tokens_nor_names_are_logged(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wire.sign_in_once()
    token = wire.sign_in.token(wire.connection(DELEGATED))
    wire.entra.revoke_sessions(wire.tenant)
    with pytest.raises(PersonMustAct):
        wire.sign_in.token(wire.connection(DELEGATED), fresh=True)

    assert "AADSTS50173" in caplog.text
    for secret in (token, SECRET, "ines@contoso.test", "Ines Okafor"):
        assert secret not in caplog.text


def test_msal_asks_no_host_but_the_configured_ones(wire: Wire) -> None:
    wire.sign_in_once()
    wire.sign_in.token(wire.connection(DELEGATED), fresh=True)

    paths = {call["path"] for call in wire.entra.requests(last=1000, service="login")}
    assert not [path for path in paths if "discovery/instance" in path]


def test_an_http_sign_in_address_is_refused_with_the_setting_named(wire: Wire) -> None:
    settings = replace(wire.settings, login_url="http://127.0.0.1:9")
    sign_in = MsalSignIn(settings, wire.vault, wire.session)

    with pytest.raises(Misconfigured, match="LOGIN_URL"):
        sign_in.token(wire.connection(APPLICATION))
