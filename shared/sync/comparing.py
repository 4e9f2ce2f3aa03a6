"""Everybody in scope against what is remembered, while the group members stream by (R1, R2, R20).

Groups are read in the order of their rules, so the first rule that takes a user is the one that
wins. Who is as remembered costs nothing more; everybody else is told to the findings. Who is
remembered but was not seen is a leaver only once every group was read to its end: a page that is
missing stops the comparison before anybody is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.decision import NO_ADDRESS, NO_NAME, Nothing, Seek, first_step
from shared.core.digest import Alike, LinkDigests, id_bytes
from shared.core.fields import contact_values, fingerprint_of, wanted_contact
from shared.core.model import (
    Connection,
    EntraUser,
    GroupId,
    GroupState,
    HoldMark,
    Link,
    LinkState,
    MappingRule,
    RecordType,
    RuleId,
    UserId,
)
from shared.core.rules import Placement, in_order, refusal
from shared.core.worklist import ItemKind, kind_of
from shared.ports import Directory, Links
from shared.sync.reading_ahead import one_ahead

# A person's unsettled conflict is looked at again with an index of at most this age.
CONFLICT_AGE = timedelta(minutes=10)
_MOST_ANSWERS = 10_000  # kept; far more than there are kinds of links in a tenant


class Findings(Protocol):
    """What is told of the people who are not simply as remembered.

    `link` is what the comparison remembers of one: its texts are left out.
    """

    def needs_index(self, since: datetime) -> None:
        """Somebody is to be matched: BMS's addresses must have been read since then."""

    def differs(
        self, user_id: UserId, link: Link | None, user: EntraUser | None, rule: MappingRule | None
    ) -> None:
        """To be decided; `user` and `rule` where a rule takes him as a group's list shows him."""

    def leaves(self, link: Link, *, counts: bool, kind: str = "deactivate") -> None:
        """His record goes, so it seems; `counts` against the limit (R20). `kind`: or "move"."""

    def kept(self, link: Link) -> None:
        """Would leave, but a person refused that (R20)."""

    def waits(self, link: Link) -> None:
        """His group cannot be read, so nothing is known of him (R20)."""

    def refused(self, user: EntraUser, reason: str) -> None:
        """A member whom the first rule of his group does not take; another one still may."""

    def page_read(self, seen: int) -> None:
        """So many people were seen so far."""


@dataclass(slots=True)
class Comparison:
    """One comparison under way."""

    connection: Connection
    rules: list[MappingRule]  # the enabled ones
    read_links: Callable[[], LinkDigests]  # waits until they are read
    unreadable: frozenset[GroupId]
    unknown: frozenset[RuleId]  # the rules of these groups
    gone: frozenset[RuleId]  # whose groups are gone for good, it seems
    began: datetime
    findings: Findings
    settled: set[tuple[RuleId, Alike]] = field(default_factory=set)
    without_rule: dict[UserId, Placement] = field(default_factory=dict)
    seen: int = 0
    unchanged: int = 0
    kept: int = 0  # by a person's word

    def groups(self) -> Iterator[MappingRule]:
        """The rules whose groups are to be read, in the order in which they win (R2)."""
        for rule in in_order(self.rules):
            if rule.group_id not in self.unreadable:
                yield rule

    def read(self, rule: MappingRule, directory: Directory) -> None:
        """Read one group to its end."""
        for page in one_ahead(directory.members(rule.group_id, nested=rule.include_nested)):
            digests = self.read_links()
            for user in page:
                self._compare(rule, user, digests)
            self.findings.page_read(self.seen)

    def _compare(self, rule: MappingRule, user: EntraUser, digests: LinkDigests) -> None:
        mark = id_bytes(user.id)
        if digests.is_taken(mark):
            return
        because = refusal(rule, user)
        if because is not None:
            if user.id not in self.without_rule:
                reason = because[:1].upper() + because[1:]
                self.without_rule[user.id] = Placement(None, reason, True, self.unknown, ())
                self.findings.refused(user, reason)
            return
        self.without_rule.pop(user.id, None)
        self.seen += 1
        values = contact_values(user, self.connection.email_source, [])
        # Nearly everybody is like somebody before him who was as remembered.
        named = values[0] and values[2]
        alike = digests.alike(mark, fingerprint_of(values)) if named else None
        if alike is not None and (rule.id, alike) in self.settled:
            self.unchanged += 1
            digests.drop(mark)
        elif self._is_settled(rule, user, digests):
            self.unchanged += 1
            if alike is not None and len(self.settled) < _MOST_ANSWERS:
                self.settled.add((rule.id, alike))

    def _is_settled(self, rule: MappingRule, user: EntraUser, digests: LinkDigests) -> bool:
        """Whether he is as remembered; whoever is not is told to the findings."""
        wanted = wanted_contact(user, self.connection.email_source)
        link = digests.take(
            user.id,
            rules=self.rules,
            fingerprint=wanted.fingerprint,
            reasons=(NO_ADDRESS, NO_NAME, f"{NO_ADDRESS}; the record stays as it is"),
        )
        if rule.record_type is RecordType.EMPLOYEE or (
            link is not None and link.record_type is RecordType.EMPLOYEE
        ):
            self._compare_employee(rule, user, link)
            return False
        step = first_step(
            Placement(rule, "", True, self.unknown, ()),
            wanted,
            link,
            on_leave=self.connection.on_leave,
            match_scope=self.connection.match_scope,
        )
        unsettled = link is not None and (link.hold or link.in_conflict or link.refused)
        if isinstance(step, Nothing) and not unsettled:
            return True
        if isinstance(step, Seek):
            self._needs_index(link)
            if step.leaving is not None and link is not None:
                # His old record goes: counted with the leavers (R17).
                self._move(link)
                return False
        self.findings.differs(user.id, link, user, rule)
        return False

    def _compare_employee(self, rule: MappingRule, user: EntraUser, link: Link | None) -> None:
        """Employees are few, and what they should be rests on more than a list of members shows."""
        if rule.record_type is RecordType.CONTACT:
            self._needs_index(link)  # as a contact he is matched anew (R18)
        changes_type = link is not None and link.record_type is not rule.record_type
        if changes_type and link is not None and link.record_id is not None:
            by_a_person = link.hold is HoldMark.REFUSED
            if by_a_person or (link.state is LinkState.ACTIVE and not link.task):
                self._move(link)  # with the leavers (R18, R20)
                return
        self.findings.differs(user.id, link, user, rule)

    def _needs_index(self, link: Link | None) -> None:
        conflict = link is not None and link.in_conflict
        self.findings.needs_index(self.began - CONFLICT_AGE if conflict else self.began)

    def _move(self, link: Link) -> None:
        if link.hold is HoldMark.REFUSED:
            self.kept += 1
            self.findings.kept(link)
        else:
            self.findings.leaves(link, counts=True, kind="move")

    def finish(self) -> None:
        """Members that no rule takes, and people who are in no mapped group any more."""
        deactivates = self.connection.on_leave != "keep"
        digests = self.read_links()
        for user_id, placement in self.without_rule.items():
            self.seen += 1
            link = digests.take(
                user_id, rules=self.rules, fingerprint="", reasons=(placement.reason,)
            )
            if link is not None and link.record_id is not None:
                if _stays_to_be_taken_out(link):
                    self.findings.leaves(link, counts=deactivates)
                elif _is_to_leave_by_worklist(link):
                    self.findings.differs(user_id, link, None, None)
                else:
                    self._stays(link)
            elif (
                link is not None
                and link.state is LinkState.SKIPPED
                and link.reason == placement.reason
            ):
                self.unchanged += 1
            else:
                self.findings.differs(user_id, link, None, None)
        for link in digests.left(self.rules):
            if link.record_id is None or _is_to_leave_by_worklist(link):
                self.findings.differs(link.user_id, link, None, None)
            elif _stays_to_be_taken_out(link) and link.rule_id not in self.unknown:
                counts = deactivates and link.rule_id not in self.gone
                self.findings.leaves(link, counts=counts)
            else:
                # Left long ago, or kept by a person's word, or his group cannot be read.
                self._left_as_is(link)
                continue
            self.seen += 1

    def _stays(self, link: Link) -> None:
        if _is_kept(link):
            self.kept += 1
            self.findings.kept(link)
        else:
            self.unchanged += 1

    def _left_as_is(self, link: Link) -> None:
        if link.rule_id in self.unknown and link.state is LinkState.ACTIVE:
            self.findings.waits(link)
        elif _is_kept(link):
            self.findings.kept(link)


def compare_with(
    connection: Connection,
    rules: list[MappingRule],
    links: Links,
    began: datetime,
    findings: Findings,
) -> Comparison:
    """The comparison of these rules, as their groups are, with every link of the connection.

    The links are read while the first page of members comes.
    """
    unreadable = unreadable_in(rules)
    pool = ThreadPoolExecutor(1, thread_name_prefix="links")
    reading = pool.submit(copy_context().run, links.digests, connection.id)
    pool.shutdown(wait=False)
    return Comparison(
        connection=connection,
        rules=[rule for rule in rules if rule.enabled],
        read_links=reading.result,
        unreadable=unreadable,
        unknown=frozenset(
            rule.id for rule in rules if rule.group_id in unreadable and not rule.group_gone_twice
        ),
        gone=frozenset(rule.id for rule in rules if rule.group_gone_twice),
        began=began,
        findings=findings,
    )


def unreadable_in(rules: list[MappingRule]) -> frozenset[GroupId]:
    """The groups of enabled rules that cannot be read, by the state that the rules have now."""
    return frozenset(
        rule.group_id for rule in rules if rule.enabled and rule.group_state is not GroupState.OK
    )


def _is_kept(link: Link) -> bool:
    active = link.state is LinkState.ACTIVE or link.old_record_id is not None
    return active and link.hold is HoldMark.REFUSED


def _stays_to_be_taken_out(link: Link) -> bool:
    """Whether this leaver's record is still to be deactivated, unless a person refused it.

    Who waits in a hold is looked at too, so that nobody waits whom no hold lists (R20).
    """
    active = link.state is LinkState.ACTIVE or link.old_record_id is not None
    return active and not _is_to_leave_by_worklist(link) and link.hold is not HoldMark.REFUSED


def _is_to_leave_by_worklist(link: Link) -> bool:
    """He was counted when he was put there (R20, R26)."""
    is_employee = link.record_type is RecordType.EMPLOYEE
    return is_employee and kind_of(link.task) is ItemKind.DEACTIVATE
