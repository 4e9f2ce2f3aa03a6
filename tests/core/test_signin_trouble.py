"""R30: what each refusal of the sign-in service means, by graph.md section 8."""

from __future__ import annotations

import pytest

from shared.core.signin_trouble import SIGN_IN_CODES, explain, explain_answer, scopes_missing

# error, suberror, number -> code; the table of graph.md, row by row.
ROWS = [
    ("invalid_grant", "bad_token", 50173, "sign-in-revoked"),
    ("invalid_grant", "", 700082, "sign-in-expired"),
    ("invalid_grant", "", 70008, "sign-in-expired"),
    ("invalid_grant", "", 70000, "sign-in-expired"),
    ("invalid_grant", "", 50089, "sign-in-expired"),
    ("invalid_grant", "token_expired", 70043, "sign-in-frequency"),
    ("invalid_grant", "", 54005, "sign-in-again"),
    ("invalid_grant", "", 501481, "sign-in-again"),
    ("invalid_grant", "", 700005, "sign-in-again"),
    ("invalid_grant", "basic_action", 50076, "sign-in-factor"),
    ("interaction_required", "", 50079, "sign-in-factor"),
    ("interaction_required", "", 50158, "sign-in-factor"),
    ("invalid_grant", "message_only", 53003, "sign-in-policy"),
    ("access_denied", "", 53003, "sign-in-policy"),
    ("invalid_grant", "", 530035, "sign-in-policy"),
    ("invalid_grant", "", 50057, "sign-in-account-disabled"),
    ("invalid_grant", "", 50034, "sign-in-account-foreign"),
    ("interaction_required", "", 16000, "sign-in-account-foreign"),
    ("invalid_grant", "", 50053, "sign-in-account-locked"),
    ("invalid_grant", "user_password_expired", 50055, "sign-in-password-expired"),
    ("interaction_required", "", 50105, "sign-in-not-assigned"),
    ("invalid_grant", "consent_required", 65001, "sign-in-consent"),
    ("access_denied", "", 65004, "sign-in-declined"),
    ("access_denied", "", 90094, "sign-in-admin-needed"),
    ("invalid_client", "", 7000215, "sign-in-secret-wrong"),
    ("invalid_client", "", 7000222, "sign-in-secret-expired"),
    ("invalid_request", "", 7000218, "sign-in-secret-missing"),
    ("invalid_client", "", 700025, "sign-in-registration"),
    ("unauthorized_client", "", 700016, "sign-in-app-unknown"),
    ("unauthorized_client", "", 7000112, "sign-in-app-disabled"),
    ("invalid_request", "", 50011, "sign-in-redirect"),
    ("invalid_tenant", "", 90002, "sign-in-tenant-unknown"),
    ("invalid_request", "", 50194, "sign-in-registration"),
    ("invalid_scope", "", 70011, "sign-in-registration"),
    ("invalid_resource", "", 500011, "sign-in-registration"),
    ("invalid_request", "", 90038, "sign-in-cloud"),
]


@pytest.mark.parametrize(("error", "suberror", "number", "code"), ROWS)
def test_each_known_refusal_has_its_sentence_and_next_step(
    error: str, suberror: str, number: int, code: str
) -> None:
    refusal = explain(error, suberror, [number])

    assert refusal is not None
    assert refusal.code == code
    assert refusal.code in SIGN_IN_CODES
    assert refusal.reason.endswith(".")
    assert refusal.next_step.endswith(".")


@pytest.mark.parametrize(
    ("error", "number"),
    [
        ("temporarily_unavailable", 90033),
        ("server_error", 50173),
        ("invalid_grant", 50033),
        ("invalid_request", 90055),
        ("invalid_grant", 50196),
    ],
)
def test_passing_trouble_asks_nothing_of_a_person(error: str, number: int) -> None:
    assert explain(error, "", [number]) is None


@pytest.mark.parametrize(
    ("error", "suberror", "code"),
    [
        ("invalid_client", "", "sign-in-secret-wrong"),
        ("invalid_grant", "", "sign-in-expired"),
        ("invalid_grant", "consent_required", "sign-in-consent"),
        ("invalid_grant", "brand_new", "sign-in-expired"),
        ("interaction_required", "", "sign-in-factor"),
        ("consent_required", "", "sign-in-consent"),
        ("access_denied", "", "sign-in-declined"),
        ("unauthorized_client", "", "sign-in-app-unknown"),
        ("never_heard_of", "", "sign-in-registration"),
        ("", "", "sign-in-registration"),
    ],
)
def test_numbers_that_are_new_to_us_leave_the_decision_to_the_error(
    error: str, suberror: str, code: str
) -> None:
    refusal = explain(error, suberror, [99999999])

    assert refusal is not None
    assert refusal.code == code


def test_a_wrong_secret_never_passes_by_itself_whatever_the_number() -> None:
    assert explain("invalid_client", "", [90033]) is not None


def test_the_number_is_found_in_the_text_when_there_is_no_list_of_numbers() -> None:
    refusal = explain_answer(
        {"error": "invalid_grant", "error_description": "AADSTS50057: Ada's account is disabled."}
    )

    assert refusal is not None
    assert refusal.code == "sign-in-account-disabled"
    assert "Ada" not in refusal.reason + refusal.next_step


@pytest.mark.parametrize("numbers", [None, "x", ["x"], {"a": 1}, 7])
def test_odd_answers_do_no_harm(numbers: object) -> None:
    assert explain_answer({"error": "invalid_grant", "error_codes": numbers}) is not None


def test_missing_permissions_are_named_in_order() -> None:
    assert (
        "Group.Read.All, User.Read.All"
        in scopes_missing(["User.Read.All", "Group.Read.All"]).reason
    )
