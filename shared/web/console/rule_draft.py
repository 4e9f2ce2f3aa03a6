"""A draft of a connection's rule set: edited on the page, and nothing of it saved.

It travels in a hidden input of the page's form, so that it needs neither a script nor a memory of
the app, and two people can have one each. The admin API checks whatever is made of it. It knows by
which saved rules it began, so that nobody overwrites what somebody else has saved meanwhile unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from shared.core.model import (
    ConnectionId,
    GroupId,
    MappingRule,
    RecordType,
    RuleId,
)
from shared.core.rules import in_order
from shared.errors import BadInput
from shared.web.api.mapping_rules import RuleBody, RuleShown
from shared.web.api.shapes import Strict

STEP = 10  # between the Orders of neighbours, so that a rule fits between them
LARGEST_ORDER = 1_000_000
Moment = Annotated[datetime, Meta(tz=True)]
_LATER = datetime.max.replace(tzinfo=UTC)  # a rule that is not saved yet is the youngest
_WISHED = (
    "id",
    "group_id",
    "order",
    "record_type",
    "account_id",
    "location_id",
    "include_nested",
    "include_guests",
    "blocked_users",
    "enabled",
    "employee",
)


class DraftRule(RuleBody, omit_defaults=True):
    """A rule of the draft. `faults`: what the admin API said against it, by member."""

    faults: dict[str, str] = {}
    group_created_at: Moment | None = None
    created_at: Moment | None = None

    def wish(self) -> Any:
        """What goes to the admin API: the members that a person decides, nothing that is shown."""
        given = cast(dict[str, Any], msgspec.to_builtins(self))
        names = {each.name: each.encode_name for each in msgspec.structs.fields(self)}
        return {
            names[name]: given[names[name]]
            for name in _WISHED
            if given.get(names[name]) is not None
        } | {"groupId": self.group_id, "order": self.order, "recordType": self.record_type}


class Draft(Strict, omit_defaults=True):
    """The set as a person would have it. `base`: the saved set by which it began."""

    items: list[DraftRule]
    base: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A rule as the page shows it. `index`: its place in the draft; None when it is removed."""

    rule: DraftRule
    index: int | None
    state: str  # "same" | "new" | "changed" | "removed"
    before: RuleShown | None = None


def begun(saved: Sequence[RuleShown]) -> Draft:
    """A draft that changes nothing."""
    return Draft(items=[_as_draft(rule) for rule in saved], base=version(saved))


def read(text: str) -> Draft:
    """The draft that a form brings back; BadInput for what is none."""
    try:
        return sorted_draft(msgspec.json.decode(text, type=Draft))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput(
            400, "The draft of the rules cannot be read. Nothing was saved: open the page again."
        ) from error


def write(draft: Draft) -> str:
    """The draft as a form carries it."""
    return msgspec.json.encode(draft).decode()


def version(saved: Iterable[RuleShown]) -> str:
    """A short text that differs whenever somebody saves other rules."""
    lines = sorted(msgspec.json.encode(_as_draft(rule).wish()).decode() for rule in saved)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def on_top_of(draft: Draft, saved: Sequence[RuleShown]) -> Draft:
    """The draft over the rules as they are saved now; a rule that is gone there is a new one."""
    there = {rule.id for rule in saved}
    items = [
        rule if rule.id is None or rule.id in there else msgspec.structs.replace(rule, id=None)
        for rule in draft.items
    ]
    return Draft(items=items, base=version(saved))


def rows(draft: Draft, saved: Sequence[RuleShown]) -> list[Row]:
    """Every rule of the draft and every removed one, in the order in which they are tried."""
    before = {rule.id: rule for rule in saved}
    found: list[Row] = []
    for index, rule in enumerate(draft.items):
        old = before.pop(rule.id, None) if rule.id else None
        if old is None:
            found.append(Row(rule, index, "new"))
        else:
            same = _as_draft(old).wish() == rule.wish()
            found.append(Row(rule, index, "same" if same else "changed", old))
    found += [Row(_as_draft(old), None, "removed", old) for old in before.values()]
    place = {id(row.rule): row for row in found}
    return [place[id(rule)] for rule in _tried([row.rule for row in found])]


def sorted_draft(draft: Draft) -> Draft:
    """The same with its rules in the order in which they are tried (R2)."""
    return Draft(items=_tried(draft.items), base=draft.base)


def next_order(draft: Draft) -> int:
    """Behind the last rule, with room before it."""
    last = max((rule.order for rule in draft.items), default=0)
    return min(last // STEP * STEP + STEP, LARGEST_ORDER)


def moved(draft: Draft, index: int, by: int) -> Draft:
    """The rule one place up (-1) or down (+1): the two swap their Orders.

    Where that does not do it, since some are equal, all rules are numbered anew.
    """
    items = list(draft.items)
    other = index + by
    if not (0 <= index < len(items) and 0 <= other < len(items)):
        return draft
    one, two = items[index], items[other]
    items[other], items[index] = _with(one, order=two.order), _with(two, order=one.order)
    if _tried(items) != items:
        items = [_with(rule, order=(place + 1) * STEP) for place, rule in enumerate(items)]
    return Draft(items=items, base=draft.base)


def switched(draft: Draft, index: int, *, enabled: bool) -> Draft:
    """The rule enabled or disabled."""
    return _at(draft, index, lambda rule: _with(rule, enabled=enabled))


def removed(draft: Draft, index: int) -> Draft:
    """The set without this rule."""
    items = [rule for place, rule in enumerate(draft.items) if place != index]
    return Draft(items=items, base=draft.base)


def restored(draft: Draft, rule_id: str, saved: Sequence[RuleShown]) -> Draft:
    """The saved rule again as it is saved, removed or changed."""
    old = [_as_draft(rule) for rule in saved if rule.id == rule_id]
    items = [rule for rule in draft.items if rule.id != rule_id]
    return sorted_draft(Draft(items=items + old, base=draft.base))


def placed(draft: Draft, index: int | None, rule: DraftRule) -> Draft:
    """The set with this rule in the place of that one, or added."""
    items = list(draft.items)
    if index is not None and 0 <= index < len(items):
        items[index] = rule
    else:
        items.append(rule)
    return sorted_draft(Draft(items=items, base=draft.base))


def without_faults(draft: Draft) -> Draft:
    """The set as if nothing had been said against it."""
    return Draft(items=[_with(rule) for rule in draft.items], base=draft.base)


def with_faults(draft: Draft, faults: Mapping[int, Mapping[str, str]]) -> Draft:
    """What the admin API said, at the rules that it was said of."""
    items = [
        msgspec.structs.replace(rule, faults=dict(faults.get(index, {})))
        for index, rule in enumerate(draft.items)
    ]
    return Draft(items=items, base=draft.base)


def _at(draft: Draft, index: int, change: Callable[[DraftRule], DraftRule]) -> Draft:
    items = [change(rule) if place == index else rule for place, rule in enumerate(draft.items)]
    return Draft(items=items, base=draft.base)


def _with(rule: DraftRule, **members: Any) -> DraftRule:
    return msgspec.structs.replace(rule, **{"faults": {}, **members})


def _as_draft(rule: RuleShown) -> DraftRule:
    given = msgspec.to_builtins(rule)
    return msgspec.convert(
        {name: value for name, value in given.items() if name not in ("notes", "connectionId")},
        type=DraftRule,
    )


def _tried(items: Sequence[DraftRule]) -> list[DraftRule]:
    """In the order in which they are tried; the core decides it."""
    stood_for = [
        MappingRule(
            id=RuleId(rule.id or f"~{place:06}"),  # new ones behind, as they were added
            connection_id=ConnectionId(""),
            group_id=GroupId(rule.group_id),
            order=rule.order,
            record_type=RecordType(rule.record_type),
            created_at=rule.created_at or _LATER,
            group_created_at=rule.group_created_at,
        )
        for place, rule in enumerate(items)
    ]
    meant = {id(one): rule for one, rule in zip(stood_for, items, strict=True)}
    return [meant[id(one)] for one in in_order(stood_for)]
