"""Change-notification subscriptions at Graph (R31, graph.md 5.3 and 5.8).

While a subscription is being created, Graph calls both addresses of ours and waits for the answer:
up to ten seconds each. With delegated permissions delivery ends with the token that a subscription
was last created or extended with, so both are done with a token fetched for the purpose.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from shared.adapters.graph_calls import GraphCalls, codes_of, error_body, error_of, object_of
from shared.adapters.http import Answer
from shared.core.model import Mode
from shared.core.times import moment, zulu
from shared.errors import PersonMustAct, Rejected, SyncError, TryLater

_CHANGES: Final = "updated,deleted"  # "created" is not supported for users and groups
_HANDSHAKE_SECONDS: Final = 40.0
_QUOTA_WORDS: Final = ("quota", "limit", "maximum", "exceed")


def create(
    calls: GraphCalls,
    resource: str,
    *,
    notify: str,
    lifecycle: str,
    client_state: str,
    expires: datetime,
) -> tuple[str, datetime]:
    """See ports.Directory.create_subscription."""
    body = {
        "changeType": _CHANGES,
        "resource": resource,
        "notificationUrl": notify,
        "lifecycleNotificationUrl": lifecycle,  # can not be added later
        "expirationDateTime": zulu(expires),
        "clientState": client_state,
        "latestSupportedTlsVersion": "v1_2",
    }
    answer = _post(calls, body)
    if answer.status == 409:
        _remove_same(calls, resource, notify)
        answer = _post(calls, body)
    if not answer.ok:
        raise _refusal(answer)
    made = object_of(answer)
    subscription_id = made.get("id")
    if not isinstance(subscription_id, str) or not subscription_id:
        raise TryLater("Microsoft Graph made a subscription but did not name it.")
    return subscription_id, moment(made.get("expirationDateTime")) or expires


def extend(calls: GraphCalls, subscription_id: str, expires: datetime) -> datetime | None:
    """See ports.Directory.extend_subscription. PATCH alone: it also takes over the new token."""
    answer = calls.request(
        "PATCH",
        f"/subscriptions/{subscription_id}",
        json_body={"expirationDateTime": zulu(expires)},
        fresh=_delegated(calls),
        read_timeout=_HANDSHAKE_SECONDS,
    )
    if answer.status in (404, 410):
        return None
    if not answer.ok:
        raise _refusal(answer)
    return moment(object_of(answer).get("expirationDateTime")) or expires


def exists(calls: GraphCalls, subscription_id: str) -> bool:
    """See ports.Directory.subscription_exists."""
    answer = calls.request("GET", f"/subscriptions/{subscription_id}")
    if answer.status in (404, 410):
        return False
    if not answer.ok:
        raise error_of(answer)
    return True


def delete(calls: GraphCalls, subscription_id: str) -> None:
    """See ports.Directory.delete_subscription."""
    answer = calls.request("DELETE", f"/subscriptions/{subscription_id}")
    if not answer.ok and answer.status not in (404, 410):
        raise error_of(answer)


def _post(calls: GraphCalls, body: dict[str, Any]) -> Answer:
    return calls.request(
        "POST",
        "/subscriptions",
        json_body=body,
        fresh=_delegated(calls),
        read_timeout=_HANDSHAKE_SECONDS,
    )


def _remove_same(calls: GraphCalls, resource: str, notify: str) -> None:
    """Remove the subscription of ours that stands in the way: its secret may be long gone.

    With delegated permissions the list shows only what this app made for this account.
    """
    ours = [
        row
        for rows in calls.pages("/subscriptions")
        for row in rows
        if isinstance(row, dict)
        and str(row.get("resource", "")).strip("/").lower() == resource
        and str(row.get("applicationId") or calls.connection.application_id).lower()
        == calls.connection.application_id.lower()
        and row.get("id")
    ]
    same_address = [row for row in ours if row.get("notificationUrl") == notify]
    for row in same_address or ours:
        delete(calls, str(row["id"]))


def _delegated(calls: GraphCalls) -> bool:
    return calls.connection.mode is Mode.DELEGATED


def _refusal(answer: Answer) -> SyncError:
    message = str(error_body(answer).get("message") or "").lower()
    if answer.status == 403 and any(word in message for word in _QUOTA_WORDS):
        return PersonMustAct(
            "Microsoft Graph allows no further change subscription for this tenant.",
            "Remove subscriptions of this app that are no longer used (100 per app and tenant).",
            code="subscription",
        )
    if answer.status == 400 and ("validat" in message or "validationerror" in codes_of(answer)):
        return Rejected(
            "Microsoft Graph could not reach this app's notification address, or did not get the "
            "answer it expects there.",
            "Check that PUBLIC_URL is the https address of this app and can be reached from the "
            "internet without a sign-in.",
            code="subscription",
        )
    if answer.status in (400, 409):
        return Rejected(
            f"Microsoft Graph refused the change subscription (HTTP {answer.status}, "
            f"{(codes_of(answer) or ['no code'])[-1][:60]}).",
            "Check that PUBLIC_URL is the https address of this app and can be reached from the "
            "internet.",
            code="subscription",
        )
    return error_of(answer)
