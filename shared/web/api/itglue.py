"""/api/settings/itglue and /api/itglue/…: how IT Glue is reached, its lists, and its one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from shared.core.itglue import ItGlueSettings, OrganizationId
from shared.core.model import AccountId
from shared.ports import Everybody
from shared.sync.itglue_settings import ItGlueWish, LookUp, ManageItGlue
from shared.web.api.shapes import BmsId, Paged, Search, Secret, Shown, Strict, Text, utc
from shared.web.cursor import page_of
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

GlueNumber = Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
_STANDARD = ItGlueSettings()


class OrganizationBody(Strict):
    """A BMS account whose contacts go to this organization."""

    account_id: BmsId
    organization_id: GlueNumber


class ItGlueBody(Strict):
    """PUT /api/settings/itglue. `hasApiKey` may come along from a GET and says nothing here."""

    enabled: bool
    api_url: Text = _STANDARD.api_url
    api_key: Secret | UnsetType | None = UNSET
    inactive_contact_type_id: GlueNumber | None = None
    organizations: Annotated[list[OrganizationBody], Meta(max_length=5000)] = []
    has_api_key: bool | None = None

    def settings(self) -> ItGlueSettings:
        """The settings that these come to, the key apart."""
        return ItGlueSettings(
            enabled=self.enabled,
            api_url=self.api_url,
            inactive_contact_type_id=self.inactive_contact_type_id,
            organizations=tuple(
                (AccountId(each.account_id), OrganizationId(each.organization_id))
                for each in self.organizations
            ),
        )


class OrganizationShown(Shown):
    """A BMS account, and the organization that was chosen for it by hand."""

    account_id: int
    organization_id: int


class ItGlueShown(Shown):
    """The settings. The key never comes back out."""

    enabled: bool
    api_url: str
    has_api_key: bool
    inactive_contact_type_id: int | None
    organizations: list[OrganizationShown]


class NamedShown(Shown):
    """One entry of a look-up."""

    id: int
    name: str


class NamedList(Shown):
    """A page of a look-up."""

    items: list[NamedShown]
    next_cursor: str | None


class AccountShown(Shown):
    """A BMS account and its organization; `by` hand, bms id or name; without one, the reason."""

    account_id: int
    account_name: str
    organization_id: int | None
    organization_name: str
    by: str | None
    reason: str | None


class AccountList(Shown):
    """A page of accounts."""

    items: list[AccountShown]
    next_cursor: str | None


class EverybodyShown(Shown):
    """How far "pass on everybody" is for one connection."""

    connection_id: str
    state: str
    done: int
    started_at: datetime | None


class EverybodyList(Shown):
    """All of them."""

    items: list[EverybodyShown]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ItGlueApi:
    """The resources."""

    manage: ManageItGlue

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        settings, everybody = "/api/settings/itglue", "/api/itglue/pass-on-everybody"
        return [
            Route(
                "GET",
                settings,
                self.get,
                "How IT Glue is reached",
                description="The settings of IT Glue. The key never comes back out.",
                reply=ItGlueShown,
            ),
            Route(
                "PUT",
                settings,
                self.put,
                "Read from IT Glue with these settings, then save them",
                description="Replaces the settings. Nothing is saved when IT Glue refuses the key.",
                refusals=(409,),
                body=ItGlueBody,
                reply=ItGlueShown,
            ),
            Route(
                "GET",
                "/api/itglue/accounts",
                self.accounts,
                "BMS accounts with their organizations in IT Glue",
                description=(
                    "Every account of a mapping rule, with the organization its contacts go to, "
                    "how it was found, or why there is none."
                ),
                refusals=(409, 422),
                query=Paged,
                reply=AccountList,
            ),
            Route(
                "GET",
                everybody,
                self.progress,
                "How far that job is",
                query=Paged,
                description='The state of "pass on everybody", by connection.',
                reply=EverybodyList,
            ),
            Route(
                "POST",
                everybody,
                self.pass_on_everybody,
                "Pass every linked contact on to IT Glue",
                description=(
                    "A bulk job that is started by hand; one that goes on already is not begun "
                    "anew."
                ),
                refusals=(409,),
                reply=EverybodyList,
                status=202,
            ),
            Route(
                "GET",
                "/api/itglue/{kind}",
                self.look_up,
                "Organizations or contact types of IT Glue",
                description=(
                    "One of IT Glue's lists for the forms, searched by name or id with `q`."
                ),
                refusals=(409, 422),
                path={"kind": LookUp},
                query=Search,
                reply=NamedList,
            ),
        ]

    def get(self, _: Call) -> Reply:
        """GET /api/settings/itglue."""
        return self._shown(self.manage.get())

    def put(self, call: Call) -> Reply:
        """PUT /api/settings/itglue."""
        body: ItGlueBody = call.body
        key = None if body.api_key is UNSET else (body.api_key or "").strip()
        return self._shown(self.manage.save(ItGlueWish(body.settings(), key)))

    def accounts(self, call: Call) -> Reply:
        """GET /api/itglue/accounts."""
        query: Paged = call.query
        items, cursor = page_of(list(self.manage.accounts()), query.limit, query.cursor)
        return json_reply(
            AccountList(
                items=[
                    AccountShown(
                        account_id=each.account_id,
                        account_name=each.account_name,
                        organization_id=each.organization_id,
                        organization_name=each.organization_name,
                        by=each.by or None,
                        reason=each.reason or None,
                    )
                    for each in items
                ],
                next_cursor=cursor,
            )
        )

    def progress(self, call: Call) -> Reply:
        """GET /api/itglue/pass-on-everybody."""
        query: Paged = call.query
        items, cursor = page_of(self.manage.progress(), query.limit, query.cursor)
        return json_reply(_everybody(items, cursor))

    def pass_on_everybody(self, _: Call) -> Reply:
        """POST /api/itglue/pass-on-everybody."""
        return json_reply(_everybody(self.manage.pass_on_everybody()), 202)

    def look_up(self, call: Call) -> Reply:
        """GET /api/itglue/{kind}."""
        query: Search = call.query
        wanted = query.q.strip().casefold()
        found = [
            one
            for one in self.manage.choices(call.path["kind"].lower())
            if not wanted or wanted in one[1].casefold() or wanted == str(one[0])
        ]
        items, cursor = page_of(found, query.limit, query.cursor)
        named = [NamedShown(id=number, name=name) for number, name in items]
        return json_reply(NamedList(items=named, next_cursor=cursor))

    def _shown(self, settings: ItGlueSettings) -> Reply:
        return json_reply(
            ItGlueShown(
                enabled=settings.enabled,
                api_url=settings.api_url,
                has_api_key=self.manage.has_key(),
                inactive_contact_type_id=settings.inactive_contact_type_id,
                organizations=[
                    OrganizationShown(account_id=account, organization_id=organization)
                    for account, organization in settings.organizations
                ],
            )
        )


def _everybody(jobs: Sequence[Everybody], cursor: str | None = None) -> EverybodyList:
    return EverybodyList(
        items=[
            EverybodyShown(
                connection_id=each.connection_id,
                state="done" if each.finished else "running",
                done=each.done,
                started_at=utc(each.started_at),
            )
            for each in jobs
        ],
        next_cursor=cursor,
    )
