"""Signing in to the BMS stand-in: forms, one-time codes, token lives."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from infra.local.bms.process import BmsProcess, start_bms
from infra.local.bms.tokens import one_time_code
from tests.local.bms_wire import PASSWORD, TENANT, USER, Wire

ANY = "/v2/hr/assignees/count"
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(scope="module")
def running() -> Iterator[BmsProcess]:
    with start_bms() as process:
        yield process


@pytest.fixture
def wire(running: BmsProcess) -> Wire:
    running.control.reset()
    return Wire(running)


def test_a_multipart_form_is_taken(wire: Wire) -> None:
    fields = {"GrantType": "password", "UserName": USER, "Password": PASSWORD, "Tenant": TENANT}

    reply = requests.post(
        f"{wire.url}/v2/security/authenticate",
        files={name: (None, value) for name, value in fields.items()},
        timeout=5,
    )

    assert reply.json()["result"]["accessToken"]


@pytest.mark.parametrize("name", ["username", "userName", "USERNAME"])
def test_field_names_may_have_any_casing(wire: Wire, name: str) -> None:
    fields = {"granttype": "password", name: USER, "password": PASSWORD, "TENANT": TENANT}

    assert wire.call("POST", "/v2/security/authenticate", form=fields).status == 200


def test_json_is_not_a_form(wire: Wire) -> None:
    answer = wire.call("POST", "/v2/security/authenticate", {"GrantType": "password"}, check=False)

    assert answer.status == 415


@pytest.mark.parametrize(
    "wrong",
    [
        {"Password": "x"},
        {"Tenant": "Northwind"},
        {"Tenant": "northwind msp"},
        {"UserName": "x"},
        {"GrantType": ""},
        {"GrantType": "sso"},
    ],
    ids=str,
)
def test_a_wrong_or_missing_field_is_an_error_envelope(wire: Wire, wrong: dict[str, str]) -> None:
    answer = wire.authenticate(**wrong)

    assert answer.status == 401
    assert answer.error["code"] == 978001


@pytest.mark.parametrize("status", [200, 400])
def test_a_refused_sign_in_has_another_status_when_switched(wire: Wire, status: int) -> None:
    wire.control.set_switches(signin_refused_status=status)

    answer = wire.authenticate(Password="x")

    assert (answer.status, answer.body["success"]) == (status, False)


def test_a_user_with_mfa_needs_the_code(wire: Wire) -> None:
    wire.control.set_credentials(mfa_code="123456")

    assert wire.authenticate().status == 401
    assert wire.authenticate(MFACode="654321").status == 401
    assert wire.authenticate(MFACode="123456").status == 200


def test_a_one_time_code_from_a_secret_is_taken(wire: Wire) -> None:
    wire.control.set_credentials(mfa_secret=SECRET)

    assert wire.authenticate(MFACode=one_time_code(SECRET, time.time())).status == 200
    assert wire.authenticate(MFACode=one_time_code(SECRET, time.time() - 300)).status == 401


def test_one_time_codes_are_those_of_rfc_6238() -> None:
    rfc_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

    assert one_time_code(rfc_secret, 59) == "287082"
    assert one_time_code(rfc_secret, 1111111109) == "081804"


def test_changed_credentials_end_all_tokens(wire: Wire) -> None:
    wire.control.set_credentials(password="new")

    assert wire.call("GET", ANY).status == 401
    assert wire.authenticate().status == 401
    assert wire.authenticate(Password="new").status == 200


def test_without_a_token_the_answer_is_security_error(wire: Wire) -> None:
    del wire.session.headers["Authorization"]

    answer = wire.call("GET", ANY)

    assert answer.status == 401
    assert (answer.error["code"], answer.error["message"]) == (978001, "Security Error")


@pytest.mark.parametrize("status", [403, 200])
def test_a_failed_token_has_another_status_when_switched(wire: Wire, status: int) -> None:
    wire.control.set_switches(auth_failure_status=status)
    wire.control.invalidate_tokens()

    assert wire.call("GET", ANY).status == status


def test_an_access_token_ends_after_its_life(wire: Wire) -> None:
    wire.control.move_clock(3599)
    assert wire.call("GET", ANY).status == 200

    wire.control.move_clock(2)

    assert wire.call("GET", ANY).status == 401


def test_token_lives_can_be_set(wire: Wire) -> None:
    wire.control.set_switches(access_token_seconds=10)
    wire.sign_in()

    wire.control.move_clock(11)

    assert wire.call("GET", ANY).status == 401


def test_a_refresh_token_gives_a_new_pair_once(wire: Wire) -> None:
    tokens = wire.sign_in()
    form = {"AccessToken": tokens["accesstoken"], "RefreshToken": tokens["refreshtoken"]}

    renewed = wire.call("POST", "/v2/security/refreshtoken", form=form)
    again = wire.call("POST", "/v2/security/refreshtoken", form=form)

    assert renewed.result["accesstoken"] != tokens["accesstoken"]
    assert again.status == 401


def test_a_refresh_token_ends_after_its_life(wire: Wire) -> None:
    tokens = wire.sign_in()
    form = {"AccessToken": tokens["accesstoken"], "RefreshToken": tokens["refreshtoken"]}

    wire.control.move_clock(86401)

    assert wire.call("POST", "/v2/security/refreshtoken", form=form).status == 401


def test_refreshing_without_an_access_token_is_refused(wire: Wire) -> None:
    form = {"RefreshToken": wire.sign_in()["refreshtoken"]}

    assert wire.call("POST", "/v2/security/refreshtoken", form=form).status == 401


def test_tokens_can_be_withdrawn_in_mid_run(wire: Wire) -> None:
    wire.control.invalidate_tokens()

    assert wire.call("GET", ANY).status == 401
    wire.sign_in()
    assert wire.call("GET", ANY).status == 200


def test_expiry_times_have_a_zone_unless_switched(wire: Wire) -> None:
    zoned = wire.sign_in()["accesstokenexpireon"]
    wire.control.set_switches(timestamps="zoneless")

    assert zoned.endswith("Z")
    assert not wire.sign_in()["accesstokenexpireon"].endswith("Z")


def test_expiry_times_are_missing_when_switched(wire: Wire) -> None:
    wire.control.set_switches(token_expiry="omitted")
    form = {"GrantType": "password", "UserName": USER, "Password": PASSWORD, "Tenant": TENANT}

    answer = wire.call("POST", "/v2/security/authenticate", form=form, check=False)

    assert set(answer.result) == {"accesstoken", "refreshtoken"}


def test_user_info_names_the_api_user(wire: Wire) -> None:
    assert wire.get("/v2/security/userinfo")["userid"] == 901


def test_sso_status_needs_the_tenant_and_no_token(wire: Wire) -> None:
    del wire.session.headers["Authorization"]

    assert wire.get("/v2/security/ssostatus", Tenant=TENANT)["enabled"] is False
    assert wire.call("GET", "/v2/security/ssostatus").status == 400


def test_passwords_are_in_no_log(wire: Wire) -> None:
    assert PASSWORD not in str(wire.control.log())
    assert wire.control.writes() == []
