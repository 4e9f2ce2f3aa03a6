"""One sign-in for many calls, and few refused ones: each may lock the API user out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from shared.adapters.bms_tokens import SIGN_IN_REFUSED, Token, Tokens
from shared.core.model import BmsSettings
from shared.errors import PersonMustAct
from shared.ports import BMS_PASSWORD
from tests.fakes import Clock, FakeVault

SETTINGS = BmsSettings(tenant="Northwind MSP", user_name="directory.sync", version="1")


@dataclass
class Door:
    """Opens for one password; remembers every one that was tried."""

    right: str = "right"
    code: str = SIGN_IN_REFUSED
    tried: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    vault: FakeVault = field(default_factory=lambda: FakeVault({BMS_PASSWORD: "wrong"}))

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.vault, self.clock, self._sign_in)

    def _sign_in(self, settings: BmsSettings, password: str) -> Token:
        self.tried.append(password)
        if password != self.right:
            raise PersonMustAct("BMS refused the sign-in.", "Check it.", code=self.code)
        at = self.clock() + timedelta(hours=1)
        return Token(f"token-{len(self.tried)}", at, settings.version)


def test_a_refused_password_is_sent_once_and_then_left_alone_for_a_while_r30() -> None:
    door = Door()

    for _ in range(5):
        with pytest.raises(PersonMustAct):
            door.tokens.access(SETTINGS)
    assert door.tried == ["wrong"]

    door.clock.pass_(timedelta(minutes=3))
    with pytest.raises(PersonMustAct):
        door.tokens.access(SETTINGS)
    assert door.tried == ["wrong", "wrong"]


@pytest.mark.parametrize("way", ["other settings", "a person has just signed in"])
def test_a_refusal_does_not_outlive_what_was_refused_r30(way: str) -> None:
    door = Door()
    with pytest.raises(PersonMustAct):
        door.tokens.access(SETTINGS)
    door.vault.put(BMS_PASSWORD, "right")
    settings = replace(SETTINGS, version="2") if way == "other settings" else SETTINGS
    if way != "other settings":
        door.tokens.forget()

    assert door.tokens.access(settings) == "token-2"
    assert door.tokens.access(settings) == "token-2"


def test_only_a_refused_sign_in_is_believed_for_a_while() -> None:
    door = Door(code="employee-api")

    for _ in range(2):
        with pytest.raises(PersonMustAct):
            door.tokens.access(SETTINGS)

    assert door.tried == ["wrong", "wrong"]


def test_of_two_whose_token_was_refused_the_second_takes_what_the_first_has_got() -> None:
    door = Door(right="wrong")
    old = door.tokens.access(SETTINGS)

    new = door.tokens.access(SETTINGS, refused=old)

    assert new != old
    assert door.tokens.access(SETTINGS, refused=old) == new
    assert len(door.tried) == 2


def test_without_a_password_nothing_is_sent() -> None:
    door = Door(vault=FakeVault({}))

    with pytest.raises(PersonMustAct, match="password is missing"):
        door.tokens.access(SETTINGS)

    assert door.tried == []
