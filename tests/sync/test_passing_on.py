"""What becomes of a contact in IT Glue (R27): matched, made, changed, left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.itglue import PassState
from shared.core.itglue_messages import PassItem, PassOn, encode_pass_on
from shared.core.model import AccountId, EntraUser
from shared.ports import ITGLUE
from tests.builders import CONNECTION
from tests.sync.itglue_world import GlueWorld

pytestmark = pytest.mark.world


def sync(world: GlueWorld, user: EntraUser, **changes: object) -> EntraUser:
    """Change somebody in Entra, and let everything happen that follows from it."""
    user = world.change(user, **changes) if changes else user
    world.sync(user)
    return user


# --- making and matching -----------------------------------------------------------------------


def test_r27_a_new_contact_is_made_in_its_organization(glue_world: GlueWorld) -> None:
    ada = sync(
        glue_world,
        glue_world.hire("ada", job_title="Clerk", business_phone="+49 30 5", mobile_phone="6"),
    )

    held = glue_world.in_glue(ada)
    assert held.organization_id == glue_world.at_contoso
    assert (held.first_name, held.last_name, held.title) == ("Ada", "Lind", "Clerk")
    assert held.primary_email == "ada@contoso.example"
    assert [(one["label-name"], one["value"], one["primary"]) for one in held.phones] == [
        ("Work", "+49305", True),
        ("Cell", "6", False),
    ]
    [line] = glue_world.told(ada)
    assert line.reason == f"IT Glue: made contact {held.id}"
    assert line.record_id == glue_world.record_id(ada)


@pytest.mark.parametrize("by", ["psa", "email", "further", "name"])
def test_r27_a_contact_that_is_there_is_matched(glue_world: GlueWorld, by: str) -> None:
    glue, at = glue_world.glue, glue_world.at_contoso
    ada = glue_world.hire("ada", job_title="Clerk")
    glue.set_switches(synced_patch="allow")
    mail = {"email": ["ADA@contoso.example"], "further": ["x@y.example", "ada@contoso.example"]}
    names = {"name": ("Ada", "Lind")}.get(by, ("Somebody", "Else"))
    number = glue.add_contact(at, *names, emails=mail.get(by, ["old@contoso.example"]))
    glue.add_contact(glue_world.at_fabrikam, "Ada", "Lind", emails=["ada@contoso.example"])
    if by == "psa":
        made = glue_world.bms.add_contact(glue_world.contoso.id, "A", "L", ["ada@contoso.example"])
        glue.edit_contact(number, psa_id=made.id)

    sync(glue_world, ada)

    held = glue_world.in_glue(ada)
    assert held.id == number
    assert (held.first_name, held.last_name, held.title) == ("Ada", "Lind", "Clerk")
    assert held.primary_email.lower() == "ada@contoso.example"
    assert len(glue.contacts(at)) == 1
    words = {"psa": "BMS id", "further": "e-mail"}.get(by, by).replace("email", "e-mail")
    assert f"by {words.replace('e-e-mail', 'e-mail')}" in glue_world.told(ada)[0].reason


def test_r27_several_matches_are_left_to_a_person_and_told_once(glue_world: GlueWorld) -> None:
    for _ in range(2):
        glue_world.glue.add_contact(glue_world.at_contoso, emails=["ada@contoso.example"])
    ada = sync(glue_world, glue_world.hire("ada"))
    sync(glue_world, ada, job_title="Clerk")

    assert glue_world.glue.writes() == []
    [line] = glue_world.told(ada)
    assert "2 contacts match by e-mail" in line.reason
    assert glue_world.row(ada).state is PassState.AMBIGUOUS


def test_r27_a_namesake_that_another_record_holds_is_not_taken(glue_world: GlueWorld) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    twin = sync(glue_world, glue_world.hire("ben", given_name="Ada", surname="Lind"))

    assert glue_world.in_glue(ada).id != glue_world.in_glue(twin).id
    assert len(glue_world.glue.contacts()) == 2


def test_r27_an_account_is_mapped_by_exact_name_too(glue_world: GlueWorld) -> None:
    rule = replace(glue_world.rule, account_id=AccountId(glue_world.fabrikam.id))
    glue_world.set_rules(rule)

    ada = sync(glue_world, glue_world.hire("ada"))

    assert glue_world.in_glue(ada).organization_id == glue_world.at_fabrikam


def test_r27_without_an_organization_a_contact_waits_until_one_is_chosen(
    glue_world: GlueWorld,
) -> None:
    nowhere = glue_world.bms.add_account("Nowhere").id
    glue_world.set_rules(replace(glue_world.rule, account_id=AccountId(nowhere)))
    ada = sync(glue_world, glue_world.hire("ada"))
    assert glue_world.row(ada).state is PassState.UNMAPPED
    assert "no organization" in glue_world.told(ada)[0].reason
    assert glue_world.worker.manage_itglue.standing().accounts_without_organization == 1

    glue_world.map_by_hand(nowhere, glue_world.at_fabrikam)
    glue_world.deliver()

    assert glue_world.in_glue(ada).organization_id == glue_world.at_fabrikam
    assert glue_world.worker.manage_itglue.standing().accounts_without_organization == 0


# --- changes -----------------------------------------------------------------------------------


def test_r27_a_change_reaches_it_glue_and_what_people_typed_there_stays(
    glue_world: GlueWorld,
) -> None:
    ada = sync(glue_world, glue_world.hire("ada", business_phone="1", job_title="Clerk"))
    held = glue_world.in_glue(ada)
    phones = [*held.phones, {**held.phones[0], "value": "777", "label-name": "Home"}]
    phones[1]["primary"] = False
    emails = [*held.emails, {"value": "p@home.example", "primary": False, "label-name": "Home"}]
    glue_world.glue.edit_contact(
        held.id, phones=phones, emails=emails, notes="typed", important=True, restricted=True
    )

    sync(glue_world, ada, surname="Berg", mail="ada.berg@contoso.example", business_phone="2")

    now = glue_world.in_glue(ada)
    assert now.id == held.id
    assert (now.last_name, now.title, now.notes) == ("Berg", "Clerk", "typed")
    assert (now.important, now.restricted) == (True, True)
    assert [(one["value"], one["primary"]) for one in now.emails] == [
        ("ada@contoso.example", False),
        ("p@home.example", False),
        ("ada.berg@contoso.example", True),
    ]
    assert [one["value"] for one in now.phones] == ["2", "777"]
    line = glue_world.told(ada)[-1]
    assert line.reason == f"IT Glue: changed contact {held.id}"
    assert {change.field for change in line.changes} == {"last name", "e-mail", "work phone"}


def test_r14_r27_a_message_that_comes_twice_writes_nothing(glue_world: GlueWorld) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    writes, lines = len(glue_world.glue.writes()), len(glue_world.told(ada))
    item = PassItem(glue_world.record_id(ada), ada.id, AccountId(glue_world.contoso.id))

    glue_world.inbox.send(ITGLUE, encode_pass_on(PassOn(CONNECTION, (item, item))))
    glue_world.deliver()

    assert len(glue_world.glue.writes()) == writes
    assert len(glue_world.told(ada)) == lines


def test_r25_r27_passing_on_asks_bms_for_nothing(glue_world: GlueWorld) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    item = PassItem(glue_world.record_id(ada), ada.id, AccountId(glue_world.contoso.id))
    glue_world.bms.clear_counters()

    glue_world.inbox.send(ITGLUE, encode_pass_on(PassOn(CONNECTION, (item,))))
    glue_world.deliver()

    assert glue_world.bms.counters().total == 0


def test_r27_a_rename_to_the_name_of_another_contact_is_warned_of(glue_world: GlueWorld) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    glue_world.glue.add_contact(glue_world.at_contoso, "Ada", "Berg", emails=["x@y.example"])

    sync(glue_world, ada, surname="Berg")

    assert "1 other contact(s)" in glue_world.told(ada)[-1].notes[0]


# --- leaving, returning, moving ----------------------------------------------------------------


def test_r16_r19_r27_a_leaver_is_marked_and_has_his_type_again_when_he_is_back(
    glue_world: GlueWorld,
) -> None:
    user_type = glue_world.glue.types()["End User"]
    ada = sync(glue_world, glue_world.hire("ada"))
    glue_world.glue.edit_contact(glue_world.in_glue(ada).id, contact_type_id=user_type)
    glue_world.leave(ada)
    sync(glue_world, ada)
    assert glue_world.in_glue(ada).contact_type_id == glue_world.inactive
    assert glue_world.in_glue(ada).primary_email == "ada@contoso.example"

    glue_world.join(ada)
    sync(glue_world, ada)

    assert glue_world.in_glue(ada).contact_type_id == user_type
    reasons = [line.reason for line in glue_world.told(ada)]
    assert "marked as inactive" in reasons[-2]
    assert "no longer marked as inactive" in reasons[-1]


def test_r17_r27_a_move_marks_the_contact_of_the_old_organization_and_makes_a_new_one(
    glue_world: GlueWorld,
) -> None:
    # The contact was there before the switch was on: nothing is remembered of it.
    old = glue_world.glue.add_contact(glue_world.at_contoso, emails=["ada@contoso.example"])
    settings, glue_world.itglue_settings.held = glue_world.itglue_settings.held, None
    ada = sync(glue_world, glue_world.hire("ada"))
    glue_world.itglue_settings.held = settings
    glue_world.worker.itglue.forget()
    glue_world.set_rules(replace(glue_world.rule, account_id=AccountId(glue_world.fabrikam.id)))

    sync(glue_world, ada)

    assert glue_world.in_glue(ada).organization_id == glue_world.at_fabrikam
    assert glue_world.in_glue(ada).contact_type_id is None
    assert glue_world.glue.contact(old).contact_type_id == glue_world.inactive


def test_r17_r27_two_accounts_of_one_organization_share_the_contact(glue_world: GlueWorld) -> None:
    user_type = glue_world.glue.types()["End User"]
    glue_world.map_by_hand(glue_world.fabrikam.id, glue_world.at_contoso)
    ada = sync(glue_world, glue_world.hire("ada"))
    first = glue_world.in_glue(ada)
    glue_world.glue.edit_contact(first.id, contact_type_id=user_type)
    sync(glue_world, ada, job_title="Clerk")
    glue_world.set_rules(replace(glue_world.rule, account_id=AccountId(glue_world.fabrikam.id)))

    sync(glue_world, ada)

    assert [one.id for one in glue_world.glue.contacts()] == [first.id]
    assert glue_world.in_glue(ada).contact_type_id == user_type


def test_r27_a_leaver_whom_it_glue_never_had_is_not_made_there(glue_world: GlueWorld) -> None:
    settings, glue_world.itglue_settings.held = glue_world.itglue_settings.held, None
    ada = sync(glue_world, glue_world.hire("ada"))
    glue_world.itglue_settings.held = settings
    glue_world.worker.itglue.forget()
    glue_world.leave(ada)

    sync(glue_world, ada)

    assert glue_world.glue.contacts() == []


# --- what IT Glue does not let us change -------------------------------------------------------


@pytest.mark.parametrize("shown", ["mark", "adapters", "words alone"])
def test_r27_a_contact_that_a_psa_keeps_is_left_to_bms_and_noted_once(
    glue_world: GlueWorld, shown: str
) -> None:
    glue_world.glue.set_switches(
        psa_mark="shown" if shown == "mark" else "absent",
        adapters="shown" if shown == "adapters" else "absent",
    )
    number = glue_world.glue.add_contact(
        glue_world.at_contoso, "A", "L", emails=["ada@contoso.example"], psa_id=12
    )

    ada = sync(glue_world, glue_world.hire("ada"))
    glue_world.glue.clear_counters()
    ada = sync(glue_world, ada, job_title="Clerk")

    assert glue_world.glue.contact(number).first_name == "A"
    assert glue_world.glue.counters()["total"] == 0, "nothing is tried any more"
    assert [line.reason for line in glue_world.told(ada)] == [
        "IT Glue: IT Glue has this contact from BMS: it is left to IT Glue's own sync with BMS"
    ]
    assert glue_world.row(ada).state is PassState.MANAGED
    assert glue_world.worker.failures.count() == 0

    sync(glue_world, ada, surname="Berg")
    assert "second contact" in glue_world.told(ada)[-1].notes[0]
    assert glue_world.glue.counters()["total"] == 0


def test_r27_values_that_it_glue_refuses_become_a_failure_and_the_rest_goes_on(
    glue_world: GlueWorld,
) -> None:
    # IT Glue knows no address without a dot; Entra and BMS do.
    ada, ben = glue_world.hire("ada", mail="ada@localdomain"), glue_world.hire("ben")
    glue_world.sync(ada, ben)

    assert glue_world.in_glue(ben).first_name == "Ben"
    [failure] = glue_world.worker.failures.list()
    assert (failure.cause, failure.queue) == ("itglue-refused", ITGLUE)
    assert "Email is invalid" in failure.sentence
    asked = glue_world.glue.counters()["total"]
    item = PassItem(glue_world.record_id(ada), ada.id)
    glue_world.inbox.send(ITGLUE, encode_pass_on(PassOn(CONNECTION, (item,))))
    glue_world.deliver()
    assert glue_world.glue.counters()["total"] == asked, "not tried again with the same values"

    sync(glue_world, ada, mail="ada@contoso.example")

    assert glue_world.in_glue(ada).primary_email == "ada@contoso.example"
    assert glue_world.worker.failures.list() == []


@pytest.mark.parametrize("endpoint", ["POST /contacts", "PATCH /contacts/{id}"])
def test_r24_r27_one_contact_that_it_glue_cannot_take_stops_nobody(
    glue_world: GlueWorld, endpoint: str
) -> None:
    people = [glue_world.hire(name) for name in ("ada", "ben")]
    if endpoint.startswith("PATCH"):
        glue_world.sync(*people)
        people = [glue_world.change(user, job_title="Clerk") for user in people]
    glue_world.glue.add_fault("error", endpoint, status=400, count=1)

    glue_world.sync(*people)

    rows = [glue_world.row(user).state for user in people]
    assert sorted(rows) == sorted([PassState.PASSED, PassState.REFUSED])
    assert glue_world.worker.failures.count() == 1
    assert glue_world.worker.manage_itglue.standing().trouble is None


def test_r27_a_label_that_it_glue_refuses_is_replaced_by_one_that_it_has(
    glue_world: GlueWorld,
) -> None:
    glue_world.glue.set_switches(unknown_label="refuse")

    ada = sync(glue_world, glue_world.hire("ada", mobile_phone="6"))

    assert [one["label-name"] for one in glue_world.in_glue(ada).phones] == ["Work"]


def test_r27_where_it_glue_merges_lists_the_harm_is_told_and_not_repeated(
    glue_world: GlueWorld,
) -> None:
    glue_world.glue.set_switches(array_patch="merge")
    ada = sync(glue_world, glue_world.hire("ada"))

    ada = sync(glue_world, ada, mail="ada.berg@contoso.example")
    doubled = glue_world.in_glue(ada).emails
    assert "tidy this contact up" in glue_world.told(ada)[-1].notes[0]
    sync(glue_world, ada, mail="third@contoso.example", job_title="Clerk")

    assert glue_world.in_glue(ada).emails == doubled
    assert glue_world.in_glue(ada).title == "Clerk"


@pytest.mark.parametrize("plus", ["keep", "strip"])
def test_r14_r27_a_phone_is_not_sent_again_because_of_how_it_glue_keeps_it(
    glue_world: GlueWorld, plus: str
) -> None:
    glue_world.glue.set_switches(plus_sign=plus)
    ada = sync(glue_world, glue_world.hire("ada", business_phone="+49 (30) 55-5"))
    writes = len(glue_world.glue.writes())
    item = PassItem(glue_world.record_id(ada), ada.id)

    glue_world.inbox.send(ITGLUE, encode_pass_on(PassOn(CONNECTION, (item,))))
    glue_world.deliver()

    assert len(glue_world.glue.writes()) == writes


def test_r27_a_contact_that_was_deleted_in_it_glue_is_made_anew_and_told(
    glue_world: GlueWorld,
) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    first = glue_world.in_glue(ada).id
    glue_world.glue.remove_contact(first)

    sync(glue_world, ada, job_title="Clerk")

    assert glue_world.in_glue(ada).id != first
    assert glue_world.in_glue(ada).title == "Clerk"
    assert f"contact {first} is gone" in glue_world.told(ada)[-1].notes[0]


def test_r8_r27_a_record_that_vanished_from_bms_keeps_its_contact_in_it_glue(
    glue_world: GlueWorld,
) -> None:
    ada = sync(glue_world, glue_world.hire("ada"))
    number, record = glue_world.in_glue(ada).id, glue_world.record_id(ada)
    glue_world.bms.remove_contact(record)

    sync(glue_world, ada, job_title="Clerk")

    assert glue_world.record_id(ada) != record
    assert [one.id for one in glue_world.glue.contacts()] == [number]
    assert glue_world.in_glue(ada).title == "Clerk"
