"""The sync's world with IT Glue beside it, switched on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from infra.local.bms.process import BmsProcess
from infra.local.itglue.control import PersonState
from infra.local.itglue.process import ItGlueProcess
from shared.adapters.bms_budget import BmsBudget
from shared.adapters.http_session import PooledSession
from shared.adapters.itglue import ItGlueApi
from shared.adapters.itglue_session import ItGlueSession, itglue_limit
from shared.adapters.store_itglue import TableItGlueMemory, TablePassedOn
from shared.core.itglue import ItGlueSettings, OrganizationId, PassedOn
from shared.core.itglue_messages import decode_pass_on
from shared.core.model import AccountId, Activity, EntraUser, RecordId
from shared.ports import ITGLUE, ITGLUE_KEY
from shared.sync.itglue_finding import FindInGlue
from shared.sync.itglue_organizations import ItGlueOrganizations
from shared.sync.itglue_settings import ItGlueWish, ManageItGlue
from shared.sync.passing_on import PassingOn
from shared.sync.passing_one import PassOne
from tests.real_storage import RealStorage
from tests.sync.world import Worker, World


class GlueWorker(Worker):
    """One instance of the app that passes on as well."""

    def __init__(self, world: GlueWorld) -> None:
        super().__init__(world)
        clock, storage = world.clock, world.storage.opened()
        self.rows = TablePassedOn(storage)
        self.memory = TableItGlueMemory(storage)
        budget = BmsBudget(
            storage, itglue_limit, clock, partition="itglue", words="IT Glue's limit"
        )
        session = ItGlueSession(PooledSession(), world.itglue_settings, world.vault, budget, clock)
        self.glue = ItGlueApi(session, clock)

        def hands(lane: ItGlueApi, *, afresh: bool) -> PassOne:
            organizations = ItGlueOrganizations(
                world.itglue_settings,
                self.memory,
                self.rows,
                self.rules,
                lane,
                self.bms,
                self.itglue,
                clock,
            )
            finding = FindInGlue(lane, self.rows, self.owners, organizations, afresh)
            return PassOne(
                lane, self.rows, self.links, self.owners, finding, self.log, self.failures, clock
            )

        fresh = hands(self.glue, afresh=True)
        self.passing_on = PassingOn(
            world.itglue_settings,
            self.memory,
            self.links,
            self.queues,
            fresh,
            hands(self.glue.bulk(), afresh=False),
            clock,
        )
        self.manage_itglue = ManageItGlue(
            world.itglue_settings,
            self.memory,
            self.glue,
            world.vault,
            self.connections,
            fresh.finding.organizations,
            self.itglue,
            self.queues,
            clock,
        )

    def handle(self, queue: str, text: str) -> None:
        if queue == ITGLUE:
            self.passing_on.handle(decode_pass_on(text))
            return
        super().handle(queue, text)


class GlueWorld(World):
    """Contoso and Fabrikam have organizations: one by BMS id, one by name."""

    worker: GlueWorker

    def __init__(self, storage: RealStorage, bms: BmsProcess, itglue: ItGlueProcess) -> None:
        super().__init__(storage, bms)
        self.glue = itglue.control
        self.vault.put(ITGLUE_KEY, self.glue.key)
        self.inactive = self.glue.types()["No Longer Employed"]
        self.at_contoso = self.glue.add_organization("Contoso Ltd.", psa_id=self.contoso.id)
        self.at_fabrikam = self.glue.add_organization("Fabrikam")
        self.itglue_settings.held = ItGlueSettings(True, itglue.url, self.inactive, version="1")

    def a_worker(self) -> GlueWorker:
        return GlueWorker(self)

    def set_glue(self, **changes: object) -> None:
        """Save the settings as a person does."""
        assert self.itglue_settings.held
        settings = replace(self.itglue_settings.held, **changes)  # type: ignore[arg-type]
        self.worker.manage_itglue.save(ItGlueWish(settings))

    def map_by_hand(self, account: int, organization: int) -> None:
        """Choose an organization."""
        self.set_glue(organizations=((AccountId(account), OrganizationId(organization)),))

    def row(self, user: EntraUser) -> PassedOn:
        """What is remembered of a user's record."""
        found = self.worker.rows.get(self.record_id(user))
        assert found is not None
        return found

    def record_id(self, user: EntraUser) -> RecordId:
        """The BMS contact that the user is linked to."""
        link = self.link(user)
        assert link is not None
        assert link.record_id is not None
        return link.record_id

    def in_glue(self, user: EntraUser) -> PersonState:
        """The contact in IT Glue that the user's record is."""
        contact = self.row(user).contact_id
        assert contact is not None
        return self.glue.contact(int(contact))

    def told(self, user: EntraUser) -> list[Activity]:
        """What the activity says of IT Glue, oldest first."""
        return [one for one in self.activity(user) if one.kind == "itglue"]

    def waiting(self) -> int:
        """Messages for IT Glue in the queue."""
        return self.inbox.backlog().get(ITGLUE, 0)

    def minutes(self, count: int) -> None:
        """Let time pass, with the queues at work."""
        self.deliver(within=timedelta(minutes=count))
