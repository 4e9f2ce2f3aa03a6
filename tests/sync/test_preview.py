"""What a preview says is what happens when its rules are saved, and it writes nothing (R5, R20)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from shared.core.model import AccountId, EntraUser, MappingRule, RecordType, UserId
from shared.core.preview import PreviewedPerson
from shared.core.worklist import done_kind
from shared.ports import Preview
from shared.sync.mapping_rules import RuleWish
from tests.builders import CONNECTION
from tests.sync.world import World

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
        return {
            table.name: sorted(
                (dict(one) for one in service.get_table_client(table.name).list_entities()),
                key=lambda one: (one["PartitionKey"], one["RowKey"]),
            )
            for table in service.list_tables()
            if table.name not in OWN
        }


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
    world.clock.pass_(timedelta(minutes=5))
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
