"""What a preview says is what happens when its rules are saved, and it writes nothing (R5, R20)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from shared.core.messages import SweepOrder, encode_sweep_order
from shared.core.model import AccountId, Connection, EntraUser, MappingRule, RecordType, UserId
from shared.core.preview import PreviewedPerson
from shared.core.worklist import done_kind
from shared.errors import BadInput, TryLater
from shared.ports import SWEEPS, Preview, PreviewedRule
from shared.sync.mapping_rules import RuleWish
from shared.sync.previewing import basis_of
from tests.builders import CONNECTION
from tests.sync.interference import calls_of
from tests.sync.world import Died, World

pytestmark = pytest.mark.world

# The preview's own, the index that it may read anew, and what counts BMS's calls.
OWN = {"previews", "addresses", "budget"}


def wish(rule: MappingRule, **fields: Any) -> RuleWish:
    """The rule as a person sends it; `id=None` makes a new one of it."""
    given: dict[str, Any] = {
        "group_id": rule.group_id,
        "order": rule.order,
        "record_type": rule.record_type,
        "account_id": rule.account_id,
        "location_id": rule.location_id,
        "include_nested": rule.include_nested,
        "include_guests": rule.include_guests,
        "blocked_users": rule.blocked_users,
        "enabled": rule.enabled,
        "id": rule.id,
    }
    return RuleWish(**{**given, **fields})


def ask(world: World, *wishes: RuleWish) -> Preview:
    found = world.worker.previewing.ask(CONNECTION, wishes)
    assert found.preview.state == "ready", found.preview.reason
    return found.preview


def people(world: World, preview: Preview, kind: str | None = None) -> dict[UserId, Any]:
    every: list[PreviewedPerson] = []
    cursor = None
    while True:
        page, cursor = world.worker.previewing.people(
            preview.id, kind=kind, text=None, limit=7, cursor=cursor
        )
        every += page
        if cursor is None:
            break
    assert len({one.user_id for one in every}) == len(every), "nobody twice"
    return {one.user_id: one.outcome for one in every}


def tables(world: World) -> dict[str, list[dict[str, Any]]]:
    """Everything that the app remembers, but for what a preview may write."""
    with TableServiceClient.from_connection_string(world.storage.connection_string) as service:
        held = {
            table.name: sorted(
                (dict(one) for one in service.get_table_client(table.name).list_entities()),
                key=lambda one: (one["PartitionKey"], one["RowKey"]),
            )
            for table in service.list_tables()
            if table.name not in OWN
        }
        return {name: rows for name, rows in held.items() if rows}


def happened(world: World, since: int) -> dict[UserId, str]:
    """What was really done for each person, in the words of a preview."""
    kinds: dict[UserId, str] = {}
    for activity in world.activity()[since:]:
        if activity.user_id is None or activity.kind == "note":
            continue
        kind = activity.kind
        item = world.worker.worklist.get(CONNECTION, activity.user_id)
        link = world.worker.links.get(CONNECTION, activity.user_id)
        if kind == "worklist" and item is not None and link is not None:
            kind = done_kind(item, link)
        if kinds.get(activity.user_id) != "move":  # which another record's change may go with
            kinds[activity.user_id] = kind
    return kinds


def save(world: World, preview: Preview | None, *wishes: RuleWish) -> None:
    """Save the set, with the preview's numbers confirmed, and let everything follow."""
    if preview is None:
        world.worker.mapping.replace(CONNECTION, wishes)
    else:
        world.worker.previewing.save(CONNECTION, wishes, preview.id)
    world.deliver()


def an_agency(world: World) -> tuple[dict[str, EntraUser], list[MappingRule], Sequence[RuleWish]]:
    """Varied people under one set of rules, and another set that touches nearly all of them."""
    fabrikam = AccountId(world.fabrikam.id)
    staff = world.rule
    sales = world.a_rule("sales", order=2, account_id=fabrikam)
    interns = world.a_rule("interns", order=3)
    nested = world.a_rule("nested", order=4)
    extern = world.a_rule("extern", order=5, account_id=fabrikam)
    tech = world.a_rule("tech", order=6)
    world.set_rules(staff, sales, interns, nested, extern, tech)
    inner = world.a_rule("inner")
    world.directory.inside[nested.group_id].add(inner.group_id)
    who = {
        **{f"s{one}": world.hire(f"s{one}") for one in range(4)},
        **{f"m{one}": world.hire(f"m{one}", "sales") for one in range(3)},
        **{f"i{one}": world.hire(f"i{one}", "interns") for one in range(4)},
        "deep": world.hire("deep", "inner"),
        "direct": world.hire("direct", "nested"),
        "tech": world.hire("tech", "tech"),
        "tess": world.hire("tess", "tech", job_title="Fitter"),
        "both": world.hire("both", "staff", "interns"),
        "quiet": world.hire("quiet", "staff", mail="", upn="", display_name="Quiet One"),
    }
    world.full_sync()
    world.clock.pass_(timedelta(minutes=20))
    # What is new with the other rules: a guest, somebody blocked, twins, and those BMS knows.
    world.bms.add_contact(world.fabrikam.id, "Known", "Well", emails=["known@contoso.example"])
    for _ in range(2):
        world.bms.add_contact(world.contoso.id, "Two", "Ways", emails=["twice@contoso.example"])
    world.bms.add_contact(world.contoso.id, "Move", "Here", emails=["m0@contoso.example"])
    who |= {
        "guest": world.hire("guest", "extern", guest=True),
        "blocked": world.hire("blocked", "extern", enabled=False),
        "known": world.hire("known", "extern"),
        "twice": world.hire("twice", "extern"),
        "fresh": world.hire("fresh", "extern"),
        "twin1": world.hire("twin1", "extern", mail="twins@contoso.example"),
        "twin2": world.hire("twin2", "extern", mail="twins@contoso.example"),
        "mute": world.hire("mute", "extern", mail="", upn=""),
    }
    world.bms.add_employee(
        first_name="Tess",
        last_name="Lind",
        email="tess@contoso.example",
        user_name="tess@contoso.example",
    )
    world.change(who["s0"], job_title="Head of staff")
    wishes = [
        wish(staff),
        wish(sales, account_id=world.contoso.id),  # everybody of it moves
        wish(interns, enabled=False),  # they leave, but for one
        wish(nested, include_nested=False),  # the deep one leaves
        wish(extern, include_guests=True, id=None),
        wish(tech, record_type=RecordType.EMPLOYEE, account_id=None),
    ]
    return who, [staff, sales, interns, nested, extern, tech], wishes


def test_what_the_preview_says_is_what_happens_r5_r20(world: World) -> None:
    who, _, wishes = an_agency(world)
    names = {user.id: name for name, user in who.items()}

    preview = ask(world, *wishes)
    said = {
        names[user]: one.kind
        for user, one in people(world, preview).items()
        if one.kind != "unchanged"
    }
    before = len(world.activity())
    save(world, preview, *wishes)
    done = {names[user]: kind for user, kind in happened(world, before).items()}

    assert said == done
    counts = Counter(said.values())
    assert {kind: preview.counts[kind] for kind in counts} == counts
    assert preview.counts["unchanged"] == len(who) - len(said)
    assert preview.seen == len(who)
    assert said == {
        "s0": "update",
        "m0": "move",
        "m1": "move",
        "m2": "move",
        **{f"i{one}": "deactivate" for one in range(4)},
        "deep": "deactivate",
        "tech": "move",
        "tess": "move",
        "guest": "create",
        "blocked": "skip",
        "known": "merge",
        "twice": "conflict",
        "fresh": "create",
        "twin1": "create",
        "twin2": "conflict",
        "mute": "skip",
    } | {name: kind for name, kind in said.items() if name in ("twin1", "twin2")}
    assert sorted(said[name] for name in ("twin1", "twin2")) == ["conflict", "create"]
    assert preview.would_hold, "too many without a person's word"
    assert world.worker.holds.list() == [], "and nobody of these waits in a hold"
    assert not any(world.record(who[f"i{one}"]).is_active for one in range(4))
    assert preview.sentence.startswith("3 created")
    assert "3 move from Fabrikam to Contoso" in preview.sentence


def test_a_preview_writes_nothing_anywhere_but_itself_and_the_index_r5(world: World) -> None:
    _, _, wishes = an_agency(world)
    before, sent, writes = tables(world), len(world.inbox.waiting), world.bms_writes()

    preview = ask(world, *wishes)

    assert preview.counts["create"], "there was something to do"
    assert tables(world) == before
    assert world.bms_writes() == writes
    assert len(world.inbox.waiting) == sent == 0


def test_before_the_first_sync_it_is_what_the_first_sync_would_do(world: World) -> None:
    world.worker.connections.update(CONNECTION, lambda now: replace(now, first_sync_at=None))
    people_ = [world.hire(f"u{number}") for number in range(3)]
    world.bms.add_contact(world.contoso.id, "Ada", "Lind", emails=["u0@contoso.example"])

    preview = ask(world, wish(world.rule))

    assert (preview.counts["merge"], preview.counts["create"], preview.seen) == (1, 2, 3)
    assert preview.sentence == "2 created, 1 merged"
    assert any("first sync" in note for note in preview.notes)
    assert len(world.bms.contacts()) == 1
    assert all(world.link(user) is None for user in people_)


def test_nobody_counts_as_leaving_while_his_group_cannot_be_read_r20(world: World) -> None:
    people_ = [world.hire(f"u{number}") for number in range(3)]
    world.full_sync()
    world.directory.held_groups.pop(world.rule.group_id)
    world.directory.inside.pop(world.rule.group_id)

    preview = ask(world, wish(world.rule, order=5))

    assert preview.counts["unchanged"] == len(people_)
    assert preview.counts["deactivate"] == 0
    assert any("left as they are" in note for note in preview.notes)


def test_who_is_missing_from_a_list_alone_does_not_leave_r22(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hire("ada")
    world.hire("ben")
    world.full_sync()
    real = world.directory.members

    def lagging(group: Any, *, nested: bool) -> Any:
        for page in real(group, nested=nested):
            yield page[:1]

    monkeypatch.setattr(world.directory, "members", lagging)

    preview = ask(world, wish(world.rule))

    assert preview.sentence == "Nothing changes"
    assert preview.counts["unchanged"] == 2


def leavers(world: World, count: int = 8) -> tuple[list[EntraUser], list[RuleWish]]:
    """People of a second rule, and the set in which that rule is switched off."""
    interns = world.a_rule("interns", order=2)
    world.set_rules(world.rule, interns)
    gone = [world.hire(f"i{number}", "interns") for number in range(count)]
    for number in range(12):
        world.hire(f"s{number:02d}")
    world.full_sync()
    return gone, [wish(world.rule), wish(interns, enabled=False)]


def test_without_a_word_too_many_wait_in_a_hold_as_the_preview_says_r20(world: World) -> None:
    gone, wishes = leavers(world)

    preview = ask(world, *wishes)
    save(world, None, *wishes)

    assert preview.would_hold
    assert preview.sentence == "8 deactivated"
    assert all(world.record(user).is_active for user in gone)
    (hold,) = world.worker.holds.list()
    assert len(world.worker.holds.people(hold)) == 8


def test_confirmed_are_just_those_of_the_preview_and_others_still_count_r20(world: World) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    others = [user for user in world.directory.users.values() if user.given_name.startswith("S")]
    for user in others[:7]:
        world.leave(user)  # after the preview

    save(world, preview, *wishes)

    assert not any(world.record(user).is_active for user in gone)
    assert all(world.record(user).is_active for user in others)
    (hold,) = world.worker.holds.list()
    assert {one.user_id for one in world.worker.holds.people(hold)} == {
        user.id for user in others[:7]
    }
    window = world.worker.windows.get(CONNECTION)
    assert window is None or not window.taken, "what a person approved does not count"


def test_a_few_others_leave_as_ever_beside_the_confirmed_ones_r20(world: World) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    other = next(user for user in world.directory.users.values() if user.given_name == "S00")
    world.leave(other)

    save(world, preview, *wishes)

    assert not any(world.record(user).is_active for user in (*gone, other))
    assert world.worker.holds.list() == []


def test_confirming_takes_people_out_of_the_hold_that_they_wait_in_r20(world: World) -> None:
    gone, wishes = leavers(world)
    save(world, None, *wishes)
    world.clock.pass_(timedelta(minutes=1))

    preview = ask(world, *wishes)
    save(world, preview, *wishes)

    assert preview.would_hold
    assert not any(world.record(user).is_active for user in gone)
    (hold,) = world.worker.holds.list()
    assert hold.state == "decided"
    assert world.troubles() == []


def test_whom_a_person_refused_to_deactivate_stays_kept_r20(world: World) -> None:
    gone, wishes = leavers(world)
    save(world, None, *wishes)
    (hold,) = world.worker.holds.list()
    world.worker.holding.refuse(hold.id, None)

    preview = ask(world, *wishes)
    save(world, preview, *wishes)

    assert preview.counts["keep"] == 8
    assert all(world.record(user).is_active for user in gone)


def test_a_later_edit_ends_what_was_approved_r20(world: World) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    world.worker.mapping.replace(CONNECTION, [replace(one, order=one.order + 3) for one in wishes])

    world.deliver()

    assert all(world.record(user).is_active for user in gone)
    assert len(world.worker.holds.list()) == 1


def test_a_repeated_delivery_of_the_confirmed_leavers_changes_nothing_r22(world: World) -> None:
    gone, wishes = leavers(world)
    preview = ask(world, *wishes)
    world.worker.previewing.save(CONNECTION, wishes, preview.id)
    sent: list[tuple[str, str]] = []
    for _ in range(2):
        world.deliver(within=timedelta(0))
        sent += [(one.queue, one.text) for one in world.inbox.waiting]
    world.deliver()
    another = world.a_worker()
    for queue, text in sent:
        world.inbox.send(queue, text)
    world.deliver(another)

    assert not any(world.record(user).is_active for user in gone)
    assert world.worker.holds.list() == []


def connection(world: World) -> Connection:
    found = world.worker.connections.get(CONNECTION)
    assert found is not None
    return found


def refusal(world: World, preview: Preview, *wishes: RuleWish) -> BadInput:
    with pytest.raises(BadInput) as caught:
        world.worker.previewing.save(CONNECTION, wishes, preview.id)
    return caught.value


def test_a_preview_that_no_longer_holds_is_not_confirmed_r20(world: World) -> None:
    _, wishes = leavers(world, 2)
    preview = ask(world, *wishes)

    other = refusal(world, preview, wishes[0], replace(wishes[1], order=7))
    assert (other.status, other.field) == (422, "items[1]")
    missing = refusal(world, preview, wishes[0])
    assert (missing.status, missing.field) == (422, "items")
    assert world.worker.rules.edited(CONNECTION) != [], "nothing was saved"

    world.clock.pass_(timedelta(minutes=61))
    assert "older than an hour" in refusal(world, preview, *wishes).sentence

    preview = ask(world, *wishes)
    world.worker.mapping.change(world.rule.id, replace(wishes[0], id=None, order=9))
    stale = refusal(world, preview, *wishes)
    assert (stale.status, stale.field) == (409, "confirm.previewId")
    assert "changed since" in stale.sentence
    assert world.worker.previewing.get(preview.id).stale


def test_the_order_may_come_twice_and_its_worker_may_die_r22(world: World) -> None:
    gone, wishes = leavers(world)
    dying = world.a_worker()
    died: list[str] = []

    def tap(call: str, when: str) -> None:
        if call == "previews.put_people" and when == "after" and not died:
            died.append(call)
            raise Died

    dying.tap = tap
    now = world.clock()
    first = Preview("p1", CONNECTION, now, now + timedelta(days=1), basis_of(connection(world)))
    checked = world.worker.mapping.checked_set(connection(world), wishes)
    rules = [PreviewedRule(rule, index, False) for index, rule in enumerate(checked.rules)]
    world.worker.previews.add(first, rules)
    text = encode_sweep_order(SweepOrder(CONNECTION, "preview", preview="p1"))
    with pytest.raises(Died):
        dying.handle(SWEEPS, text)
    for _ in range(2):  # the lease ended, twice
        world.inbox.send(SWEEPS, text)
    world.deliver()
    world.inbox.send(SWEEPS, text)
    world.deliver()

    preview = world.worker.previewing.get("p1").preview
    assert preview.state == "ready"
    assert preview.counts["deactivate"] == len(people(world, preview, "deactivate")) == len(gone)


def test_previews_one_after_the_other_read_bms_lists_once_and_say_how_old_they_are_r25(
    world: World,
) -> None:
    world.hire("ada")
    reads = calls_of(world, "bms.contacts")
    first = ask(world, wish(world.rule))
    world.clock.pass_(timedelta(minutes=10))
    second = ask(world, wish(world.rule))
    read = len(reads)
    world.clock.pass_(timedelta(minutes=10))
    third = ask(world, wish(world.rule))

    assert read == 2, "the active and the inactive ones, once"
    assert len(reads) == 4, "after a quarter of an hour again"
    told = [any("as they were read at" in note for note in one.notes) for one in (first, second)]
    assert told == [False, True]
    assert not any("as they were read at" in note for note in third.notes)


def test_one_whose_look_keeps_failing_is_noted_and_fails_no_preview_r24(world: World) -> None:
    ada, ben = world.hire("ada"), world.hire("ben")
    world.full_sync()
    world.leave(ada)
    world.leave(ben)
    world.directory.troubles[ada.id] = TryLater("Graph does not answer for this person.")
    preview = world.worker.previewing.ask(CONNECTION, [wish(world.rule)]).preview
    world.deliver()

    done = world.worker.previews.get(preview.id)

    assert done is not None
    assert done.state == "ready"
    assert done.counts["deactivate"] == 1
    assert any(note.startswith("1 person could not be decided") for note in done.notes)
