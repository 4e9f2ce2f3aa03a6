"""BMS's look-ups on a page: names instead of ids, and choices that are searched.

BMS may be away or not set up: then a page works with ids and says so, instead of failing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.web.api.bms import ChoiceList, ChoiceShown
from shared.web.console.inside import Inside, Refused, at

FEW = 200  # a table up to this long is one list to choose from; a longer one is searched
_SHOWN = 12  # hits of a search at once
_AT_ONCE = 500  # ids asked for in one call


@dataclass(frozen=True, slots=True)
class Choices:
    """Entries of a look-up. `more`: there are others; `trouble`: why there are none."""

    items: tuple[ChoiceShown, ...] = ()
    more: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Picker:
    """An input whose value is an entry of a look-up, or several (`many`)."""

    kind: str
    chosen: tuple[ChoiceShown, ...] = ()
    choices: Choices = field(default_factory=Choices)
    many: bool = False
    q: str = ""

    @property
    def value(self) -> int | None:
        """The chosen id."""
        return self.chosen[0].id if self.chosen else None

    @property
    def searched(self) -> bool:
        """Whether the table is too long for one list."""
        return self.many or self.choices.more or bool(self.q)


def choices(
    api: Inside, kind: str, q: str = "", *, account_id: int | None = None, limit: int = _SHOWN
) -> Choices:
    """Active entries whose name holds `q`, or whose id it is."""
    try:
        found = api.get(ChoiceList, at("/api/bms/{}", kind), q=q, accountId=account_id, limit=limit)
    except Refused as refused:
        return Choices(trouble=refused.sentence)
    active = tuple(each for each in found.items if each.is_active)
    return Choices(active, more=found.next_cursor is not None)


def names(api: Inside, kind: str, ids: Iterable[int]) -> tuple[Mapping[int, ChoiceShown], str]:
    """These entries by their ids, and why some are missing; "" when BMS could be asked."""
    wanted = sorted(set(ids))
    found: dict[int, ChoiceShown] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = ",".join(map(str, wanted[start : start + _AT_ONCE]))
        try:
            page = api.get(ChoiceList, at("/api/bms/{}", kind), ids=some, limit=_AT_ONCE)
        except Refused as refused:
            return found, refused.sentence
        found |= {each.id: each for each in page.items}
    return found, ""


def picker(
    api: Inside,
    kind: str,
    ids: Iterable[int] = (),
    *,
    q: str = "",
    many: bool = False,
) -> Picker:
    """The input for one entry or several, with what is chosen now and what can be chosen."""
    wanted = list(dict.fromkeys(ids))
    limit = _SHOWN if q or many else FEW
    found = choices(api, kind, q, limit=limit)
    if found.more and not q:
        found = Choices(found.items[:_SHOWN], more=True)
    here = {each.id: each for each in found.items}
    named = here if set(wanted) <= set(here) else {**here, **names(api, kind, wanted)[0]}
    chosen = tuple(named.get(id_) or _unnamed(id_) for id_ in wanted)
    return Picker(kind, chosen, found, many, q)


def _unnamed(id_: int) -> ChoiceShown:
    return ChoiceShown(id=id_, name=f"id {id_}, whose name is not known", is_active=True)
