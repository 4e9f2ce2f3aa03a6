"""A customer whose contacts go on to IT Glue, through all layers over HTTP (R27)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.admin import Refused, wait_for
from infra.local.itglue.control import ItGlueControl, PersonState
from infra.local.world import World
from tests.stories.oracle import Rule
from tests.stories.story import BMS_SETTINGS, Story

pytestmark = pytest.mark.world

STAFF = "0a000000-0000-4000-8000-000000000001"
SOON = 30


class GlueStory(Story):
    """A customer of four people, IT Glue beside it."""

    def begin(self) -> None:
        """Connect the tenant, fill it, save a rule; IT Glue is off."""
        self.admin.call("PUT", "/api/settings/bms", BMS_SETTINGS)
        self.connect("glue.example")
        self.account = self.bms.add_account("Glue Works").id
        self.users = {name: self._add(name) for name in ("ada", "ben", "cleo", "dora")}
        made = {"id": STAFF, "displayName": "Staff", "members": list(self.users.values())}
        self.entra.load(self.tenant, {"users": [], "groups": [{**made, "kind": "security"}]})
        body = self.rule_body(Rule(STAFF, 1, self.account))
        self.admin.call("POST", "/api/mapping-rules", body)
        self.glue: ItGlueControl = self.world.itglue
        self.organization = self.glue.add_organization("Glue Works")
        self.types = self.glue.types()

    def switch_on(self, **members: Any) -> Any:
        """Save the IT Glue settings."""
        body = {
            "enabled": True,
            "apiUrl": "https://api.itglue.com",
            "apiKey": self.glue.key,
            "inactiveContactTypeId": self.types["No Longer Employed"],
            **members,
        }
        return self.admin.call("PUT", "/api/settings/itglue", body)

    def update(self, name: str, **props: Any) -> None:
        """Change somebody in Entra."""
        self.entra.update_user(self.tenant, self.users[name], **props)

    def person(self, name: str) -> PersonState | None:
        """Somebody in IT Glue, by address."""
        return next(
            (one for one in self.glue.contacts() if one.primary_email == f"{name}@glue.example"),
            None,
        )

    def in_bms(self, name: str) -> Any:
        """Somebody in BMS, by address."""
        return next(
            one for one in self.bms.contacts() if one.default_email == f"{name}@glue.example"
        )

    def becomes(self, look: Any, what: str) -> None:
        """Wait until something is so."""
        wait_for(look, SOON, what=what)

    def standing(self) -> Any:
        """IT Glue in the status."""
        return self.admin.call("GET", "/api/status")["itGlue"]

    def _add(self, name: str) -> str:
        return self.entra.add_user(
            self.tenant,
            f"{name}@glue.example",
            mail=f"{name}@glue.example",
            displayName=f"{name.title()} Person",
            givenName=name.title(),
            surname="Person",
        )


@pytest.fixture(scope="module")
def story() -> Iterator[GlueStory]:
    with World() as world:
        told = GlueStory(world, world.start_host())
        told.begin()
        yield told


def test_r27_a_year_with_it_glue(story: GlueStory) -> None:
    """One story, since each chapter begins where the one before has ended."""
    assert story.admin.sync(story.connection)["failed"] == 0
    assert story.glue.counters()["total"] == 0, "off by default"

    with pytest.raises(Refused, match="refuses the API key"):
        story.switch_on(apiKey="wrong")
    synced = story.glue.add_contact(
        story.organization, "Cleo", "Person", emails=["cleo@glue.example"], psa_id=1
    )
    story.switch_on()
    assert story.glue.contacts() == [story.glue.contact(synced)], "only new writes are passed on"

    # Everybody, by hand.
    story.admin.call("POST", "/api/itglue/pass-on-everybody")
    story.becomes(lambda: len(story.glue.contacts()) == 4, "everybody in IT Glue")
    story.becomes(
        lambda: all(
            each["state"] == "done" for each in story.admin.items("/api/itglue/pass-on-everybody")
        ),
        "the end of the job",
    )

    # A change arrives; the activity tells.
    story.update("ada", jobTitle="Director", businessPhones=["+49 30 5550"])
    story.becomes(lambda: (ada := story.person("ada")) and ada.title == "Director", "a new title")
    story.becomes(
        lambda: story.admin.items("/api/activity", kind="itglue", userId=story.users["ada"])[0][
            "changes"
        ],
        "the line in the activity",
    )

    # A contact that a PSA keeps is left alone, and noted once.
    for title in ("Baker", "Cook"):
        story.update("cleo", jobTitle=title)
        story.becomes(lambda title=title: story.in_bms("cleo").job_title == title, "it in BMS")
    story.becomes(
        lambda: story.admin.items("/api/activity", kind="itglue", userId=story.users["cleo"]),
        "the note",
    )
    assert story.glue.contact(synced).title is None

    # IT Glue is away: BMS goes on at once.
    story.glue.add_fault("reset")
    story.update("ben", jobTitle="Porter")
    story.entra.remove_member(story.tenant, STAFF, story.users["dora"])
    story.becomes(
        lambda: story.in_bms("ben").job_title == "Porter" and not story.in_bms("dora").is_active,
        "both in BMS",
    )
    story.becomes(lambda: story.standing()["state"] == "attention", "the status telling of it")
    assert "Nothing is lost" in story.standing()["nextStep"]
    story.glue.clear_faults()
    left = story.types["No Longer Employed"]
    story.becomes(
        lambda: (
            (ben := story.person("ben"))
            and ben.title == "Porter"
            and (dora := story.person("dora"))
            and dora.contact_type_id == left
        ),
        "what waited",
    )
    story.becomes(lambda: story.standing()["state"] == "on", "the status being well again")

    # She is back, with the type that she had: none.
    story.entra.add_member(story.tenant, STAFF, story.users["dora"])
    story.becomes(
        lambda: (dora := story.person("dora")) and dora.contact_type_id is None, "her return"
    )

    # The key is revoked, and a new one is saved.
    story.glue.set_keys("ITG.newer")
    story.update("ben", jobTitle="Head porter")
    story.becomes(lambda: story.standing()["state"] == "attention", "the refusal in the status")
    kinds = [each["kind"] for each in story.admin.call("GET", "/api/status")["credentials"]]
    assert "itglue" in kinds
    story.switch_on(apiKey="ITG.newer")
    wait_for(
        lambda: (ben := story.person("ben")) and ben.title == "Head porter",
        90,
        what="what waited for the key",
    )

    # 429, and a contact that somebody deleted in IT Glue.
    ada = story.person("ada")
    assert ada
    story.glue.remove_contact(ada.id)
    story.glue.add_fault("rate_limited", retry_after=2, count=1)
    story.update("ada", jobTitle="Owner")
    story.becomes(lambda: (one := story.person("ada")) and one.title == "Owner", "her new contact")

    # The end: nothing was ever deleted, the key is nowhere but in the vault.
    assert story.admin.items("/api/failures") == []
    assert not [call for call in story.glue.counters()["calls"] if call.startswith("DELETE")]
    assert len(story.glue.contacts()) == 4
    assert "ITG.newer" in story.world.vault.secrets().values()
    assert "ITG" not in story.host.log_path.read_text()
