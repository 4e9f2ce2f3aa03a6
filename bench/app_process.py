"""The app without a host, in a process of its own that does what it is told, a line at a time.

So what one message costs is seen exactly: no polling beside it, no other message, no timer. What is
measured is the app as `shared/wiring.py` builds it; only the session counts what passes through.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from infra.local.process import REPOSITORY

Json = dict[str, Any]


class AppProcess:
    """The other end: starts the process, tells it what to do, ends it."""

    def __init__(self, environment: Mapping[str, str], places: Mapping[str, str]) -> None:
        """`places` names what is behind an address: kind by `host:port`."""
        self._environment, self._places = dict(environment), dict(places)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.app_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=self._environment,
        )
        self.ready = self._ask({"places": self._places})
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def message(self, queue: str, text: str) -> Json:
        """Handle one queue message; answers wall, cpu and calls."""
        return self._ask({"do": "message", "queue": queue, "text": text})

    def order_sweeps(self) -> Json:
        """What the sweep timer does."""
        return self._ask({"do": "order sweeps"})

    def remember_links(self, connection: str, account: int) -> Json:
        """Link everybody whom the live rules take, as if a first sync had ended."""
        return self._ask({"do": "remember links", "connection": connection, "account": account})

    def only_read(self, connection: str, group: str) -> Json:
        """The floor of a full sync: read what it reads, and nothing else."""
        read: Json = self._ask({"do": "read", "connection": connection, "group": group})["value"]
        return read

    def begin_syncing(self, connection: str) -> Json:
        """As if a person had asked for the first sync: cursors from now on, sweeps allowed."""
        return self._ask({"do": "begin syncing", "connection": connection})

    def _ask(self, order: Json) -> Json:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The app's process ended: {order}")
        answer: Json = json.loads(line)
        return answer


# --- the process itself -------------------------------------------------------------------------


def main() -> None:
    """Build the app and obey."""
    began = time.perf_counter()
    from shared.wiring import app  # here, so that the time of the import is seen

    the_app = app()
    imported = time.perf_counter() - began
    from bench import floor
    from bench.counting import counted
    from bench.seeding import begin_syncing, remember_links
    from shared.core.messages import decode_sweep_order, decode_user_delta
    from shared.ports import SWEEPS

    places = json.loads(sys.stdin.readline())["places"]
    _say({"ready": True, "importSeconds": imported})

    def message(order: Json) -> None:
        queue, text = order["queue"], order["text"]
        with the_app.invocation(queue):
            if not the_app.readiness.may_begin(queue, text):
                raise RuntimeError("The tables are not ready.")
            if queue == SWEEPS:
                the_app.sweep.handle(decode_sweep_order(text))
            else:
                the_app.apply.handle(decode_user_delta(text), queue)

    doing: dict[str, Callable[[Json], object]] = {
        "message": message,
        "order sweeps": lambda _: the_app.sweep.order_due(),
        "remember links": lambda order: remember_links(
            the_app, order["connection"], order["account"]
        ),
        "read": lambda order: floor.reads(the_app, order["connection"], order["group"]),
        "begin syncing": lambda order: begin_syncing(the_app, order["connection"]),
    }
    for line in sys.stdin:
        order = json.loads(line)
        gc.collect()
        with counted(places) as calls:
            wall, cpu = time.perf_counter(), time.process_time()
            value = doing[order["do"]](order)
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        _say({**spent, **calls.as_json(), "value": value})


def _say(answer: Json) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
