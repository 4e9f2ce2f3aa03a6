"""Which record in BMS is this user? (R6, R7, R9)

A user has several addresses; they are tried in order, each in the rule's account first and then in
all others. The first address and place that has any record decides, so that a weaker address never
overrules a stronger one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.core.model import AccountId, EntraUser, RecordId

_GUEST_MARK = "#ext#"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that carries one of the addresses."""

    record_id: RecordId
    account_id: AccountId | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one record: it is taken over."""

    candidate: Candidate
    address: str
    elsewhere: bool  # in another account than the rule's: it stays there (R6)


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nobody has any of the addresses: a new record is due."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A person must choose (R9)."""

    record_ids: tuple[RecordId, ...]
    reason: str


def key(address: str) -> str:
    """The form in which addresses are compared: without blanks, in lower case (R6)."""
    return "".join(address.split()).lower()


def usable(address: str) -> bool:
    """Whether a text can be somebody's e-mail address."""
    cleaned = "".join(address.split())
    name, at, domain = cleaned.rpartition("@")
    return (
        bool(name and at and domain)
        and "@" not in name
        and _GUEST_MARK not in cleaned.lower()
        and cleaned.isprintable()
        and len(cleaned) <= 254
    )


def primary_address(user: EntraUser, email_source: str) -> str:
    """R7: mail, else UPN (or the other way round), never a guest's #EXT# UPN; "" for none.

    Somebody with neither, but with an SMTP alias, is known by that.
    """
    first, second = (user.upn, user.mail) if email_source == "upn" else (user.mail, user.upn)
    if usable(first):
        return "".join(first.split())
    for address in (second, *_aliases(user)):
        if usable(address):
            return "".join(address.split())
    return ""


def addresses(user: EntraUser, email_source: str) -> list[str]:
    """All keys to look for, in order: primary, mail, UPN, SMTP aliases (R6)."""
    keys: dict[str, None] = {}
    for address in (
        primary_address(user, email_source),
        user.mail,
        user.upn,
        *_aliases(user),
    ):
        if usable(address):
            keys[key(address)] = None
    return list(keys)


def _aliases(user: EntraUser) -> Iterator[str]:
    # Upper-case SMTP: marks the primary of the mailbox (graph.md 2.1), so it goes first.
    for prefix in ("SMTP:", "smtp:"):
        for entry in user.proxy_addresses:
            head = entry[:5]
            if head.lower() == "smtp:" and (head == "SMTP:") == (prefix == "SMTP:"):
                yield entry[5:]


def match(
    keys: Sequence[str],
    candidates: Mapping[str, Sequence[Candidate]],
    *,
    account_id: AccountId | None,
    own_account_only: bool,
    taken: frozenset[RecordId],
) -> Found | NotFound | Ambiguous:
    """Choose the record for a user, or say that a person must.

    `taken` are the records that another user's link holds, whose user is still in scope.
    `account_id` None: the record type knows no accounts (employees).
    """
    for address in keys:
        for elsewhere, place in _places(candidates.get(address, ()), account_id, own_account_only):
            if not place:
                continue
            active = [one for one in place if one.is_active]
            chosen = active or place
            if len(chosen) > 1:
                state = "active" if active else "inactive"
                return Ambiguous(
                    tuple(one.record_id for one in chosen),
                    f"{len(chosen)} {state} records in BMS have the same e-mail address",
                )
            only = chosen[0]
            if only.record_id in taken:
                return Ambiguous(
                    (only.record_id,),
                    "the record with this e-mail address belongs to another user",
                )
            return Found(only, address, elsewhere)
    return NotFound()


def _places(
    found: Sequence[Candidate], account_id: AccountId | None, own_account_only: bool
) -> Iterator[tuple[bool, list[Candidate]]]:
    if account_id is None:
        yield False, list(found)
        return
    yield False, [one for one in found if one.account_id == account_id]
    if not own_account_only:
        yield True, [one for one in found if one.account_id != account_id]
