"""Graph's JSON batches: twenty requests in one, each with a status of its own (graph.md 6.4).

The outer 200 says nothing about the parts. They come back in any order and are throttled singly:
those are sent again in a new batch after the longest wait that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.adapters.graph_calls import GraphCalls, error_of, object_of
from shared.adapters.http import retry_after_seconds
from shared.errors import PersonMustAct, SyncError, TryLater

PER_BATCH: Final = 20
_PARALLEL: Final = 4
_ROUNDS: Final = 4
_LONGEST_WAIT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; the address is relative to the version."""

    method: str
    url: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """One reply of a batch."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def passing(self) -> bool:
        """Whether asking again may help. 424: a throttled neighbour took this one along."""
        return self.status in (401, 408, 424, 429) or self.status >= 500


Outcome = PartAnswer | SyncError


def run(
    calls: GraphCalls, parts: Sequence[Part], *, sleep: Callable[[float], None] = time.sleep
) -> list[Outcome]:
    """The outcome of each part, in the order given; trouble with the whole is raised."""
    if not parts:
        return []
    outcomes: list[Outcome] = [TryLater("Microsoft Graph left this part of a batch out.")] * len(
        parts
    )
    pending = list(range(len(parts)))
    for turn in range(1, _ROUNDS + 1):
        token = calls.sign_in.token(calls.connection)
        chunks = [pending[at : at + PER_BATCH] for at in range(0, len(pending), PER_BATCH)]
        for answered in _send_all(calls, parts, chunks):
            for index, outcome in answered.items():
                outcomes[index] = outcome
        waits: list[float] = []
        refused = False
        again: list[int] = []
        for index in pending:
            outcome = outcomes[index]
            if isinstance(outcome, PartAnswer) and outcome.passing:
                again.append(index)
                refused = refused or outcome.status == 401
                waits.append(retry_after_seconds(outcome.headers) or 0.0)
        if not again:
            break
        longest = max(waits)
        if longest:
            calls.brake.hold(longest)
        if turn == _ROUNDS or longest > _LONGEST_WAIT:
            for index in again:
                outcomes[index] = _gave_up(outcomes[index], longest)
            break
        if refused:  # the token ended in the middle of the run
            calls.newer_than(token)
        sleep(longest or 0.2 * turn)
        pending = again
    _raise_if_whole(outcomes)
    return outcomes


def _send_all(
    calls: GraphCalls, parts: Sequence[Part], chunks: Sequence[Sequence[int]]
) -> list[dict[int, Outcome]]:
    if len(chunks) == 1:
        return [_send(calls, parts, chunks[0])]
    # A pool of its own per run: bulk work must not stand in front of a fresh change.
    with ThreadPoolExecutor(min(_PARALLEL, len(chunks)), "graph-batch") as pool:
        return list(pool.map(lambda chunk: _send(calls, parts, chunk), chunks))


def _send(calls: GraphCalls, parts: Sequence[Part], chunk: Sequence[int]) -> dict[int, Outcome]:
    """One batch. What goes wrong with all of it is the outcome of each of its parts."""
    requests = [_request(str(index), parts[index]) for index in chunk]
    try:
        answer = calls.request(
            "POST",
            "/$batch",
            json_body={"requests": requests},
            idempotent=True,  # we only ever read by batch
        )
        if answer.status == 424:  # one of Microsoft's pages says so of a throttled batch
            return {index: PartAnswer(424, answer.headers, None) for index in chunk}
        if not answer.ok:
            raise error_of(answer)
        responses = object_of(answer).get("responses")
    except PersonMustAct:
        raise
    except SyncError as error:
        return dict.fromkeys(chunk, error)
    found: dict[int, Outcome] = {}
    wanted = {str(index): index for index in chunk}
    for response in responses if isinstance(responses, list) else []:
        if not isinstance(response, dict):
            continue
        index = wanted.get(str(response.get("id")))
        if index is not None:
            found[index] = _answer(response)
    return found


def _request(part_id: str, part: Part) -> dict[str, Any]:
    request: dict[str, Any] = {"id": part_id, "method": part.method, "url": part.url}
    if part.body is not None:
        request["headers"] = {"Content-Type": "application/json"}
        request["body"] = part.body
    return request


def _answer(response: Mapping[str, Any]) -> PartAnswer:
    status, headers = response.get("status"), response.get("headers")
    try:
        number = int(status)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 500
    pairs = headers.items() if isinstance(headers, dict) else ()
    named = {str(name): str(value) for name, value in pairs}
    return PartAnswer(number, named, response.get("body"))


def _gave_up(outcome: Outcome, longest: float) -> SyncError:
    status = outcome.status if isinstance(outcome, PartAnswer) else 0
    return TryLater(
        f"Microsoft Graph answered with HTTP {status} inside of a batch.",
        timedelta(seconds=longest) if longest else None,
        counts=status not in (424, 429),
    )


def _raise_if_whole(outcomes: Sequence[Outcome]) -> None:
    first = outcomes[0] if outcomes else None
    if isinstance(first, SyncError) and all(isinstance(each, SyncError) for each in outcomes):
        raise first
