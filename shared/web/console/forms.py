"""Forms: what a browser sends, as values that fit the admin API's bodies, and what was wrong.

A browser knows texts only and sends an empty one for what was left empty. Here that becomes None
or is left out, a number where digits stand, and a list where a name comes several times. What does
not fit is left as it is: the admin API refuses it with a sentence, which goes back to its input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from shared.errors import BadInput
from shared.web.console.inside import Refused
from shared.web.router import LARGEST_BODY

FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 10_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}([.,][0-9]{1,18})?")


@dataclass(frozen=True, slots=True)
class Form:
    """The inputs of a form that was sent, each with all its values."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value without blanks around it; empty when it is not there."""
        return (self.values.get(name) or ("",))[0].strip()

    def secret(self, name: str) -> str:
        """The value exactly as it was typed."""
        return (self.values.get(name) or ("",))[0]

    def texts(self, name: str) -> list[str]:
        """All values that are not empty."""
        return [value.strip() for value in self.values.get(name, ()) if value.strip()]

    def ticked(self, name: str) -> bool:
        """Whether a checkbox was ticked."""
        return name in self.values

    def number(self, name: str) -> int | float | str | None:
        """The number; None for an empty input, the text as it is where it is no number."""
        return number(self.text(name))

    def numbers(self, name: str) -> list[int | float | str]:
        """All of them."""
        return [found for text in self.texts(name) if (found := number(text)) is not None]


def number(text: str) -> int | float | str | None:
    """A number as a person types it (`1500`, `0.2`, `0,2`); what is none stays a text."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        return text
    plain = text.replace(",", ".")
    return float(plain) if "." in plain else int(plain)


def read_form(body: bytes, content_type: str, largest: int = LARGEST_BODY) -> Form:
    """The form of a request; BadInput when it is none or too large."""
    if len(body) > largest:
        raise BadInput(
            413,
            f"The form is larger than {largest // 2**20} MiB: send less at once, a part after "
            "the other, here or by the admin API.",
        )
    if not body:
        return Form()
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise BadInput(415, "This address takes forms alone: use the console's page.")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="replace",
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(400, "The form cannot be read: open the page again.") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return Form(values)


@dataclass(frozen=True, slots=True)
class Wrong:
    """What the admin API said against a form: by input, and what belongs to none of them."""

    sentence: str = ""
    next_step: str = ""
    by_field: Mapping[str, str] = field(default_factory=dict)

    def at(self, name: str) -> str:
        """The sentence at this input; empty when it is fine."""
        return self.by_field.get(name, "")

    def besides(self, names: Sequence[str]) -> list[str]:
        """What is to be said above the form, when these are its inputs."""
        rest = [words for name, words in self.by_field.items() if name not in names]
        if self.sentence and self.sentence not in self.by_field.values():
            rest.insert(0, self.sentence)
        return rest


NOTHING_WRONG = Wrong()


def wrong_of(refused: Refused) -> Wrong:
    """What to show at which input."""
    found: dict[str, str] = {}
    for fault in refused.faults:
        if fault.field:
            found.setdefault(fault.field, fault.detail)
    return Wrong(refused.sentence, refused.next_step, found)
