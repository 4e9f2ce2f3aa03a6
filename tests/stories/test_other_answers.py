"""The outside services answer in another way, and the end state is the same.

What the references leave open is a switch of the stand-ins. A small customer is synced, changed
and brought back once for each bundle of other answers; the oracle does not know which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, permutations
from typing import Any

import pytest

from infra.local.admin import Refused, wait_for
from infra.local.bms.switches import Switches
from infra.local.world import World
from tests.stories.small_customer import SmallCustomer
from tests.stories.story import BMS_SETTINGS, Story, say

pytestmark = pytest.mark.world

DOMAINS = (f"answers{number}.example" for number in count(1))
UNLIMITED = {**BMS_SETTINGS, "hourlyLimit": 1_000_000}
TYPE_TABLES = "GET /v2/system/lookup/{tableName}"


def refuse_latest(world: World) -> None:
    """Delta queries cannot be started from now."""
    for route in ("/users/delta", "/groups/delta"):
        world.entra.add_fault("status", route, path_contains="latest", status=400)


def throttle_parts(world: World) -> None:
    """Parts of batches are throttled, with every form of Retry-After and without."""
    parts: dict[str, Any] = {"in_batch": True, "status": 429}
    fault = world.entra.add_fault
    fault("status", "/users/{id}*", **parts, count=3, retry_after=1, retry_after_form="date")
    fault("status", "/users/{id}*", **parts, count=3, after=10)
    fault("status", "/users/{id}*", **parts, count=3, after=20, retry_after=0.3)
    fault("status", "/users/delta", status=503, count=1, retry_after=0.5, retry_after_form="float")
    fault("status", "/groups/delta", status=429, count=1, retry_after=1, retry_after_form="date")


def end_tokens(world: World) -> None:
    """Every token that is out is worth nothing, before its time."""
    world.entra.expire_access_tokens()
    world.bms.invalidate_tokens(refresh_too=True)


def lag(world: World) -> None:
    """What happens from now on is seen late, and by each kind of read at another time."""
    world.entra.move_clock(30)
    world.entra.switch(lag_delta_seconds=2, lag_index_seconds=3, lag_lists_seconds=1)
    world.entra.switch(lag_reads_seconds=1, lag_checks_seconds=1, notify_members_delta=False)


def tire_the_vault(world: World) -> None:
    """The vault is slow, has an outage, throttles, and takes its time with deletions."""
    world.vault.switch(deletion_seconds=3, recovery_seconds=2)
    world.vault.add_fault("status", status=503, times=1)
    world.vault.add_fault("status", route="PUT /secrets/{name}", status=429, retry_after=1, times=1)
    world.vault.add_fault("slow", seconds=1)


def hit_the_limit(world: World) -> None:
    """BMS's hourly limit is met by one call of each kind."""
    for route in ("POST /v2/crm/contacts/summary", "PATCH /v2/crm/contacts/{id}"):
        world.bms.add_fault("rate_limited", route, count=1, retry_after=1)


def break_type_tables(status: int) -> Callable[[World], None]:
    """The tables of e-mail and phone types are not where they are assumed: contacts tell them."""

    def begin(world: World) -> None:
        world.bms.add_fault("error", TYPE_TABLES, status=status)

    return begin


@dataclass(frozen=True)
class Answers:
    """One bundle of other answers. `early` holds from the start, `late` from before the sync."""

    bms: dict[str, Any] = field(default_factory=dict)
    entra: dict[str, Any] = field(default_factory=dict)
    early: tuple[Callable[[World], None], ...] = ()
    late: tuple[Callable[[World], None], ...] = ()
    between: tuple[Callable[[World], None], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    seconds: float = 20


BUNDLES = {
    "bms as the file writes it": Answers(
        bms={
            "reply_casing": "pascal",
            "single_summary": "bare",
            "timestamps": "zoneless",
            "validation_status": 400,
            "not_found_status": 200,
            "bad_request_body": "none",
            "string_filters": "exact",
            "filters_ignore_case": False,
            "max_page_size": 50,
        },
        early=(break_type_tables(404),),
    ),
    "bms with small pages in any order": Answers(
        bms={
            "max_page_size": 5,
            "row_order": "shuffle",
            "is_active_absent": "active",
            "summary_email_filter": "default",
            "default_phone_deletion": "allow",
            "default_email_deletion": "allow",
        },
        early=(break_type_tables(400),),
    ),
    "bms with drifting pages and an early limit": Answers(
        bms={"max_page_size": 7, "row_order": "drift", "same_entry_twice": "refuse"},
        early=(break_type_tables(500), hit_the_limit),
        seconds=30,
    ),
    "bms tokens end without a word, in a 200": Answers(
        bms={"access_token_seconds": 2, "token_expiry": "omitted", "auth_failure_status": 200},
    ),
    "bms keeps both defaults, and tokens end without a word, as a 403": Answers(
        bms={
            "new_default": "keeps_both",
            "access_token_seconds": 2,
            "token_expiry": "omitted",
            "auth_failure_status": 403,
        },
    ),
    "delta in crumbs, in application mode": Answers(
        options={"mode": "application"},
        entra={
            "access_token_minutes": 10.0,
            "delta_page_size": 2,
            "delta_members_per_item": 2,
            "delta_repeat_rate": 0.5,
            "delta_replay_changes": 5,
            "delta_contradictions": True,
            "delta_empty_pages": True,
            "batch_order": "reverse",
            "notify_members_delta": False,
        },
        early=(refuse_latest,),
    ),
    "notifications late, twice and out of order": Answers(
        entra={
            "notify_duplicate_rate": 0.6,
            "notify_shuffle": True,
            "notify_delay_seconds": 1.5,
            "notify_event_time": False,
            "notify_batch_size": 3,
            "delta_removed_in_full": False,
            "batch_order": "given",
        },
        seconds=30,
    ),
    "everything is seen late": Answers(late=(lag,), seconds=40),
    "graph throttles and batches fail as a whole": Answers(
        entra={"batch_outer_424": True}, late=(throttle_parts,), seconds=40
    ),
    "tokens end in mid-run": Answers(
        entra={
            "browser_http": False,
            "scope_prefix": True,
            "client_info": False,
            "access_token_minutes": 4.0,
        },
        late=(end_tokens,),
        between=(end_tokens,),
        seconds=30,
    ),
    "a tired vault": Answers(early=(tire_the_vault,), seconds=30),
}


def fresh(story: Story) -> Story:
    """The same world and host, with nothing in them and answers as usual."""
    world = story.world
    for service in (world.entra, world.bms, world.vault):
        service.clear_faults()
    for connection in story.admin.items("/api/connections"):
        story.admin.call("DELETE", f"/api/connections/{connection['id']}")
    world.entra.reset()
    world.vault.switch(deletion_seconds=0, recovery_seconds=0)
    world.bms.set_switches(**Switches().as_json())
    world.bms.set_switches(rate_limit_on=False)
    for contact in world.bms.contacts_json():
        world.bms.remove_contact(contact["id"])
    world.bms.clear_counters()
    return Story(world, story.host)


@pytest.mark.parametrize("name", BUNDLES)
def test_the_end_state_is_the_same_however_the_services_answer(story: Story, name: str) -> None:
    answers, world = BUNDLES[name], story.world
    told = fresh(story)
    world.bms.set_switches(**answers.bms)
    world.entra.switch(**answers.entra)
    for begin in answers.early:
        begin(world)
    told.admin.call("PUT", "/api/settings/bms", UNLIMITED)
    customer = SmallCustomer(told, next(DOMAINS), **answers.options)
    for begin in answers.late:
        begin(world)
    run = customer.sync()
    assert (run["state"], run["failed"]) == ("done", 0), run["reason"]
    assert told.differences() == []
    for begin in answers.between:
        begin(world)
    customer.wave()
    say(f"{name}: changes settled after {told.settles(answers.seconds):.1f} s")
    customer.returns()
    say(f"{name}: returns settled after {told.settles(answers.seconds):.1f} s")
    assert told.nobody_was_deleted()
    world.bms.clear_counters()
    assert customer.sync()["state"] == "done"
    assert world.bms.writes() == []
    connection = told.admin.call("GET", f"/api/connections/{told.connection}")
    assert (connection["state"], connection["reason"]) == ("connected", None)


def test_a_short_token_of_bms_is_used_until_it_ends(story: Story) -> None:
    told = fresh(story)
    told.bms.set_switches(access_token_seconds=240)
    told.admin.call("PUT", "/api/settings/bms", UNLIMITED)
    assert SmallCustomer(told, next(DOMAINS)).sync()["failed"] == 0
    assert told.differences() == []
    assert told.bms.counters().calls["POST /v2/security/authenticate"] <= 3


@pytest.mark.parametrize("status", [401, 400, 200])
@pytest.mark.parametrize("casing", ["camel", "pascal"])
def test_a_refused_sign_in_is_told_in_bms_own_words(story: Story, status: int, casing: str) -> None:
    told = fresh(story)
    told.bms.set_switches(signin_refused_status=status, reply_casing=casing)
    with pytest.raises(Refused) as refused:
        told.admin.call("PUT", "/api/settings/bms", {**UNLIMITED, "password": "wrong"})
    assert refused.value.status == 422
    assert "BMS refused the sign-in" in refused.value.problem["detail"]


@pytest.mark.parametrize("operations", list(permutations(("add", "update", "delete")))[1:], ids=str)
def test_other_meanings_of_the_operations_stop_before_harm_is_done(
    story: Story, operations: tuple[str, ...]
) -> None:
    told = fresh(story)
    told.admin.call("PUT", "/api/settings/bms", UNLIMITED)
    customer = SmallCustomer(told, next(DOMAINS), former=False)
    assert customer.sync()["failed"] == 0
    told.admin.call("PUT", "/api/settings/bms", UNLIMITED)  # nothing is proven yet
    told.bms.set_switches(operations=operations, default_phone_deletion="allow")
    before = _entries(told)
    people = ("plain", "renames", "untitled", "unphoned", "rephoned", "unicode", "guest")
    for key in people:
        mail = f"x{key}@{customer.domain}"
        customer.update(key, businessPhones=["+1 7"], mobilePhone="+1 8", mail=mail)

    def all_are_told_of() -> bool:
        state = told.admin.call("GET", f"/api/connections/{told.connection}")
        if state["state"] == "attention":
            return "e-mails and phones are stopped" in state["reason"]
        # BMS may also refuse every single one in words of its own: then nothing was written.
        return all("failure" in told.told_of(customer.id(key)) for key in people)

    wait_for(all_are_told_of, 20, what="the trouble")
    # What a number means is learnt from one reply: of each kind one entry may be lost by then.
    assert len(before - _entries(told)) <= 2
    assert told.nobody_was_deleted()


def _entries(told: Story) -> set[tuple[int, int]]:
    return {
        (row["id"], entry["id"])
        for row in told.bms.contacts_json()
        for entry in (*row["emails"], *row["phones"])
    }


def test_a_contact_that_bms_refuses_without_a_phone_is_told_and_stops_nobody(story: Story) -> None:
    told = fresh(story)
    told.bms.set_switches(phone_required=True, validation_status=400)
    told.admin.call("PUT", "/api/settings/bms", UNLIMITED)
    customer = SmallCustomer(told, next(DOMAINS))
    run = customer.sync()
    assert (run["state"], run["failed"]) == ("done", 1)
    (missing,) = told.differences()
    assert "missing" in missing
    assert customer.id("inner") in missing
    told_of = told.admin.items("/api/activity", userId=customer.id("inner"))
    assert any("phone" in str(each["reason"]).lower() for each in told_of)
    customer.update("inner", mobilePhone="+49 171 9")
    told.oracle.settle()
    told.settles(20)
