"""Graph calls on /subscriptions, with the validation handshake during the POST."""

from infra.local.entra.calls import Call, Reply
from infra.local.entra.graph_errors import GraphError, denied
from infra.local.entra.rendering import dumps
from infra.local.entra.subscriptions import (
    SCOPE_OF,
    Subscription,
    build,
    read_expiry,
    visible,
)


async def create(call: Call) -> Reply:
    """POST /subscriptions"""
    world = call.world
    _pay(call, "write")
    subscription = build(
        call.json(), call.token, world.clock, world.switches.subscription_max_minutes
    )
    if SCOPE_OF[subscription.collection] not in call.token.permissions:
        raise denied()
    book = world.subscriptions
    book.drop_expired(world.clock.now())
    _refuse_double(call, subscription)
    _refuse_too_many(call)
    await world.delivery.validate(subscription)
    # The directory or another request may have moved while the handshake ran.
    _refuse_double(call, subscription)
    _refuse_too_many(call)
    world.delivery.schedule_lifecycle(subscription)
    book.add(subscription)
    return _one(call, subscription, 201)


def list_all(call: Call) -> Reply:
    """GET /subscriptions"""
    _pay(call, "list")
    world = call.world
    world.subscriptions.drop_expired(world.clock.now())
    mine = [
        subscription.as_json()
        for subscription in world.subscriptions.by_tenant.get(call.token.tenant, {}).values()
        if visible(subscription, call.token)
    ]
    context = f"{call.base}/$metadata#subscriptions"
    return Reply(200, dumps({"@odata.context": context, "value": mine}))


def get(call: Call) -> Reply:
    """GET /subscriptions/{id}"""
    _pay(call, "get")
    return _one(call, _mine(call), 200)


async def renew(call: Call) -> Reply:
    """PATCH /subscriptions/{id}"""
    _pay(call, "write")
    world = call.world
    subscription = _mine(call)
    body = call.json()
    if SCOPE_OF[subscription.collection] not in call.token.permissions:
        raise denied()
    for name in body:
        if name not in ("expirationDateTime", "notificationUrl"):
            raise GraphError(400, "InvalidRequest", f"The property '{name}' cannot be updated.")
    expires_at = subscription.expires_at
    if "expirationDateTime" in body:
        most = world.switches.subscription_max_minutes
        expires_at = read_expiry(body["expirationDateTime"], world.clock, most)
    if "notificationUrl" in body:
        subscription.notification_url = str(body["notificationUrl"])
    if world.switches.validation_on_renewal or "notificationUrl" in body:
        await world.delivery.validate(subscription)
    now = world.clock.now()
    if now - subscription.reauthorized_at < 600:
        world.delivery.note_misuse(subscription)
    subscription.expires_at = expires_at
    subscription.renewed_at = now
    _extend_token(call, subscription)
    return _one(call, subscription, 200)


def reauthorize(call: Call) -> Reply:
    """POST /subscriptions/{id}/reauthorize"""
    _pay(call, "reauthorize")
    subscription = _mine(call)
    if SCOPE_OF[subscription.collection] not in call.token.permissions:
        raise denied()
    now = call.world.clock.now()
    if now - subscription.renewed_at < 600:
        call.world.delivery.note_misuse(subscription)
    subscription.reauthorized_at = now
    _extend_token(call, subscription)
    return Reply(204)


def delete(call: Call) -> Reply:
    """DELETE /subscriptions/{id}"""
    _pay(call, "write")
    call.world.subscriptions.drop(_mine(call).id)
    return Reply(204)


def _extend_token(call: Call, subscription: Subscription) -> None:
    subscription.token_expires_at = call.token.expires_at
    call.world.delivery.schedule_lifecycle(subscription)
    call.world.delivery.wake()


def _mine(call: Call) -> Subscription:
    return call.world.subscriptions.find(call.params[0], call.token, call.world.clock.now())


def _pay(call: Call, kind: str) -> None:
    call.world.throttle.subscription_call(call.token.client_id, call.token.tenant, kind)


def _refuse_double(call: Call, new: Subscription) -> None:
    if not call.world.switches.subscription_conflict:
        return
    for old in call.world.subscriptions.by_tenant.get(new.tenant, {}).values():
        if (
            old.client_id == new.client_id
            and old.creator == new.creator
            and old.change_types == new.change_types
            and old.resource.strip("/").lower() == new.resource.strip("/").lower()
        ):
            raise GraphError(
                409,
                "Conflict",
                f"Subscription Id <{old.id}> already exists for the requested combination",
            )


def _refuse_too_many(call: Call) -> None:
    switches = call.world.switches
    book = call.world.subscriptions
    here = book.by_tenant.get(call.token.tenant, {})
    own = sum(1 for s in here.values() if s.client_id == call.token.client_id)
    everywhere = sum(1 for s in book.by_id.values() if s.client_id == call.token.client_id)
    for count, most, scope in (
        (own, switches.subscriptions_per_app_and_tenant, "application and tenant"),
        (len(here), switches.subscriptions_per_tenant, "tenant"),
        (everywhere, switches.subscriptions_per_app, "application"),
    ):
        if count >= most:
            raise GraphError(
                403,
                "Forbidden",
                f"The maximum number of subscriptions per {scope} ({most}) has been reached.",
            )


def _one(call: Call, subscription: Subscription, status: int) -> Reply:
    context = f"{call.base}/$metadata#subscriptions/$entity"
    return Reply(status, dumps({"@odata.context": context, **subscription.as_json()}))
