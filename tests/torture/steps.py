"""What every part of the model has: the tenant, the steps taken so far, and how they are told."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.torture.tenant import GROUPS, Tenant

place = st.integers(0, 30)
some_group = st.sampled_from(GROUPS)


def step(**strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine that is written down before it happens."""

    def decorate(happens: Callable[..., None]) -> Any:
        @functools.wraps(happens)
        def told(self: Steps, **arguments: Any) -> None:
            self.trace.append((happens.__name__, arguments))
            happens(self, **arguments)

        return rule(**strategies)(told)  # type: ignore[no-untyped-call]

    return decorate


class Steps(RuleBasedStateMachine):
    """The machine without anything that happens; who runs it says with `tenant_of` where."""

    @staticmethod
    def tenant_of(chance: random.Random) -> Tenant:
        """A new tenant after its first sync."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.trace: list[tuple[str, dict[str, Any]]] = []

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.trace.append(("begin", {"seed": seed}))
        self.chance = random.Random(seed)
        self.tenant = type(self).tenant_of(self.chance)
        self.story = self.tenant.story
        self.entra, self.bms = self.tenant.world.entra, self.tenant.world.bms
        self.in_entra = self.story.tenant
        self.coupled = False
        self.changed = False
        self.message_lost = False
        self.hired = 0
        self.deleted: list[str] = []
        self.must_be_empty("after the first sync", self.tenant.differences(coupled=True))

    def must_be_empty(self, what: str, found: Any) -> None:
        """Fail with what was found, and with all that led to it, ready to be played again."""
        if found:
            lines = [f"{what}:", *(f"  {each}" for each in found), "after these steps:"]
            lines += [f"  {each!r}," for each in self.trace]
            lines += ["errors that the host saw:", *(f"  {one}" for one in self.tenant.pump.errors)]
            raise AssertionError("\n".join(lines))

    # --- choosing ------------------------------------------------------------------------------

    def alone(self) -> bool:
        """Whether nothing has changed since the last rest, so that users may be coupled now."""
        return not self.changed

    def free(self) -> bool:
        """Whether changes of single users may happen."""
        return not self.coupled

    def live(self) -> list[str]:
        return sorted(self.story.oracle.users)

    def pick(self, at: int) -> str | None:
        """One of the users whose story is not too long yet."""
        users = [user for user in self.live() if self.tenant.history.room_for(user)]
        return users[at % len(users)] if users else None

    def look(self, *keys: str) -> None:
        self.changed = True
        self.tenant.look(*keys)
