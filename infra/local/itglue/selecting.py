"""Filter and sort of lists (itglue-api.md 2.3): filters join by AND, alternatives by OR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from infra.local.itglue.records import Organization, Person, Place
from infra.local.itglue.switches import Switches
from infra.local.itglue.wire import Query, Refusal

T = TypeVar("T")
Test = Callable[[T, str], bool]
_PSA_TYPES = {"manage", "autotask", "tigerpaw", "kaseya-bms", "pulseway-psa", "vorex"}


def text_test(name: str, mode: str) -> Callable[[Any, str], bool]:
    """Compare an attribute that is a text."""

    def test(one: Any, wanted: str) -> bool:
        held = getattr(one, name) or ""
        if mode == "exact":
            return bool(held == wanted)
        if mode == "contains":
            return wanted.casefold() in held.casefold()
        return bool(held.casefold() == wanted.casefold())

    return test


def id_test(name: str) -> Callable[[Any, str], bool]:
    """Compare an attribute that is an id."""
    return lambda one, wanted: str(getattr(one, name)) == wanted


def contact_tests(switches: Switches) -> Mapping[str, Test[Person]]:
    """Filters of GET /contacts."""

    def primary(one: Person, wanted: str) -> bool:
        held = [str(each["value"]) for each in one.emails if each["primary"]]
        if switches.email_filter == "exact":
            return wanted in held
        if switches.email_filter == "contains":
            return any(wanted.casefold() in each.casefold() for each in held)
        return wanted.casefold() in [each.casefold() for each in held]

    return {
        "id": id_test("id"),
        "first_name": text_test("first_name", switches.name_filter),
        "last_name": text_test("last_name", switches.name_filter),
        "title": text_test("title", switches.name_filter),
        "contact_type_id": id_test("contact_type_id"),
        "important": lambda one, wanted: bool(one.important) == (wanted in ("true", "1")),
        "primary_email": primary,
        "organization_id": id_test("organization_id"),
    }


def organization_tests(switches: Switches) -> Mapping[str, Test[Organization]]:
    """Filters of GET /organizations that are served."""
    return {
        "id": id_test("id"),
        "name": text_test("name", switches.name_filter),
        "primary": lambda one, wanted: one.primary == (wanted in ("true", "1")),
    }


def place_tests(switches: Switches) -> Mapping[str, Test[Place]]:
    """Filters of GET /locations that are served."""
    return {
        "id": id_test("id"),
        "name": text_test("name", switches.name_filter),
        "city": text_test("city", switches.name_filter),
        "organization_id": id_test("organization_id"),
    }


def select(
    rows: Iterable[T], query: Query, tests: Mapping[str, Test[T]], switches: Switches
) -> list[T]:
    """The rows that every filter lets through."""
    filters = dict(query.filters)
    chosen = list(rows)
    if "psa_id" in filters or "psa_integration_type" in filters:
        if "psa_integration_type" not in filters or "psa_id" not in filters:
            raise Refusal(400, "psa_id needs psa_integration_type, and the other way round.")
        kinds, ids = filters.pop("psa_integration_type"), filters.pop("psa_id")
        if not set(kinds) <= _PSA_TYPES:
            raise Refusal(400, "psa_integration_type is not known.")
        chosen = [
            one
            for one in chosen
            if str(getattr(one, "psa_id", None)) in ids and getattr(one, "psa_type", "") in kinds
        ]
    for name, wanted in filters.items():
        test = tests.get(name)
        if test is None:
            if switches.unknown_filter == "refuse":
                raise Refusal(400, f"filter[{name}] is not known.")
            continue
        chosen = [one for one in chosen if any(test(one, each) for each in wanted)]
    return chosen


def ordered(rows: Sequence[T], query: Query, names: set[str]) -> list[T]:
    """Sorted as asked for, by id without a wish; 400 for an unknown name."""
    chosen = sorted(rows, key=lambda one: getattr(one, "id", 0))
    for wish in reversed(query.sort):
        name = wish.lstrip("-")
        if name not in names:
            raise Refusal(400, f"sort by {name} is not known.")
        chosen.sort(
            key=lambda one: (getattr(one, name, None) is None, getattr(one, name, 0)),
            reverse=wish.startswith("-"),
        )
    return chosen
