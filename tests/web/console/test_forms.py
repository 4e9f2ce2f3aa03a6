"""What a browser sends becomes what the admin API takes; what does not fit is not guessed."""

from __future__ import annotations

import pytest

from shared.errors import BadInput
from shared.web.console.forms import FORM, number, read_form, wrong_of
from shared.web.console.inside import Fault, Refused


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("", None),
        (" 7 ", 7),
        ("0.2", 0.2),
        ("0,2", 0.2),
        ("ten", "ten"),
        ("1,000,5", "1,000,5"),
        ("-3", -3),
    ],
)
def test_a_number_is_taken_as_a_person_types_it(typed: str, value: object) -> None:
    form = read_form(f"limit={typed}".encode(), FORM)

    assert form.number("limit") == value


@pytest.mark.parametrize("typed", ["nan", "inf", "-inf", "1e400", "1_0", "٣", "0x1", "9" * 5000])
def test_what_no_person_means_by_a_number_stays_the_text_that_the_api_refuses(typed: str) -> None:
    assert number(typed) == typed


def test_several_values_of_one_name_are_a_list_without_empty_ones() -> None:
    form = read_form(b"user=a&user=&user=b&id=1&id=x", FORM)

    assert form.texts("user") == ["a", "b"]
    assert form.numbers("id") == [1, "x"]


def test_a_secret_is_taken_exactly_as_it_was_typed() -> None:
    assert read_form(b"password=%20a%20&name=%20a%20", FORM).secret("password") == " a "


def test_an_empty_body_is_an_empty_form() -> None:
    assert not read_form(b"", "").ticked("anything")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"a=1", "", 415),
        (b"a=\xff\xfe", FORM, 400),
        (b"&".join(b"a=1" for _ in range(10_001)), FORM, 400),
        (b"a=" + b"x" * 1_048_577, FORM, 413),
    ],
    ids=["json", "nothing", "not utf-8", "too many", "too large"],
)
def test_what_is_no_form_is_refused_with_a_sentence(body: bytes, kind: str, status: int) -> None:
    with pytest.raises(BadInput) as refusal:
        read_form(body, kind)

    assert refusal.value.status == status
    assert refusal.value.sentence.endswith(".")


def test_a_refusal_goes_to_the_inputs_that_it_names_and_the_rest_above_the_form() -> None:
    faults = (Fault("order must be a number.", "order"), Fault("x is not known.", "x"))

    wrong = wrong_of(Refused(422, "Two things are wrong.", "Mend them.", faults))

    assert wrong.at("order") == "order must be a number."
    assert wrong.at("group") == ""
    assert wrong.besides(["order", "group"]) == ["Two things are wrong.", "x is not known."]
