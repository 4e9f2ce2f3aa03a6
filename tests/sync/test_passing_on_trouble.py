"""IT Glue away, limited, refusing; workers that die; everybody at once (R22, R24, R27)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.itglue import PassState
from shared.core.itglue_messages import PassItem, PassOn, encode_pass_on
from shared.core.model import AccountId, EntraUser
from shared.errors import BadInput
from shared.ports import FRESH, ITGLUE, ITGLUE_KEY
from shared.sync.itglue_settings import ItGlueWish
from tests.builders import CONNECTION
from tests.sync.interference import ADDRESS, at_the_same_time, of, on
from tests.sync.itglue_world import GlueWorld
from tests.sync.world import WRITES, Died

pytestmark = pytest.mark.world


def passed(world: GlueWorld, user: EntraUser) -> bool:
    return [one.primary_email for one in world.glue.contacts()].count(user.mail) == 1


# --- IT Glue as a whole ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["error", "reset", "truncated"])
def test_r27_an_outage_delays_nothing_in_bms_and_everything_arrives_afterwards(
    glue_world: GlueWorld, kind: str
) -> None:
    glue_world.glue.add_fault(kind, status=503)  # type: ignore[arg-type]
    people = [glue_world.hire(name) for name in ("ada", "ben", "cleo")]
    glue_world.notice(*people)
    glue_world.minutes(6)
    assert [glue_world.record(user).is_active for user in people] == [True] * 3
    standing = glue_world.worker.manage_itglue.standing()
    assert standing.trouble is not None
    assert "Nothing is lost" in standing.trouble.next_step
    ben = glue_world.change(people[1], job_title="Clerk")
    glue_world.notice(ben)
    glue_world.minutes(1)

    glue_world.glue.clear_faults()
    glue_world.minutes(3)

    assert glue_world.waiting() == 0
    assert all(passed(glue_world, user) for user in people)
    assert glue_world.in_glue(ben).title == "Clerk"
    assert glue_world.worker.manage_itglue.standing().trouble is None
    assert glue_world.worker.failures.count() == 0


def test_r27_while_it_glue_is_away_it_is_asked_seldom(glue_world: GlueWorld) -> None:
    glue_world.glue.add_fault("error", status=503)
    for number in range(6):
        glue_world.notice(glue_world.hire(f"u{number}"))
    glue_world.minutes(5)
    waiting = glue_world.waiting()
    glue_world.glue.clear_counters()

    glue_world.minutes(2)

    assert waiting == 6
    assert glue_world.glue.counters()["total"] <= 2 * 2 * waiting, "a call each, and its repetition"


def test_r27_a_revoked_key_is_told_and_a_new_one_brings_everything(glue_world: GlueWorld) -> None:
    glue_world.glue.set_keys("a-new-key")
    ada = glue_world.hire("ada")
    glue_world.notice(ada)
    glue_world.minutes(5)
    assert glue_world.record(ada).is_active
    trouble = glue_world.worker.manage_itglue.standing().trouble
    assert trouble is not None
    assert trouble.code == "itglue-key"
    assert "90 days" in trouble.reason
    settings = glue_world.worker.manage_itglue.get()
    with pytest.raises(BadInput, match="refuses the API key"):
        glue_world.worker.manage_itglue.save(ItGlueWish(settings, "still-wrong"))

    glue_world.worker.manage_itglue.save(ItGlueWish(settings, "a-new-key"))
    glue_world.minutes(3)

    assert passed(glue_world, ada)
    assert glue_world.worker.manage_itglue.standing().trouble is None
    assert glue_world.vault.held[ITGLUE_KEY] == "a-new-key"


def test_r27_a_429_is_waited_for_and_is_no_trouble(glue_world: GlueWorld) -> None:
    glue_world.glue.add_fault("rate_limited", retry_after=200, count=1)
    ada = glue_world.hire("ada")
    began = glue_world.clock()

    glue_world.sync(ada)

    assert passed(glue_world, ada)
    assert glue_world.clock() - began >= timedelta(seconds=200)
    assert glue_world.worker.manage_itglue.standing().trouble is None


def test_r27_switched_off_nothing_is_queued_and_what_waits_is_dropped(
    glue_world: GlueWorld,
) -> None:
    glue_world.glue.add_fault("error", status=503)
    ada = glue_world.hire("ada")
    glue_world.notice(ada)
    glue_world.minutes(5)
    assert glue_world.waiting() == 1

    glue_world.set_glue(enabled=False)
    glue_world.glue.clear_faults()
    glue_world.sync(glue_world.hire("ben"))

    assert glue_world.waiting() == 0
    assert glue_world.glue.contacts() == []


# --- workers that die, or work at the same time ------------------------------------------------


def dies(world: GlueWorld, user: EntraUser, call: str, *, nth: int = 1) -> None:
    other = world.a_worker()

    def die() -> None:
        raise Died

    other.tap = on(call, "after", die, nth=nth)
    with pytest.raises(Died):
        other.apply.handle(of(user), FRESH)


@pytest.mark.parametrize(
    ("call", "nth"),
    [
        ("bms.create_contact", 1),
        ("bms.patch_contact", 1),
        ("index.put", 1),
        ("owners.take_new", 1),
        ("log.add", 1),
        ("queues.send", 1),
        ("links.save", 2),
    ],
)
def test_r22_r27_a_worker_that_dies_after_any_write_does_not_lose_the_passing_on(
    glue_world: GlueWorld, call: str, nth: int
) -> None:
    ada = glue_world.hire("ada", job_title="Clerk")
    dies(glue_world, ada, call, nth=nth)
    glue_world.minutes(1)
    glue_world.clock.pass_(timedelta(minutes=10))

    glue_world.sync(ada)  # the message comes back: the queue's lease has ended

    assert len(glue_world.contacts(ADDRESS)) == 1
    assert passed(glue_world, ada)
    assert glue_world.in_glue(ada).title == "Clerk"


@pytest.mark.parametrize("call", ["bms.patch_contact", "log.add", "queues.send"])
def test_r22_r27_a_death_in_a_change_does_not_lose_it_either(
    glue_world: GlueWorld, call: str
) -> None:
    ada = glue_world.hire("ada")
    glue_world.sync(ada)
    now = glue_world.change(ada, surname="Berg")
    dies(glue_world, now, call)
    glue_world.clock.pass_(timedelta(minutes=10))

    glue_world.sync(now)

    assert glue_world.in_glue(ada).last_name == "Berg"


def test_r22_r27_what_a_dead_worker_left_half_done_marks_nobody_as_inactive(
    glue_world: GlueWorld,
) -> None:
    number = glue_world.glue.add_contact(glue_world.at_contoso, emails=[ADDRESS])
    ada = glue_world.hire("ada")
    dies(glue_world, ada, "queues.send")

    glue_world.minutes(5)

    assert glue_world.waiting() == 0
    assert glue_world.glue.contact(number).contact_type_id is None
    glue_world.sync(ada)
    assert glue_world.in_glue(ada).id == number


def test_when_it_glue_is_off_a_write_costs_no_more_than_before(glue_world: GlueWorld) -> None:
    glue_world.set_glue(enabled=False)
    seen: list[str] = []
    glue_world.worker.tap = lambda call, when: seen.append(call) if when == "after" else None

    glue_world.sync(glue_world.hire("ada"))

    assert "queues.send" not in [call for call in seen if call in WRITES]


def test_r22_r27_a_create_without_an_answer_makes_no_second_contact(
    glue_world: GlueWorld,
) -> None:
    glue_world.glue.add_fault("reset_after", "POST /contacts", count=1)
    ada = glue_world.hire("ada")

    glue_world.sync(ada)

    assert passed(glue_world, ada)
    assert glue_world.row(ada).state is PassState.PASSED
    assert glue_world.glue.calls("POST /contacts") == 1


def test_r22_r27_a_create_that_never_happened_is_repeated_once_it_is_certain(
    glue_world: GlueWorld,
) -> None:
    glue_world.glue.add_fault("reset", "POST /contacts", count=1)
    ada, began = glue_world.hire("ada"), glue_world.clock()

    glue_world.sync(ada)

    assert passed(glue_world, ada)
    assert glue_world.clock() - began >= timedelta(seconds=100)


@pytest.mark.parametrize("round_", range(3))
def test_r22_r27_two_workers_on_one_message_make_one_contact(
    glue_world: GlueWorld, round_: int
) -> None:
    ada = glue_world.hire("ada")
    glue_world.notice(ada)
    glue_world.deliver(within=timedelta(0))
    [message] = [one for one in glue_world.inbox.waiting if one.queue == ITGLUE]
    glue_world.clock.pass_(timedelta(seconds=2))
    others = [glue_world.a_worker(), glue_world.a_worker()]

    at_the_same_time(*(lambda one=one: one.handle(ITGLUE, message.text) for one in others))
    glue_world.deliver()

    assert passed(glue_world, ada)
    assert glue_world.row(ada).state is PassState.PASSED


def test_r22_r27_the_newer_link_wins_whoever_writes_last(glue_world: GlueWorld) -> None:
    ada = glue_world.hire("ada")
    glue_world.sync(ada)
    other = glue_world.a_worker()
    late = glue_world.a_worker()
    item = PassItem(glue_world.record_id(ada), ada.id, AccountId(glue_world.contoso.id))
    text = encode_pass_on(PassOn(CONNECTION, (item,)))
    glue_world.change(ada, surname="Old")
    glue_world.worker.apply.handle(of(ada), FRESH)

    def meanwhile() -> None:
        """After the late one has read the link, everything changes and is passed on."""
        late.tap = None
        glue_world.worker.apply.handle(of(glue_world.change(ada, surname="New")), FRESH)
        other.handle(ITGLUE, text)

    late.tap = on("links.get", "after", meanwhile)
    late.handle(ITGLUE, text)
    assert glue_world.in_glue(ada).last_name == "New"

    glue_world.deliver()
    assert glue_world.in_glue(ada).last_name == "New"


def test_r22_r27_a_record_that_is_being_written_waits(glue_world: GlueWorld) -> None:
    ada = glue_world.hire("ada")
    glue_world.sync(ada)
    item = PassItem(glue_world.record_id(ada), ada.id)
    text = encode_pass_on(PassOn(CONNECTION, (item,)))
    seen: list[int] = []

    def meanwhile() -> None:
        before = glue_world.glue.counters()["total"]
        glue_world.a_worker().handle(ITGLUE, text)
        seen.append(glue_world.glue.counters()["total"] - before)

    glue_world.worker.tap = on("bms.patch_contact", "before", meanwhile)
    glue_world.sync(glue_world.change(ada, surname="Berg"))

    assert seen == [0]
    assert glue_world.in_glue(ada).last_name == "Berg"


# --- everybody ---------------------------------------------------------------------------------


def test_r27_everybody_is_passed_on_by_hand_as_they_are(glue_world: GlueWorld) -> None:
    settings, glue_world.itglue_settings.held = glue_world.itglue_settings.held, None
    people = [glue_world.hire(f"u{number:03d}") for number in range(120)]
    glue_world.sync(*people)
    glue_world.leave(people[0])
    glue_world.sync(people[0])
    held = glue_world.glue.add_contact(glue_world.at_contoso, emails=[people[0].mail])
    glue_world.itglue_settings.held = settings
    glue_world.worker.itglue.forget()
    assert len(glue_world.glue.contacts()) == 1

    [job] = glue_world.worker.manage_itglue.pass_on_everybody()
    glue_world.deliver()

    assert not job.finished
    assert all(passed(glue_world, user) for user in people)
    assert glue_world.glue.contact(held).contact_type_id == glue_world.inactive
    [done] = glue_world.worker.manage_itglue.progress()
    assert (done.finished, done.done) == (True, 120)
    assert glue_world.glue.calls("GET /contacts") <= 120 + 5, "the lists are read once"
    writes = len(glue_world.glue.writes())

    glue_world.worker.manage_itglue.pass_on_everybody()
    glue_world.deliver()

    assert len(glue_world.glue.writes()) == writes, "nothing is sent when nothing differs (R14)"


def test_r27_everybody_goes_on_where_an_outage_stopped_it(glue_world: GlueWorld) -> None:
    settings, glue_world.itglue_settings.held = glue_world.itglue_settings.held, None
    people = [glue_world.hire(f"u{number:02d}") for number in range(12)]
    glue_world.sync(*people)
    glue_world.itglue_settings.held = settings
    glue_world.worker.itglue.forget()
    glue_world.glue.add_fault("error", "POST /contacts", skip=5, status=503)
    glue_world.worker.manage_itglue.pass_on_everybody()
    glue_world.minutes(5)
    assert 0 < len(glue_world.glue.contacts()) < 12
    assert glue_world.waiting() == 1, "one message carries it on"

    glue_world.glue.clear_faults()
    glue_world.minutes(5)

    assert all(passed(glue_world, user) for user in people)
    [done] = glue_world.worker.manage_itglue.progress()
    assert (done.finished, done.done) == (True, 12)


def test_r27_everybody_tries_again_what_a_psa_kept(glue_world: GlueWorld) -> None:
    number = glue_world.glue.add_contact(
        glue_world.at_contoso, emails=["ada@contoso.example"], psa_id=12
    )
    ada = glue_world.hire("ada")
    glue_world.sync(ada)
    glue_world.worker.manage_itglue.pass_on_everybody()
    glue_world.deliver()
    assert len(glue_world.told(ada)) == 1, "noted once"

    glue_world.glue.edit_contact(number, psa_id=None)
    glue_world.sync(glue_world.change(ada, job_title="Clerk"))
    assert glue_world.glue.contact(number).title is None
    glue_world.worker.manage_itglue.pass_on_everybody()
    glue_world.deliver()

    assert glue_world.glue.contact(number).title == "Clerk"
