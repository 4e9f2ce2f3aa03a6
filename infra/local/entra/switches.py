"""Everything about Microsoft's behaviour that is undocumented, variable or chosen, as switches.

Defaults are what the reference calls usual. `change` refuses unknown names and wrong types, so
that a misspelt switch in a test does not silently do nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_type_hints

# The four documented answers to a dead delta link, and "cycle" for one after the other.
DELTA_EXPIRY_ANSWERS = (
    "410_location",
    "410_syncStateNotFound",
    "400_syncStateNotFound",
    "410_resyncRequired",
    "400_unsupportedQuery",
)


@dataclass(slots=True)
class Switches:
    """One value per uncertain behaviour."""

    seed: int = 7

    # Delta queries
    delta_page_size: int = 200
    delta_members_per_item: int = 1000  # larger member lists are split over items and pages
    delta_shuffle: bool = True
    delta_repeat_rate: float = 0.0  # share of items that come twice in a round
    delta_replay_changes: int = 0  # already delivered changes that come again in later rounds
    delta_contradictions: bool = False  # a deleted object also comes as a live item
    delta_empty_pages: bool = False  # an empty page with a nextLink before each filled one
    delta_removed_in_full: bool = True  # @removed items in the first round as well
    delta_link_days: float = 7.0
    delta_expiry_answer: str = "410_syncStateNotFound"
    delta_next_link_minutes: float = 24 * 60.0
    delta_resource_units: int = 1

    # Eventual consistency: seconds until a change is seen by that kind of read
    lag_delta_seconds: float = 0.0
    lag_index_seconds: float = 0.0  # transitiveMembers and $search with ConsistencyLevel
    lag_lists_seconds: float = 0.0  # /users, /groups, /groups/{id}/members, getByIds
    lag_reads_seconds: float = 0.0  # /users/{id}, /groups/{id}, deletedItems
    lag_checks_seconds: float = 0.0  # checkMemberGroups, getMemberGroups, memberOf

    # Lists
    list_page_size: int = 100
    list_page_maximum: int = 999
    list_page_token_minutes: float = 10.0
    cast_needs_consistency_level: bool = True

    # Subscriptions and delivery
    subscription_max_minutes: float = 41_760.0
    subscription_conflict: bool = True
    subscriptions_per_app_and_tenant: int = 100
    subscriptions_per_tenant: int = 1_000
    subscriptions_per_app: int = 50_000
    strict_notification_url: bool = False  # True: https only, also on loopback
    validation_on_renewal: bool = False
    validation_seconds: float = 10.0
    token_bound_delivery: str = "delegated"  # or "all", "none"
    notify_delay_seconds: float = 0.0
    notify_loss_rate: float = 0.0
    notify_duplicate_rate: float = 0.0
    notify_shuffle: bool = False
    notify_hold: bool = False  # nothing leaves before deliver_now
    notify_batch_size: int = 50
    notify_batch_window_seconds: float = 0.05
    notify_concurrency: int = 4  # posts in flight per endpoint
    notify_first_limit_seconds: float = 3.0
    notify_retry_limit_seconds: float = 10.0
    notify_retry_base_seconds: float = 10.0
    notify_retry_hours: float = 4.0
    notify_event_time: bool = True  # eventTime, sequenceNumber and organizationId come and go
    notify_members_delta: bool = True
    notify_rewrite: dict[str, str] = field(default_factory=dict)  # public origin -> local base
    endpoint_states: bool = True  # the slow and drop states
    endpoint_minimum_replies: int = 20
    lifecycle: bool = True
    lifecycle_lead_minutes: float = 15.0
    lifecycle_every_minutes: float = 15.0

    # Throttling
    throttle: bool = True
    throttle_quota: int = 0  # resource units per 10 s; 0: by the tenant's size, as documented
    retry_after_form: str = "int"  # or "float", "date", "none"
    batch_order: str = "shuffle"  # or "given", "reverse"
    batch_outer_424: bool = False

    # Sign-in
    browser_http: bool = True  # authorization_endpoint is this process's plain loopback address
    access_token_minutes: float = 0.0  # 0: random 60 to 90
    access_token_chars: int = 1900
    refresh_token_chars: int = 1100
    refresh_token_days: float = 90.0
    code_minutes: float = 10.0
    auto_consent: bool = True  # an administrator who signs in automatically accepts
    grants_all_consented: bool = True  # the token carries earlier consents too
    scope_prefix: bool = False  # "https://graph.microsoft.com/User.Read" in replies
    client_info: bool = True
    foreign_account: str = "error_page"  # or "token": an account of another tenant is let in

    log_bodies: bool = False

    def change(self, values: Mapping[str, Any]) -> None:
        """Set several switches; all are checked before the first is set."""
        kinds = get_type_hints(Switches)
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"There is no switch named {name}.")
            wanted = type(getattr(self, name))
            fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
            if wanted is float and isinstance(value, int) and not isinstance(value, bool):
                fits = True
            if not fits:
                raise ValueError(f"The switch {name} takes {wanted.__name__}, not {value!r}.")
        answer = values.get("delta_expiry_answer", "cycle")
        if answer != "cycle" and answer not in DELTA_EXPIRY_ANSWERS:
            raise ValueError(f"delta_expiry_answer is one of cycle, {DELTA_EXPIRY_ANSWERS}.")
        for name, value in values.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Put every switch back to its default."""
        fresh = Switches()
        for entry in fields(fresh):
            setattr(self, entry.name, getattr(fresh, entry.name))

    def as_dict(self) -> dict[str, Any]:
        """Return all switches with their values."""
        return asdict(self)
