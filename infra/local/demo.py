"""`make run`: the whole app on this machine, for a person who wants to see it work.

Starts the local world and the app on free ports, connects two demo tenants through the real OAuth
flow, runs their first sync, plays a short story in Entra and BMS, shows what became of it, and
serves until Ctrl-C. With `--once` it ends by itself. Exit status 1: BMS does not hold exactly what
the story demands.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from infra.local.admin import Admin
from infra.local.demo_cast import (
    UNTOUCHED,
    fill_bms,
    first_cards,
    make_contoso,
    make_fabrikam,
)
from infra.local.demo_check import Expected, Names, forbidden_calls
from infra.local.demo_columns import padded, prepare_stdout, say, table
from infra.local.demo_employees import hire_employees
from infra.local.demo_empty import prepare
from infra.local.demo_setup import BMS_SETTINGS, connect, make_accounts, map_groups
from infra.local.demo_story import Stage, Story, StoryFailed
from infra.local.host_process import HostProcess
from infra.local.world import World

_LOG_LINES = 25


def main() -> int:
    """Run the demonstration; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo")
    parser.add_argument("--once", action="store_true", help="end after the story")
    parser.add_argument("--empty", action="store_true", help="nothing is set up, and no story")
    given = parser.parse_args()
    once: bool = given.once
    prepare_stdout()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with World() as world:
            return _run(world, once=once, empty=given.empty)
    except KeyboardInterrupt:
        say("\nEnded.")
        return 130 if once else 0
    except Exception as error:
        _explain(error)
        return 1


def _run(world: World, *, once: bool, empty: bool) -> int:
    host: HostProcess | None = None
    began = time.monotonic()
    try:
        say("Entra ID → BMS: a demonstration on this machine\n")
        host = world.start_host()
        demo = Demo(world, host)
        demo.describe()
        if empty:
            prepare(world.entra, world.bms, host.base_url)
        else:
            demo.play()
            seconds = time.monotonic() - began
            say(f"\nEverything is as it must be, {seconds:.0f} s after the start.")
        if not once:
            demo.serve()
    # A stranger gets one sentence and the app's own log, whatever went wrong; no stack trace.
    except Exception as error:
        _explain(error)
        if host is not None:
            _show_log(host)
        return 1
    finally:
        # A second Ctrl-C must not interrupt the clearing up, which takes a second.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return 0


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _explain(error: Exception) -> None:
    kind = "" if isinstance(error, StoryFailed) else f"{type(error).__name__}: "
    sys.stdout.flush()
    print(f"\nWrong: {kind}{error}", file=sys.stderr)


def _show_log(host: HostProcess) -> None:
    lines = host.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    print("\nThe app's log ends with:", file=sys.stderr)
    for line in lines[-_LOG_LINES:]:
        print(f"  {line}", file=sys.stderr)


@dataclass(frozen=True, slots=True)
class _Calls:
    """Calls so far."""

    graph: int
    bms: int


class Demo:
    """The demonstration in a world that runs."""

    def __init__(self, world: World, host: HostProcess) -> None:
        self._world = world
        self._host = host
        self._admin = Admin(
            host.base_url,
            world.admin_token,
            proxy=world.proxy_url,
            ca_bundle=str(world.certificates.bundle),
        )
        self._ada: tuple[str, str] | None = None  # tenant and user id, for the parting words

    def describe(self) -> None:
        """Say what runs where."""
        world = self._world
        say("Started, on loopback alone:")
        for name, what in (
            (self._host.base_url, "the app, on Microsoft's own worker library"),
            (world.base_url("entra"), "stands in for Microsoft sign-in and Graph"),
            (world.base_url("bms"), "stands in for Kaseya BMS"),
            (world.base_url("itglue"), "stands in for IT Glue"),
            (world.base_url("vault"), "stands in for Key Vault and the managed identity"),
            (world.proxy_url, "the way out: leads the real host names here, refuses all others"),
        ):
            say(f"  {padded(name, 24)} {what}")
        say(f"  {padded('Azurite', 24)} real tables and queues")

    def play(self) -> None:
        """Connect, sync, tell the story, show the end; StoryFailed when it is not as it must be."""
        world = self._world
        account_ids = make_accounts(world.bms)
        names = Names(world.bms.accounts())
        expected = Expected(names)
        fill_bms(world.bms, expected, account_ids)
        self._admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)

        say("\nTwo tenants, connected")
        tenants = (make_contoso(world.entra), make_fabrikam(world.entra))
        connections = {
            tenant.domain: connect(self._admin, world.entra, tenant) for tenant in tenants
        }
        self._ada = (tenants[0].id, tenants[0].users["ada"])
        stage = Stage(
            world.entra,
            world.bms,
            self._admin,
            expected,
            *tenants,
            connections,
            lambda: self._host.alive,
            world.itglue,
        )

        say("\nMapping rules: members of … become contacts of …")
        map_groups(stage, account_ids, names)

        say("\nFirst sync: BMS holds people already, some of whom match")
        first_cards(expected)
        before = self._calls()
        self._sync_all(connections, tell=True)
        self._demand(expected)
        first = self._less(self._calls(), before)

        say("\nThe story: what happens in Entra, and the seconds until BMS shows it")
        story = Story(stage)
        before = self._calls()
        story.play()
        in_story = self._less(self._calls(), before)

        before = self._calls()
        self._sync_all(connections, tell=False)
        second = self._less(self._calls(), before)

        say("\nThe contacts in BMS now")
        self._show_contacts(stage)
        slowest = max(story.told, key=lambda told: told.seconds)
        usual = sorted(told.seconds for told in story.told)[len(story.told) // 2]
        refused = world.proxy.refused()
        say("\nCounted")
        for what, value in (
            (
                "from Entra to BMS",
                f"{usual:.1f} s usually, {slowest.seconds:.1f} s at most ({slowest.word})",
            ),
            ("first sync of both tenants", f"{first.graph} calls to Graph, {first.bms} to BMS"),
            ("the story", f"{in_story.graph} calls to Graph, {in_story.bms} to BMS"),
            ("second full sync of both", f"{second.graph} calls to Graph, {second.bms} to BMS"),
            ("DELETE or PUT sent to BMS", str(_never_sent(world.bms.counters().calls))),
            ("DELETE or PUT sent to IT Glue", str(_never_sent(world.itglue.counters()["calls"]))),
            ("foreign host names asked for", str(sum(refused.values()))),
        ):
            say(f"  {padded(what, 30)} {value}")
        self._demand_end(stage, second, refused)
        hire_employees(world.entra, world.bms, self._admin)

    def serve(self) -> None:
        """Say how to look around, and wait for Ctrl-C."""
        token, base = self._world.admin_token, self._host.base_url
        say(f"\nConsole: {base}/console  (token {token})")
        say(
            f"\nThe admin API, with the same token: {base}/api (GET /api/openapi.json describes it)"
        )
        if self._ada is not None:
            say("Why was somebody changed? Look at Activity, or ask for its last lines:")
            say(f'  curl -H "Authorization: Bearer {token}" "{base}/api/activity?limit=5"')
            tenant, user = self._ada
            change = {"tenant": tenant, "users": [{"id": user, "jobTitle": "Director"}]}
            say("Change somebody in Entra and look again:")
            control = f"{self._world.base_url('entra')}/_control"
            say(f"  curl -d '{json.dumps(change)}' {control}/update_users")
        say("\nCtrl-C ends it; nothing stays behind.")
        ended = threading.Event()
        while not ended.wait(1.0):
            if not self._host.alive:
                raise StoryFailed("the app ended by itself")

    # --- syncing and looking ---------------------------------------------------------------------

    def _sync_all(self, connections: dict[str, str], *, tell: bool) -> None:
        for domain, connection in connections.items():
            began = time.monotonic()
            run = self._admin.sync(connection, timeout=60)
            if run["state"] != "done" or run["failed"]:
                raise StoryFailed(
                    f"the sync of {domain} ended as {run['state']} with {run['failed']} failed"
                    + (f": {run['reason']}" if run["reason"] else "")
                )
            if tell:
                self._tell_sync(domain, connection, run["seen"], time.monotonic() - began)

    def _tell_sync(self, domain: str, connection: str, seen: int, seconds: float) -> None:
        lines = self._admin.items("/api/activity", connectionId=connection)
        counts = Counter(line["kind"] for line in lines)
        told = ", ".join(f"{counts[kind]} {word}" for kind, word in _KINDS.items() if counts[kind])
        say(f"  {padded(domain, 18)} {seen:>2} people: {padded(told, 52)} {seconds:5.1f} s")
        for line in sorted(lines, key=lambda line: str(line["displayName"])):
            if line["kind"] in ("skip", "conflict"):
                reason = f"{line['reason'][:1].lower()}{line['reason'][1:]}"
                say(f"{' ' * 21}{padded(line['displayName'], 14)} {reason}")

    def _calls(self) -> _Calls:
        calls: dict[str, int] = self._world.entra.counters()["calls"]
        graph = sum(count for route, count in calls.items() if route.startswith("graph "))
        return _Calls(graph, self._world.bms.counters().total)

    @staticmethod
    def _less(after: _Calls, before: _Calls) -> _Calls:
        return _Calls(after.graph - before.graph, after.bms - before.bms)

    def _show_contacts(self, stage: Stage) -> None:
        names = stage.expected.names
        why = self._reasons(stage)
        rows = [("account", "name", "e-mail", "active", "why")]
        contacts = [(names.card(each), each.id) for each in stage.bms.contacts()]
        for card, record in sorted(
            contacts, key=lambda pair: (pair[0].account, not pair[0].active, pair[1])
        ):
            active = "yes" if card.active else "no"
            rows.append((card.account, card.name, card.emails[0], active, why[record]))
        for line in table(rows):
            say(line)

    def _reasons(self, stage: Stage) -> dict[int, str]:
        """Why each contact is as it is: what the activity said last of it, or why nothing."""
        why = {each.id: "typed in by people, in no mapped group" for each in stage.bms.contacts()}
        for conflict in self._admin.items("/api/conflicts"):
            why |= dict.fromkeys(conflict["recordIds"], "shared address: waits for a person")
        groups = {
            rule["id"]: rule["groupName"]
            for domain in stage.connections.values()
            for rule in self._admin.items("/api/mapping-rules", connectionId=domain)
        }
        told: set[int] = set()
        for line in self._admin.items("/api/activity"):
            record = line["recordId"]
            if record in why and record not in told and line["kind"] != "itglue":
                told.add(record)
                why[record] = _why(line, groups.get(line["ruleId"], ""))
        left = stage.expected.ids["lukasz before"]
        why[left] = f"moved: he is contact {stage.expected.ids['lukasz']} now"
        return why

    # --- the end ---------------------------------------------------------------------------------

    def _demand(self, expected: Expected) -> None:
        problems = expected.problems(self._world.bms.contacts())
        if problems:
            raise StoryFailed("; ".join(problems))

    def _demand_end(self, stage: Stage, second: _Calls, refused: dict[str, int]) -> None:
        contacts = stage.bms.contacts()
        problems = stage.expected.problems(contacts)
        problems += stage.expected.untouched(UNTOUCHED, contacts)
        problems += forbidden_calls(stage.bms.counters().calls, stage.bms.writes())
        if second.bms:
            problems.append(f"the second full sync sent {second.bms} calls to BMS, not 0")
        if _never_sent(stage.itglue.counters()["calls"]):
            problems.append("IT Glue was sent a DELETE or PUT")
        problems += [f"the app asked for the foreign host {name}" for name in refused]
        conflicts = [each["userId"] for each in self._admin.items("/api/conflicts")]
        if conflicts != [stage.contoso.users["front"]]:
            problems.append(f"one conflict was to wait for a person, there are {len(conflicts)}")
        problems += [
            f"the app reports a failure: {each['reason']}"
            for each in self._admin.items("/api/failures")
        ]
        status: dict[str, Any] = self._admin.call("GET", "/api/status")
        problems += [
            f"{each['tenantDomain']} ended as {each['state']}: {each['reason']}"
            for each in status["connections"]
            if each["state"] != "connected"
        ]
        if problems:
            raise StoryFailed("; ".join(problems))


_KINDS = {
    "create": "created",
    "merge": "merged",
    "conflict": "waits for a person",
    "skip": "left out",
}


def _never_sent(calls: Mapping[str, int]) -> int:
    return sum(count for route, count in calls.items() if route.startswith(("DELETE ", "PUT ")))


def _why(line: dict[str, Any], group: str) -> str:
    if line["kind"] == "update":
        return f"{line['reason']}, member of {group}"
    word = {"create": "created, ", "merge": "merged, "}.get(line["kind"], "")
    return f"{word}{line['reason']}"


if __name__ == "__main__":
    sys.exit(main())
