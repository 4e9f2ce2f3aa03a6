"""States that would take hours to reach, written with the app's own stores."""

from __future__ import annotations

from dataclasses import replace

from shared.adapters.store_people import TableLinks
from shared.core.fields import wanted_contact
from shared.core.model import (
    AccountId,
    ConnectionId,
    Cursors,
    Link,
    LinkState,
    RecordId,
    RecordType,
)
from shared.wiring import App


def remember_links(app: App, connection_id: str, account: int) -> int:
    """Link everybody whom the connection's one rule takes to a record that was just written."""
    full_sync = app.sweep.full_sync
    connection = full_sync.connections.get(ConnectionId(connection_id))
    assert connection is not None
    (rule,) = full_sync.rules.edited(connection.id)
    links = full_sync.links
    assert isinstance(links, TableLinks)
    directory = full_sync.directories.open(connection)
    number = 0
    # All of them before the first is written: Graph's pages expire sooner than many are linked.
    pages = list(directory.members(rule.group_id, nested=True))
    for page in pages:
        made: list[Link] = []
        for user in page:
            number += 1
            wanted = wanted_contact(user, connection.email_source)
            made.append(
                Link(
                    connection_id=connection.id,
                    user_id=user.id,
                    state=LinkState.ACTIVE,
                    record_type=RecordType.CONTACT,
                    record_id=RecordId(10_000_000 + number),
                    account_id=AccountId(account),
                    rule_id=rule.id,
                    rule_account_id=AccountId(account),
                    location_id=rule.location_id,
                    fingerprint=wanted.fingerprint,
                    written={
                        "FirstName": wanted.first_name,
                        "LastName": wanted.last_name,
                        "Email": wanted.email,
                        "JobTitle": wanted.job_title,
                    },
                    display_name=user.display_name,
                    upn=user.upn,
                    address=wanted.email,
                    reason="no contact has this address",
                    updated_at=app.sweep.now(),
                )
            )
        links.save(made)
    return number


def begin_syncing(app: App, connection_id: str) -> None:
    """The state after a first sync of a tenant without anybody in scope."""
    full_sync = app.sweep.full_sync
    connection = full_sync.connections.get(ConnectionId(connection_id))
    assert connection is not None
    directory = full_sync.directories.open(connection)
    full_sync.state.save_cursors(
        Cursors(
            connection.id,
            users_link=directory.start_cursor("users"),
            groups_link=directory.start_cursor("groups"),
            tracked_groups=frozenset(one.group_id for one in full_sync.rules.edited(connection.id)),
            swept_at=app.sweep.now(),
        )
    )
    full_sync.rules.make_live(connection.id, full_sync.rules.edited(connection.id))
    full_sync.connections.update(
        connection.id,
        lambda one: replace(one, first_sync_at=app.sweep.now(), compared_edit=one.rules_edited_at),
    )
