"""The BMS adapter on the stand-in process, signed in to a fresh tenant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from infra.local.bms.control import BmsControl
from infra.local.bms.process import BmsProcess
from shared.adapters.bms import BmsApi
from shared.adapters.bms_budget import BmsBudget, SavedLimit
from shared.adapters.bms_session import BmsSession
from shared.adapters.http_session import PooledSession
from shared.core.model import AccountId, BmsSettings, Contact, RecordId
from shared.ports import BMS_PASSWORD, NewContact
from tests.fakes import Clock, FakeBmsSettings, FakeVault
from tests.real_storage import RealStorage

SIGN_IN = "POST /v2/security/authenticate"
CREATE, PATCH = "POST /v2/crm/contacts/summary", "PATCH /v2/crm/contacts/{id}"
READ, LIST = "GET /v2/crm/contacts/summary/{id}", "GET /v2/crm/contacts/summary"
PASSWORD = "correct horse battery staple"
SETTINGS = BmsSettings(tenant="Northwind MSP", user_name="directory.sync", version="1")


@dataclass
class BmsWire:
    """The adapter, signed in to a fresh tenant with one account."""

    process: BmsProcess
    storage: RealStorage
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))
    vault: FakeVault = field(default_factory=lambda: FakeVault({BMS_PASSWORD: PASSWORD}))

    def __post_init__(self) -> None:
        self.control: BmsControl = self.process.control
        self.settings = FakeBmsSettings(replace(SETTINGS, api_url=self.process.url))
        self.account = self.control.add_account("Contoso")
        self.api = self.another()

    def another(self) -> BmsApi:
        """Another process of the app."""
        limit = SavedLimit(self.settings, self.clock)
        budget = BmsBudget(self.storage.opened(), limit, self.clock)
        session = BmsSession(PooledSession(), self.settings, self.vault, budget, self.clock)
        return BmsApi(session, self.clock)

    def calls(self, endpoint: str) -> int:
        return self.control.counters().calls.get(endpoint, 0)

    def a_contact(self, *emails: str, **fields: Any) -> RecordId:
        given = {"first_name": "Ada", "last_name": "Lind", **fields}
        made = self.control.add_contact(
            self.account.id, emails=emails or ("ada@contoso.example",), **given
        )
        return RecordId(made.id)

    def read(self, record: RecordId) -> Contact:
        found = self.api.contact(record)
        assert found is not None
        return found

    def new(self, **fields: Any) -> NewContact:
        given: dict[str, Any] = {
            "first_name": "Ada",
            "last_name": "Lind",
            "account_id": AccountId(self.account.id),
            "location_id": self.account.main_location_id,
            "email": "ada@contoso.example",
            "email_type_id": 11,
        }
        return NewContact(**{**given, **fields})
