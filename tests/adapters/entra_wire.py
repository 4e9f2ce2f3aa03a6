"""Our adapters in front of the stand-in for Microsoft sign-in and Graph, at the real host names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import requests

from infra.local.entra.control import EntraControl
from infra.local.entra.loopback import GRAPH, LOGIN, Loopback
from shared.adapters.graph import GraphDirectories
from shared.adapters.http_session import PooledSession
from shared.adapters.signin import MsalSignIn
from shared.config import Settings, StorageSettings
from shared.core.model import Connection, ConnectionId, Mode
from shared.ports import Directory, SignedIn, application_key
from tests.fakes import FakeVault

CLIENT_ID = "11111111-0000-4000-8000-000000000001"
SECRET = "correct-secret-value"
PUBLIC_URL = "https://sync.example.test"
SETTINGS = Settings(StorageSettings(), "https://vault.vault.azure.net", PUBLIC_URL)


def settings(public_url: str = PUBLIC_URL) -> Settings:
    return replace(SETTINGS, public_url=public_url)


@dataclass
class Wire:
    """One tenant with the app registered, and what our side needs to reach it."""

    entra: EntraControl
    tenant: str
    settings: Settings = SETTINGS
    vault: FakeVault = field(default_factory=FakeVault)
    waited: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = PooledSession()
        for host in (LOGIN, GRAPH):
            self.session.mount(f"{host}/", Loopback(self.entra.base_url))
        self.sign_in = MsalSignIn(self.settings, self.vault, self.session, sleep=self.waited.append)
        self.directories = GraphDirectories(self.settings, self.session, self.sign_in)
        self.vault.put(application_key(self.connection().id), SECRET)

    def connection(self, mode: Mode = Mode.APPLICATION) -> Connection:
        return Connection(
            id=ConnectionId("c1"),
            tenant_domain="contoso.test",
            application_id=CLIENT_ID,
            mode=mode,
            created_at=datetime(2026, 3, 1, tzinfo=UTC),
            tenant_id=self.tenant,
        )

    def directory(self, mode: Mode = Mode.APPLICATION) -> Directory:
        return self.directories.open(self.connection(mode))

    def browse(self, url: str) -> dict[str, str]:
        """What a browser brings back to the callback."""
        browser = requests.Session()
        browser.trust_env = False
        for host in (LOGIN, GRAPH):
            browser.mount(f"{host}/", Loopback(self.entra.base_url))
        answer = browser.get(url, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    def sign_in_once(self, mode: Mode = Mode.DELEGATED) -> SignedIn:
        start = self.sign_in.begin(self.connection(mode))
        query = self.browse(start.authorize_url)
        return self.finish(mode, start.cookie, query)

    def finish(self, mode: Mode, cookie: str, query: Mapping[str, str]) -> SignedIn:
        return self.sign_in.finish(self.connection(mode), cookie=cookie, query=query)


def a_wire(entra: EntraControl, public_url: str = PUBLIC_URL) -> Wire:
    """A fresh tenant, signed in as an administrator."""
    entra.reset()
    tenant = entra.add_tenant("contoso.test", display_name="Contoso")
    user = entra.add_user(tenant, "ines@contoso.test", displayName="Ines Okafor")
    entra.set_administrator(tenant, user)
    redirect = f"{public_url}/OAuth/IntegrationCallback.aspx"
    entra.register_app(CLIENT_ID, tenant, SECRET, [redirect])
    entra.sign_in_as("ines@contoso.test", tenant)
    return Wire(entra, tenant, settings(public_url))
