"""The floors: bare loops that do the same outside calls as the app, and nothing else.

`reads`: the Graph pages and the links of one connection, read and parsed into rows. `writes`: a
list of BMS calls, sent again. Both use the app's own session settings, its JSON parser and its
concurrency: pages and links are read at the same time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.process import REPOSITORY
from shared.adapters.graph_shapes import USER_FIELDS
from shared.adapters.http_session import PooledSession

if TYPE_CHECKING:
    from shared.wiring import App

BULK_THREADS = 12  # of the app's bulk lane (shared/wiring.py)
Json = dict[str, Any]


def run_writes(environment: Mapping[str, str], base: str, calls: Path) -> Json:
    """Send the calls in the file from a process of its own; answers wall and cpu in seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.floor", base, str(calls)],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The bare loop failed: {done.stderr[-300:]}")
    answer: Json = json.loads(done.stdout)
    return answer


def reads(the_app: App, connection_id: str, group: str) -> Json:
    """Everything that a full sync reads; wall and cpu in seconds, and how many there were."""
    from shared.adapters.graph_shapes import _USER_PAGE
    from shared.adapters.store_digests import _DECODER
    from shared.adapters.store_people import _DIGEST
    from shared.core.model import ConnectionId

    full_sync = the_app.sweep.full_sync
    connection = full_sync.connections.get(ConnectionId(connection_id))
    assert connection is not None
    directory: Any = full_sync.directories.open(connection)
    token = directory.calls.sign_in.token(connection)
    table: Any = full_sync.links
    table._table._open()
    session = PooledSession()
    headers = {"Authorization": f"Bearer {token}", "ConsistencyLevel": "eventual"}
    first = (
        f"{the_app.settings.graph_url}/v1.0/groups/{group}/transitiveMembers/microsoft.graph.user"
        f"?$count=true&$select={USER_FIELDS}&$top=999"
    )

    def links() -> int:
        found = table._table.contents("PartitionKey eq @p", {"p": connection_id}, _DIGEST)
        return sum(len(_DECODER.decode(content).value) for content in found)

    def users() -> int:
        count, url = 0, first
        while url:
            page = _USER_PAGE.decode(session.get(url, headers=headers, timeout=30).content)
            count += len(page.value)
            url = page.next_link or ""
        return count

    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as pool:  # both at once, as the app does
        reading = pool.submit(links)
        read = {"users": users(), "links": reading.result()}
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, **read}


def writes(base: str, calls: Sequence[Json]) -> Json:
    """The same BMS calls again: what belongs to one contact after one another, contacts at once."""
    session = PooledSession()
    token = _signed_in(session, base)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    headers["Accept"] = "application/json"

    def one_contact(steps: Sequence[Json]) -> None:
        made = ""
        for step in steps:
            target = step["target"].replace("{made}", made)
            body = json.dumps(step["body"], separators=(",", ":")).encode()
            answer = session.request(
                step["method"], f"{base}{target}", data=body, headers=headers, timeout=30
            )
            assert answer.ok, answer.text
            result = json.loads(answer.content)
            if step["method"] == "POST":
                made = str(result["result"]["id"])

    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(BULK_THREADS) as pool:
        for _ in pool.map(one_contact, [call["steps"] for call in calls]):
            pass
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "calls": sum(len(call["steps"]) for call in calls)}


def contacts_of(seen: Sequence[Any]) -> list[Json]:
    """The write calls of the app, by contact, for `writes` to send again."""
    creations = [one for one in seen if one.method == "POST" and one.status == 200]
    changes = [one for one in seen if one.method == "PATCH" and one.status == 200]
    contacts: list[list[Json]] = [
        [{"method": "POST", "target": one.target, "body": one.body}] for one in creations
    ]
    for place, one in enumerate(changes):
        target = re.sub(r"/\d+", "/{made}", one.target)
        step = {"method": "PATCH", "target": target, "body": one.body}
        contacts[place % len(contacts)].append(step)
    return [{"steps": steps} for steps in contacts]


def _signed_in(session: PooledSession, base: str) -> str:
    form = {
        "GrantType": "password",
        "UserName": "directory.sync",
        "Password": "correct horse battery staple",
        "Tenant": "Northwind MSP",
    }
    answer = session.post(f"{base}/v2/security/authenticate", data=form, timeout=30)
    assert answer.ok, answer.text
    body = {name.lower(): value for name, value in answer.json().items()}
    result = {name.lower(): value for name, value in body["result"].items()}
    return str(result["accesstoken"])


def main() -> None:
    """`BASE FILE`: send what is in the file."""
    base, calls = sys.argv[1:3]
    print(json.dumps(writes(base, json.loads(Path(calls).read_text(encoding="utf-8")))))


if __name__ == "__main__":
    main()
