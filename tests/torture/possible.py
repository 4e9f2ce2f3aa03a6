"""What BMS may hold when somebody changed several times before the app looked (R22).

The app sees the state at the moments at which it looks, and nobody promises when these are: a
title that went A, B, A is three states or one, and an edit made by hand in between survives or does
not (R12). Edited rules come into force later than they were saved (R5), and Entra's replicas lag.
So the oracle follows each user through everything that the app may have seen, in order and with
the present state last; BMS must hold one of these ends, and the oracle goes on from that one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.stories.oracle import Oracle, Rule
from tests.stories.population import Json
from tests.stories.story import held

MOST_MOMENTS = 8  # of one user between two looks at the end state

Rules = tuple[Rule, ...]


@dataclass(frozen=True)
class Entra:
    """Users and groups, as they were from some moment on."""

    users: dict[str, Json]
    groups: dict[str, Json]


@dataclass(frozen=True)
class Edit:
    """What a person changed in BMS: members of one contact, or None for its removal."""

    key: str
    members: Mapping[str, Any] | None


@dataclass
class _Way:
    """One thing that may have happened to a user: what was seen last, and what it led to."""

    oracle: Oracle
    seen: tuple[int, int]  # which Entra, which rules
    held: bool = False  # whether a hold kept him when he was looked at last (R20)

    def state(self, user_id: str) -> object:
        link = self.oracle.links.get(user_id)
        return self.seen, self.held, repr(link), repr(sorted(self.oracle.contacts.items()))


@dataclass
class History:
    """What happened since BMS was last found to be right."""

    oracle: Oracle
    limited: bool = False  # whether holds may keep who leaves
    moments: list[Entra | Edit | Rules] = field(default_factory=list)
    _views: dict[tuple[int, int], Oracle] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget what was before: BMS is as it must be."""
        self.moments = [self._entra(), tuple(self.oracle.rules)]
        self._views = {}

    def changed(self) -> None:
        """Something changed in Entra or in the rules; the oracle has been shown it."""
        self.moments.append(self._entra())
        rules = tuple(self.oracle.rules)
        if rules != [one for one in self.moments if isinstance(one, tuple)][-1]:
            self.moments.append(rules)

    def edited(self, key: str, members: Mapping[str, Any] | None) -> None:
        """A person edited a contact."""
        self.moments.append(Edit(key, members))

    def room_for(self, user_id: str) -> bool:
        """Whether one more change of this user keeps the number of ways small."""
        return len(self._of(user_id)) < MOST_MOMENTS

    def follow(self, rows: Mapping[int, Json], ids: Mapping[str, int]) -> None:
        """Let the oracle go on from the ends that BMS holds, or from the plainest where none is."""
        for user_id in [*self.oracle.links, *self.oracle.users]:
            if not self._of(user_id):
                continue
            ways = self._ways(user_id)
            before = self.oracle
            fits = (way for way in ways if _is_so(way, before, user_id, rows, ids))
            chosen = next(fits, ways[0])
            self.oracle.contacts, self.oracle.links = chosen.contacts, chosen.links
            self.oracle.made = chosen.made

    def _entra(self) -> Entra:
        return Entra(*copy.deepcopy((self.oracle.users, self.oracle.groups)))

    def _of(self, user_id: str) -> list[int]:
        """The places of the moments that concern one user."""
        link = self.oracle.links.get(user_id)
        found: list[int] = []
        entra = rules = -1
        faces: dict[tuple[int, int], object] = {}
        last: object = None
        for place, moment in enumerate(self.moments):
            if isinstance(moment, Edit):
                found += [place] if link is not None and moment.key == link.key else []
                continue
            entra, rules = (entra + 1, rules) if isinstance(moment, Entra) else (entra, rules + 1)
            if rules < 0:
                continue
            face = faces[entra, rules] = self._face(user_id, entra, rules)
            if place > 1 and face != last:
                found.append(place)
            last = face
        return found

    def _face(self, user_id: str, entra: int, rules: int) -> object:
        """Everything about a user that any rules of this time go by."""
        view = self._view(entra, rules)
        by_all = [self._view(entra, each).winner(user_id) for each in range(rules + 1)]
        return view.users.get(user_id), by_all[-1], by_all[0]

    def _view(self, entra: int, rules: int) -> Oracle:
        """An oracle that sees the n-th Entra by the m-th rules."""
        if (entra, rules) not in self._views:
            view = copy.copy(self.oracle)
            seen = [one for one in self.moments if isinstance(one, Entra)][entra]
            view.users, view.groups = seen.users, seen.groups
            view.rules = list([one for one in self.moments if isinstance(one, tuple)][rules])
            view.look()
            self._views[entra, rules] = view
        return self._views[entra, rules]

    def _ways(self, user_id: str) -> list[Oracle]:
        """Every end that this user may have come to, the plainest first."""
        mine = set(self._of(user_id))
        ways = [_Way(self.oracle, (0, 0))]
        now = (0, 0)
        for place, moment in enumerate(self.moments[2:], 2):
            if isinstance(moment, Entra):
                now = (now[0] + 1, now[1])
            elif isinstance(moment, tuple):
                now = (now[0], now[1] + 1)
            elif place in mine:
                ways = [_edited(way, moment) for way in ways]
            if place in mine:
                ways = self._distinct(user_id, [*ways, *self._looks(user_id, ways, now)])
        waits = user_id in self.oracle.held
        last = [way for way in self._looks(user_id, ways, now) if way.seen == now]
        return [way.oracle for way in last if way.held == waits]

    def _looks(self, user_id: str, ways: Iterable[_Way], now: tuple[int, int]) -> list[_Way]:
        """The app looks and sees what is, or something older, but nothing older than before."""
        places = self._turns(user_id, now)
        return [
            self._decided(user_id, way, (entra, rules), held)
            for way in ways
            for entra in places
            for rules in range(way.seen[1], now[1] + 1)
            for held in ((False, True) if self.limited else (False,))
            if entra >= way.seen[0]
        ]

    def _turns(self, user_id: str, now: tuple[int, int]) -> list[int]:
        """The numbers of Entra's states in which this user was another one than just before."""
        turns = [0]
        for entra in range(1, now[0] + 1):
            faces = [self._face(user_id, each, now[1]) for each in (entra - 1, entra)]
            if faces[0] != faces[1]:
                turns.append(entra)
        return [*dict.fromkeys([*turns, now[0]])]

    def _decided(self, user_id: str, way: _Way, seen: tuple[int, int], held: bool) -> _Way:
        view = copy.copy(self._view(*seen))
        view.contacts = {
            key: replace(each, emails=set(each.emails), phones=dict(each.phones))
            for key, each in way.oracle.contacts.items()
        }
        view.links = {user: replace(link) for user, link in way.oracle.links.items()}
        view.made, view.conflicts, view.skipped = way.oracle.made, set(), set()
        view.held = {user_id} if held else set()
        view.decide(user_id)
        view.held = self.oracle.held
        return _Way(view, seen, held)

    @staticmethod
    def _distinct(user_id: str, ways: Iterable[_Way]) -> list[_Way]:
        return list({way.state(user_id): way for way in ways}.values())


def _edited(way: _Way, edit: Edit) -> _Way:
    oracle = copy.copy(way.oracle)
    oracle.contacts = dict(way.oracle.contacts)
    if edit.members is None:
        oracle.contacts.pop(edit.key, None)
    elif edit.key in oracle.contacts:
        oracle.contacts[edit.key] = replace(oracle.contacts[edit.key], **edit.members)
    return _Way(oracle, way.seen, way.held)


def _is_so(
    way: Oracle, before: Oracle, user_id: str, rows: Mapping[int, Json], ids: Mapping[str, int]
) -> bool:
    """Whether BMS holds this user's contacts as this way tells, those that he has left as well."""
    mine = [oracle.links[user_id].key for oracle in (before, way) if user_id in oracle.links]
    touched = [key for key, each in way.contacts.items() if each != before.contacts.get(key)]
    known = set(ids.values())
    for key in {*mine, *touched} & way.contacts.keys():
        found = [ids[key]] if key in ids else [each for each in rows if each not in known]
        if not any(each in rows and held(rows[each]) == way.contacts[key] for each in found):
            return False
    return True
