"""What can go wrong outside, named by what to do next.

Adapters translate every outside failure into one of these; nothing of an HTTP library or an SDK
leaks further up. The text of an error is a sentence for a person, without secrets and without
personal data.

    SyncError
     ├── TryLater        passing trouble: the queue brings the work back
     │    ├── Limited    a limit is used up: simply waited for
     │    └── Uncertain  a write whose answer never came: look before writing again
     ├── DecideAgain     what was read is no longer so: read afresh and decide anew
     ├── PersonMustAct   no retry helps; somebody has to do `next_step`
     │    └── Rejected   the other side refused this one request for what it says
     └── Misconfigured   a setting of the deployment is wrong: stop
    BadInput             what a caller of the admin API sent cannot be taken
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class SyncError(Exception):
    """Base of everything that the app itself raises about the outside."""

    @property
    def sentence(self) -> str:
        """The text for a person."""
        return str(self.args[0]) if self.args else type(self).__name__


class TryLater(SyncError):
    """Passing trouble. `after` is how long the other side asked to be left alone, if it said so.

    `counts` tells whether this try should count against the work: a limit or a lock that is
    simply being waited for does not, an outage does.
    """

    def __init__(
        self, sentence: str, after: timedelta | None = None, *, counts: bool = True
    ) -> None:
        super().__init__(sentence)
        self.after = after
        self.counts = counts


class Limited(TryLater):
    """A limit of the other side is used up: waited for, and not counted as a failure."""

    def __init__(self, sentence: str, after: timedelta | None = None) -> None:
        super().__init__(sentence, after, counts=False)


class Uncertain(TryLater):
    """A write was sent and no answer came: it may or may not have happened."""


class DecideAgain(SyncError):
    """The state that a decision rested on has changed meanwhile."""


class PersonMustAct(SyncError):
    """Only a person can mend this. `code` is stable, `next_step` says what to do."""

    def __init__(self, sentence: str, next_step: str, *, code: str) -> None:
        super().__init__(sentence)
        self.next_step = next_step
        self.code = code


class Rejected(PersonMustAct):
    """The other side refused this one request because of its content."""

    def __init__(self, sentence: str, next_step: str, *, code: str = "rejected") -> None:
        super().__init__(sentence, next_step, code=code)


class Misconfigured(SyncError):
    """A setting of the deployment is missing or wrong; the sentence names it."""


class BadInput(Exception):
    """A request that cannot be taken: an HTTP status, a sentence, the field if there is one."""

    def __init__(self, status: int, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.field = field


class BadInputs(BadInput):
    """Several things that cannot be taken, told at once. The first one gives status and field."""

    def __init__(self, problems: Sequence[BadInput]) -> None:
        first = problems[0]
        super().__init__(
            first.status, " ".join(each.sentence for each in problems), field=first.field
        )
        self.problems = tuple(problems)
