"""Every route of the admin API in one table."""

from __future__ import annotations

from shared.config import Settings
from shared.ports import ActivityLog, Connections
from shared.sync.bms_settings import ManageBms
from shared.sync.choosing import Choosing
from shared.sync.connections import ManageConnections
from shared.sync.employee_defaults import ManageEmployeeDefaults
from shared.sync.holding import Holding
from shared.sync.mapping_rules import MappingRules
from shared.sync.order_sync import OrderSync
from shared.sync.records import Records
from shared.sync.replaying import Replaying
from shared.sync.status import Health, ReadStatus
from shared.sync.users import Users
from shared.sync.worklist import WorkOff
from shared.web.api.activity import ActivityApi
from shared.web.api.bms import BmsApi
from shared.web.api.connect import ConnectApi, Connecting
from shared.web.api.connections import ConnectionsApi
from shared.web.api.employees import EmployeesApi
from shared.web.api.mapping_rules import MappingRulesApi
from shared.web.api.records import RecordsApi
from shared.web.api.status import StatusApi
from shared.web.api.syncs import SyncsApi
from shared.web.api.users import UsersApi
from shared.web.api.waiting import WaitingApi
from shared.web.auth import AdminOnly
from shared.web.router import Api


def admin_api(
    settings: Settings,
    *,
    connections: ManageConnections,
    connect: Connecting,
    syncs: OrderSync,
    rules: MappingRules,
    bms: ManageBms,
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
) -> Api:
    """The admin API over these use cases."""
    return Api(
        AdminOnly(settings),
        [
            *ConnectionsApi(connections, settings.redirect_uri).routes(),
            *ConnectApi(connect, settings).routes(),
            *SyncsApi(syncs).routes(),
            *MappingRulesApi(rules).routes(),
            *BmsApi(bms).routes(),
            *EmployeesApi(employee_defaults, worklist).routes(),
            *UsersApi(users).routes(),
            *RecordsApi(records).routes(),
            *WaitingApi(holding, choosing, replaying, records).routes(),
            *ActivityApi(known_connections, activity).routes(),
            *StatusApi(status, health).routes(),
        ],
    )
