"""Every route of the admin API in one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shared.config import Settings
from shared.errors import SyncError
from shared.ports import ActivityLog, Connections, Now
from shared.ports.schema import Schema
from shared.sync.bms_settings import ManageBms
from shared.sync.choosing import Choosing
from shared.sync.connections import ManageConnections
from shared.sync.employee_defaults import ManageEmployeeDefaults
from shared.sync.holding import Holding
from shared.sync.itglue_settings import ManageItGlue
from shared.sync.mapping_rules import MappingRules
from shared.sync.order_sync import OrderSync
from shared.sync.previewing import Previewing
from shared.sync.records import Records
from shared.sync.replaying import Replaying
from shared.sync.restoring import BackUp
from shared.sync.status import Health, ReadStatus
from shared.sync.users import Users
from shared.sync.worklist import WorkOff
from shared.web.api.activity import ActivityApi
from shared.web.api.backup import BackUpApi
from shared.web.api.backup_sections import (
    bms_section,
    employee_defaults_section,
    itglue_section,
)
from shared.web.api.bms import BmsApi
from shared.web.api.connect import ConnectApi, Connecting
from shared.web.api.connections import ConnectionsApi
from shared.web.api.employees import EmployeesApi
from shared.web.api.itglue import ItGlueApi
from shared.web.api.mapping_rules import MappingRulesApi
from shared.web.api.previews import PreviewsApi
from shared.web.api.records import RecordsApi
from shared.web.api.status import StatusApi
from shared.web.api.syncs import SyncsApi
from shared.web.api.users import UsersApi
from shared.web.api.waiting import WaitingApi
from shared.web.auth import AdminOnly
from shared.web.http import Reply
from shared.web.router import Api, Call, Route

_NOT_READY = b"The app is not ready. Please try again in a few minutes."


def admin_api(
    settings: Settings,
    *,
    connections: ManageConnections,
    connect: Connecting,
    syncs: OrderSync,
    rules: MappingRules,
    previews: Previewing,
    bms: ManageBms,
    itglue: ManageItGlue,
    employee_defaults: ManageEmployeeDefaults,
    worklist: WorkOff,
    users: Users,
    records: Records,
    holding: Holding,
    choosing: Choosing,
    replaying: Replaying,
    status: ReadStatus,
    health: Health,
    activity: ActivityLog,
    known_connections: Connections,
    schema: Schema,
    now: Now,
) -> Api:
    """The admin API over these use cases."""
    # The settings resources that a backup holds besides connections and mapping rules.
    sections = (
        bms_section(bms),
        itglue_section(itglue),
        employee_defaults_section(employee_defaults),
    )
    return _api(
        schema,
        AdminOnly(settings),
        [
            *ConnectionsApi(connections, settings.redirect_uri).routes(),
            *ConnectApi(connect, settings).routes(),
            *SyncsApi(syncs).routes(),
            *MappingRulesApi(rules, previews).routes(),
            *PreviewsApi(previews).routes(),
            *BmsApi(bms).routes(),
            *ItGlueApi(itglue).routes(),
            *EmployeesApi(employee_defaults, worklist).routes(),
            *UsersApi(users).routes(),
            *RecordsApi(records).routes(),
            *WaitingApi(holding, choosing, replaying, records).routes(),
            *ActivityApi(known_connections, activity).routes(),
            *StatusApi(status, health).routes(),
            *BackUpApi(BackUp(connections, rules, connections.vault, sections), now).routes(),
        ],
    )


def _api(schema: Schema, admin_only: AdminOnly, routes: Iterable[Route]) -> Api:
    """An API whose every handler finds tables of this app's version."""
    return Api(admin_only, [_on_ready_tables(schema, route) for route in routes])


def _on_ready_tables(schema: Schema, route: Route) -> Route:
    def handler(call: Call) -> Reply:
        try:
            schema.bring_up()
        except SyncError:
            if route.anonymous:  # a stranger learns nothing of it, but that it is so
                return Reply(503, _NOT_READY, "text/plain", (("Cache-Control", "no-store"),))
            raise
        return route.handler(call)

    return replace(route, handler=handler)
