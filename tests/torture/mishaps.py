"""What goes wrong on the way: notifications, messages, workers, services, clocks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from infra.local.entra.switches import DELTA_EXPIRY_ANSWERS
from shared.ports import FRESH
from tests.torture.steps import Steps, step

BMS_FAULTS = ("error", "error_after", "reset", "reset_after", "truncated", "unauthorized")
ENTRA_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 401},
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "status", "status": 429, "retry_after": 1, "in_batch": True, "route": "/users/{id}*"},
)


class Mishaps(Steps):
    """Everything that the end state must not depend on."""

    # --- what goes wrong on the way ------------------------------------------------------------

    @step(
        what=st.sampled_from(("deliver", "twice", "lose", "shuffle")),
    )
    def notifications(self, what: str) -> None:
        if what == "lose":
            self.entra.lose_notifications()
            return
        self.entra.switch(
            notify_duplicate_rate=1.0 if what == "twice" else 0.0, notify_shuffle=what == "shuffle"
        )
        self.entra.deliver_now()

    @step(messages=st.integers(1, 4), which=st.integers(0, 1))
    def work(self, messages: int, which: int) -> None:
        for _ in range(messages):
            self.tenant.revive()
            taken = self.tenant.pump.take()
            if taken is None:
                break
            self.tenant.pump.run(taken, self.tenant.instances[which])

    @step(seconds=st.sampled_from((1, 5, 31, 61, 700)))
    def time_passes(self, seconds: int) -> None:
        self.tenant.pass_time(seconds)

    @step()
    def sweep_timer(self) -> None:
        self.tenant.revive()
        self.tenant.instances[0].app.sweep.order_due()

    @step(times=st.integers(1, 2))
    def deliver_again(self, times: int) -> None:
        taken = self.tenant.pump.take()
        if taken is not None:
            for _ in range(times):
                self.tenant.pump.again(taken)
            self.tenant.revive()
            self.tenant.pump.run(taken, self.tenant.instances[0])

    @step(count=st.integers(2, 4))
    def out_of_order(self, count: int) -> None:
        some = [one for one in (self.tenant.pump.take() for _ in range(count)) if one is not None]
        for taken in reversed(some):
            self.tenant.revive()
            self.tenant.pump.run(taken, self.chance.choice(self.tenant.instances))

    @step()
    def lose_a_message(self) -> None:
        taken = self.tenant.pump.take()
        if taken is None:
            return
        if taken.queue == FRESH:
            self.message_lost = True
            self.tenant.pump.lose(taken)
        else:
            self.tenant.pump.put_back(taken)

    @step()
    def two_at_once(self) -> None:
        self.tenant.revive()
        taken = self.tenant.pump.take()
        if taken is not None:
            self.tenant.pump.together(taken, self.tenant.instances)

    @step(write=st.integers(1, 30), after=st.booleans(), which=st.integers(0, 1))
    def die_at_a_write(self, write: int, after: bool, which: int) -> None:
        self.tenant.revive()
        victim = self.tenant.instances[which]
        victim.fate.dies_at(write, after=after)
        for _ in range(4):
            taken = self.tenant.pump.take()
            if taken is None or victim.dead:
                if taken is not None:
                    self.tenant.pump.put_back(taken)
                break
            self.tenant.pump.run(taken, victim)
        victim.fate.spare()
        if victim.dead:
            self.trace.append(("died", {"at": victim.fate.last_call}))

    @step(
        kind=st.sampled_from(BMS_FAULTS),
        endpoint=st.sampled_from(
            ("POST /v2/crm/contacts", "PATCH /v2/crm/contacts/*", "*contacts*", "*")
        ),
        times=st.integers(1, 3),
    )
    def bms_fails(self, kind: Any, endpoint: str, times: int) -> None:
        self.bms.add_fault(kind, endpoint, count=times)

    @step()
    def bms_says_wait(self) -> None:
        self.bms.add_fault("rate_limited", "*contacts*", count=1, retry_after=1)

    @step(fault=st.sampled_from(ENTRA_FAULTS), times=st.integers(1, 3))
    def entra_fails(self, fault: dict[str, Any], times: int) -> None:
        self.entra.add_fault(**fault, count=times)

    @step(answer=st.sampled_from(DELTA_EXPIRY_ANSWERS))
    def delta_link_dies(self, answer: str) -> None:
        self.entra.expire_delta_links(self.in_entra, answer)

    @step(replayed=st.integers(0, 5), contradictions=st.booleans(), size=st.sampled_from((2, 200)))
    def delta_is_odd(self, replayed: int, contradictions: bool, size: int) -> None:
        self.entra.switch(
            delta_replay_changes=replayed, delta_contradictions=contradictions, delta_page_size=size
        )

    @step(seconds=st.sampled_from((0.0, 2.0, 20.0)))
    def entra_lags(self, seconds: float) -> None:
        kinds = ("delta", "index", "lists", "reads", "checks")
        self.entra.switch(**{f"lag_{kind}_seconds": seconds for kind in kinds})

    @step()
    def tokens_end(self) -> None:
        self.entra.expire_access_tokens()
        self.bms.invalidate_tokens(refresh_too=True)
