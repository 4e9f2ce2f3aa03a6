"""Delta queries: rounds, tokens, and what an item says.

A round is planned when it begins: which items, in which order, cut into which pages. Everything
that the documents warn about (no order, repeats, split member lists, empty pages, items that
contradict each other) is a way of planning. The tokens in the links are opaque to the client.
"""

import base64
import json
import random
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from infra.local.entra.calls import JSON_TYPE, Call, Reply
from infra.local.entra.delta_items import Entry, gather, item
from infra.local.entra.entities import Kind
from infra.local.entra.graph_errors import GraphError, bad_request, unsupported
from infra.local.entra.listing import checked_select
from infra.local.entra.rendering import dumps
from infra.local.entra.schema import RELATIONSHIPS
from infra.local.entra.switches import DELTA_EXPIRY_ANSWERS

_KEPT_ROUNDS = 1_000
_MOST_FILTER_IDS = 50


@dataclass(slots=True)
class Tracking:
    """What a delta query watches; it is baked into the tokens."""

    kind: Kind
    select: str | None
    ids: tuple[str, ...] = ()
    properties: tuple[str, ...] | None = None
    relationships: frozenset[str] = frozenset()

    def settle(self) -> "Tracking":
        """Work out properties and relationships from the select text."""
        known = RELATIONSHIPS[self.kind]
        if self.select is None:
            self.relationships = frozenset({"members"}) if self.kind == "group" else frozenset()
        else:
            names = self.select.split(",")
            self.relationships = frozenset(names) & known
            self.properties = tuple(n for n in names if n not in known)
        return self


@dataclass(slots=True)
class Round:
    """One round under way."""

    tracking: Tracking
    tenant: str
    entries: list[Entry]
    pages: list[tuple[int, int]]
    until: int
    minimal: bool
    full: bool
    started_at: float


@dataclass(slots=True)
class DeltaBook:
    """Rounds under way, and from when on delta links count as expired."""

    rounds: OrderedDict[int, Round] = field(default_factory=OrderedDict)
    next_round: int = 1
    generation: int = 1
    dead_before: dict[tuple[str, str], float] = field(default_factory=dict)
    next_answer: int = 0

    def expire(self, tenant: str, kind: str, now: float) -> None:
        """Make every delta link given out so far for this collection useless."""
        self.dead_before[(tenant, kind)] = now

    def clear(self) -> None:
        """Forget all rounds; links of before are dead."""
        self.rounds.clear()
        self.dead_before.clear()
        self.generation += 1


def users_delta(call: Call) -> Reply:
    """GET /users/delta"""
    return _delta(call, "user")


def groups_delta(call: Call) -> Reply:
    """GET /groups/delta"""
    return _delta(call, "group")


def _delta(call: Call, kind: Kind) -> Reply:
    query = call.query
    for name in ("top", "expand", "orderby", "count", "search"):
        if name in query.names:
            raise unsupported(f"The query option '${name}' is not supported on delta.")
    if query.skiptoken:
        if "select" in query.names:
            raise bad_request("$select is not supported with $skiptoken.")
        return _next_page(call, kind, query.skiptoken)
    if query.deltatoken and query.deltatoken.lower() != "latest":
        return _changes(call, kind, query.deltatoken)
    tracking = _tracking(call, kind)
    until = call.directory.seq_after_lag(call.world.switches.lag_delta_seconds)
    if query.deltatoken:
        started = Round(tracking, call.directory.id, [], [(0, 0)], until, False, True, 0.0)
        return _page(call, started, 0, 0)
    return _start(call, tracking, None, until, False)


def _tracking(call: Call, kind: Kind) -> Tracking:
    checked_select(call, kind)
    select = ",".join(call.query.select) if call.query.select else None
    ids: tuple[str, ...] = ()
    if call.query.filter:
        ids = _filter_ids(call.query.filter)
    return Tracking(kind, select, ids).settle()


def _filter_ids(text: str) -> tuple[str, ...]:
    ids: list[str] = []
    for part in text.replace(" OR ", " or ").split(" or "):
        words = part.strip().strip("()").split()
        if len(words) != 3 or words[0] != "id" or words[1].lower() != "eq":
            raise unsupported("Only $filter=id eq '...' is supported on delta.")
        ids.append(words[2].strip("'").lower())
    if len(ids) > _MOST_FILTER_IDS:
        raise unsupported(f"At most {_MOST_FILTER_IDS} ids can be filtered on delta.")
    return tuple(ids)


def _changes(call: Call, kind: Kind, text: str) -> Reply:
    world = call.world
    token = _decode(text)
    if token is None or token["g"] != world.deltas.generation:
        raise _expired(call, "410_syncStateNotFound")
    if token["t"] != call.directory.id or token["k"] != kind:
        raise bad_request("The delta token does not belong to this resource.")
    age = world.clock.now() - token["a"]
    dead_before = world.deltas.dead_before.get((call.directory.id, kind), 0.0)
    if age > world.switches.delta_link_days * 86_400 or token["a"] <= dead_before:
        raise _expired(call, world.switches.delta_expiry_answer)
    tracking = Tracking(kind, token.get("q"), tuple(token.get("f", ()))).settle()
    # For some resources $select may be added to a delta link; it is tracked from then on.
    if call.query.select:
        tracking = Tracking(kind, ",".join(call.query.select), tracking.ids).settle()
    until = max(call.directory.seq_after_lag(world.switches.lag_delta_seconds), token["s"])
    since = max(0, token["s"] - world.switches.delta_replay_changes)
    minimal = "return=minimal" in call.headers.get("Prefer", "").lower().replace(" ", "")
    return _start(call, tracking, since, until, minimal)


def _start(call: Call, tracking: Tracking, since: int | None, until: int, minimal: bool) -> Reply:
    world = call.world
    switches = world.switches
    entries = gather(call, tracking, since, until)
    if entries:
        chance = random.Random(f"{switches.seed}:{until}:{len(entries)}")
        share = switches.delta_repeat_rate
        if share > 0:
            entries += [entry for entry in entries if chance.random() < share]
        if switches.delta_shuffle:
            chance.shuffle(entries)
    size = max(1, switches.delta_page_size)
    pages: list[tuple[int, int]] = []
    for start, end in _cut(entries, size):
        if switches.delta_empty_pages:
            pages.append((start, start))
        pages.append((start, end))
    round_ = Round(
        tracking,
        call.directory.id,
        entries,
        pages or [(0, 0)],
        until,
        minimal,
        since is None,
        world.clock.now(),
    )
    number = 0
    if len(round_.pages) > 1:
        number = world.deltas.next_round
        world.deltas.next_round += 1
        world.deltas.rounds[number] = round_
        if len(world.deltas.rounds) > _KEPT_ROUNDS:
            world.deltas.rounds.popitem(last=False)
    return _page(call, round_, number, 0)


def _cut(entries: list[Entry], size: int) -> list[tuple[int, int]]:
    """Cut into pages; slices of one group never share a page."""
    pages: list[tuple[int, int]] = []
    start = 0
    on_page: set[str] = set()
    for at, entry in enumerate(entries):
        again = entry.members is not None and entry.id in on_page
        if at - start >= size or again:
            pages.append((start, at))
            start = at
            on_page = set()
        if entry.members is not None:
            on_page.add(entry.id)
    if start < len(entries):
        pages.append((start, len(entries)))
    return pages


def _next_page(call: Call, kind: Kind, text: str) -> Reply:
    world = call.world
    token = _decode(text)
    round_ = None
    if token is not None and token["g"] == world.deltas.generation:
        round_ = world.deltas.rounds.get(token["r"])
    limit = world.switches.delta_next_link_minutes * 60
    if round_ is None or token is None or world.clock.now() - round_.started_at > limit:
        raise _expired(call, "410_syncStateNotFound")
    if round_.tenant != call.directory.id or round_.tracking.kind != kind:
        raise bad_request("The skip token does not belong to this resource.")
    return _page(call, round_, token["r"], token["p"])


def _page(call: Call, round_: Round, number: int, at: int) -> Reply:
    world = call.world
    start, end = round_.pages[at]
    view = call.directory.view(world.switches.lag_delta_seconds, call.see_hidden)
    pieces = [
        item(call.directory, view, round_.tracking, round_.entries[i], round_.minimal)
        for i in range(start, end)
    ]
    collection = f"{round_.tracking.kind}s"
    if at + 1 < len(round_.pages):
        name = "nextLink"
        token = _encode({"g": world.deltas.generation, "r": number, "p": at + 1})
        link = f"{call.base}/{collection}/delta?$skiptoken={token}"
    else:
        name = "deltaLink"
        values: dict[str, Any] = {
            "g": world.deltas.generation,
            "t": round_.tenant,
            "k": round_.tracking.kind,
            "s": round_.until,
            "a": world.clock.now(),
        }
        if round_.tracking.select is not None:
            values["q"] = round_.tracking.select
        if round_.tracking.ids:
            values["f"] = round_.tracking.ids
        link = f"{call.base}/{collection}/delta?$deltatoken={_encode(values)}"
    select = round_.tracking.select
    context = f"{call.base}/$metadata#{collection}" + (f"({select})" if select else "")
    body = b"".join(
        (
            b'{"@odata.context":',
            dumps(context),
            b',"@odata.%s":' % name.encode(),
            dumps(link),
            b',"value":[',
            b",".join(pieces),
            b"]}",
        )
    )
    return Reply(200, body, content_type=JSON_TYPE)


def _expired(call: Call, answer: str) -> GraphError:
    deltas = call.world.deltas
    if answer == "cycle":
        answer = DELTA_EXPIRY_ANSWERS[deltas.next_answer % len(DELTA_EXPIRY_ANSWERS)]
        deltas.next_answer += 1
    if answer == "410_location":
        link = f"{call.base}{call.path}?$deltatoken="
        return GraphError(410, "resyncRequired", "Resync required.", {"Location": link})
    if answer == "410_resyncRequired":
        return GraphError(
            410, "resyncRequired", "Resync required. Any old items must be discarded."
        )
    if answer == "400_unsupportedQuery":
        return unsupported("DeltaLink older than 30 days is not supported.")
    message = (
        "The sync state generation is not found. The delta token is expired and data must be "
        "synchronized again."
    )
    return GraphError(400 if answer.startswith("400") else 410, "syncStateNotFound", message)


def _encode(values: dict[str, Any]) -> str:
    plain = json.dumps(values, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def _decode(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return None
    return value if isinstance(value, dict) and "g" in value else None
