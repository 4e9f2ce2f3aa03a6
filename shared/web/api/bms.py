"""/api/settings/bms and /api/bms/…: how BMS is reached, and its look-up tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from shared.core.model import BmsSettings
from shared.errors import BadInput
from shared.sync.bms_settings import BmsWish, LookUp, ManageBms
from shared.web.api.shapes import BmsId, Search, Secret, Shown, Strict, Text
from shared.web.cursor import page_of
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route

Calls = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Share = Annotated[float, Meta(ge=0, lt=1)]
Ids = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,10}(,[0-9]{1,10})*$",
        max_length=12_000,
        extra={"expects": "ids with commas between them, such as 7,12"},
    ),
]
_STANDARD = BmsSettings()


class BmsBody(Strict):
    """PUT /api/settings/bms. `hasPassword` may come along from a GET and says nothing here."""

    tenant: Text
    user_name: Text
    api_url: Text = _STANDARD.api_url
    gateway_url: Text = _STANDARD.gateway_url
    password: Secret | UnsetType | None = UNSET
    hourly_limit: Calls = _STANDARD.hourly_limit
    hourly_limit_v1: Calls = _STANDARD.hourly_limit_v1
    limit_window_seconds: Seconds = _STANDARD.limit_window_seconds
    fresh_share: Share = _STANDARD.fresh_share
    email_type_id: BmsId | None = None
    work_phone_type_id: BmsId | None = None
    mobile_phone_type_id: BmsId | None = None
    has_password: bool | None = None


class BmsShown(Shown):
    """The settings. The password never comes back out."""

    api_url: str
    gateway_url: str
    tenant: str
    user_name: str
    has_password: bool
    hourly_limit: int
    hourly_limit_v1: int
    limit_window_seconds: int
    fresh_share: float
    email_type_id: int | None
    work_phone_type_id: int | None
    mobile_phone_type_id: int | None


class LookUpQuery(Search):
    """GET /api/bms/{kind}."""

    account_id: BmsId | None = None
    ids: Ids | None = None  # these entries alone: what several ids are called


class ChoiceShown(Shown):
    """One entry of a look-up table."""

    id: int
    name: str
    is_active: bool
    is_main: bool | None = None


class ChoiceList(Shown):
    """A page of a look-up table."""

    items: list[ChoiceShown]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class BmsApi:
    """The resource."""

    manage: ManageBms

    def routes(self) -> list[Route]:
        """Its rows in the table."""
        settings = "/api/settings/bms"
        return [
            Route(
                "GET",
                settings,
                self.get,
                "How BMS is reached",
                description=(
                    "The settings of BMS; before they are saved for the first time, the standard "
                    "ones. The password never comes back out."
                ),
                reply=BmsShown,
            ),
            Route(
                "PUT",
                settings,
                self.put,
                "Sign in to BMS with these settings, then save them",
                description=(
                    "Replaces the settings. Nothing is saved when BMS refuses the sign-in. With "
                    "another address, tenant or user name the password has to be given again."
                ),
                refusals=(409,),
                body=BmsBody,
                reply=BmsShown,
            ),
            Route(
                "GET",
                "/api/bms/{kind}",
                self.look_up,
                "A look-up table of BMS",
                description=(
                    "The entries of one of BMS's tables for the forms, searched by name or id with "
                    "`q`. `accountId` is for locations: those of an account, without it the MSP's "
                    "own."
                ),
                refusals=(409, 422),
                path={"kind": LookUp},
                query=LookUpQuery,
                reply=ChoiceList,
            ),
        ]

    def get(self, _: Call) -> Reply:
        """GET /api/settings/bms."""
        return self._shown(self.manage.get() or _STANDARD)

    def put(self, call: Call) -> Reply:
        """PUT /api/settings/bms."""
        body: BmsBody = call.body
        if body.password is None or body.password == "":
            raise BadInput(
                422,
                "password cannot be removed, since BMS needs one: leave it out to keep the one "
                "that is stored.",
                field="password",
            )
        settings = BmsSettings(
            api_url=body.api_url,
            gateway_url=body.gateway_url,
            tenant=body.tenant,
            user_name=body.user_name,
            hourly_limit=body.hourly_limit,
            hourly_limit_v1=body.hourly_limit_v1,
            limit_window_seconds=body.limit_window_seconds,
            fresh_share=body.fresh_share,
            email_type_id=body.email_type_id,
            work_phone_type_id=body.work_phone_type_id,
            mobile_phone_type_id=body.mobile_phone_type_id,
        )
        password = None if body.password is UNSET else body.password
        return self._shown(self.manage.save(BmsWish(settings, password)))

    def look_up(self, call: Call) -> Reply:
        """GET /api/bms/{kind}."""
        query: LookUpQuery = call.query
        ids = None if query.ids is None else {int(one) for one in query.ids.split(",")}
        choices = self.manage.choices(call.path["kind"].lower(), query.account_id, ids=ids)
        wanted = query.q.strip().casefold()
        found = [
            each
            for each in choices
            if not wanted or wanted in each.name.casefold() or wanted == str(each.id)
        ]
        items, cursor = page_of(found, query.limit, query.cursor)
        return json_reply(
            ChoiceList(
                items=[
                    ChoiceShown(
                        id=each.id, name=each.name, is_active=each.is_active, is_main=each.is_main
                    )
                    for each in items
                ],
                next_cursor=cursor,
            )
        )

    def _shown(self, settings: BmsSettings) -> Reply:
        return json_reply(
            BmsShown(
                api_url=settings.api_url,
                gateway_url=settings.gateway_url,
                tenant=settings.tenant,
                user_name=settings.user_name,
                has_password=self.manage.has_password(),
                hourly_limit=settings.hourly_limit,
                hourly_limit_v1=settings.hourly_limit_v1,
                limit_window_seconds=settings.limit_window_seconds,
                fresh_share=settings.fresh_share,
                email_type_id=settings.email_type_id,
                work_phone_type_id=settings.work_phone_type_id,
                mobile_phone_type_id=settings.mobile_phone_type_id,
            )
        )
