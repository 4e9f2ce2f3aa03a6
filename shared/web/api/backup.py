"""/api/export and /api/import: the whole configuration as one JSON file without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared import VERSION
from shared.core.model import MappingRule
from shared.errors import BadInput, BadInputs
from shared.ports import Now
from shared.sync.configuration import (
    CHANGED,
    CREATED,
    UNCHANGED,
    Incoming,
    Outcome,
    Plan,
    carry_out,
    placed,
)
from shared.sync.restoring import BackUp
from shared.web.api.backup_file import (
    FORMAT,
    ConfigurationBody,
    ConnectionInFile,
    configuration_of,
    connection_members,
    connection_of,
    items_of,
    rule_members,
    rule_of,
)
from shared.web.api.mapping_rules import RuleBody
from shared.web.api.shapes import Shown, Strict, utc
from shared.web.http import Reply, json_reply
from shared.web.router import Call, Route


class ImportBody(Strict):
    """POST /api/import. Nothing is written unless `dryRun` is false."""

    configuration: Annotated[msgspec.Raw, Meta(extra={"read_as": ConfigurationBody})]
    dry_run: bool = True


class ImportOutcome(Shown):
    """What becomes of one thing in the file, and which of its members differ from before."""

    place: str
    id: str
    name: str
    members: list[str]
    notes: list[str]


class RefusedShown(Shown):
    """Why something in the file cannot be taken."""

    place: str | None
    detail: str


class SecretShown(Shown):
    """A secret that has to be entered afterwards."""

    place: str
    id: str
    member: str
    next_step: str


class ImportShown(Shown):
    """What an import comes to (dry run), or has come to."""

    dry_run: bool
    created: list[ImportOutcome]
    changed: list[ImportOutcome]
    unchanged: list[ImportOutcome]
    refused: list[RefusedShown]
    secrets: list[SecretShown]
    next_steps: list[str]
    notes: list[str]


class ExportShown(Shown):
    """The file."""

    format: int
    app: dict[str, str]
    exported_at: datetime | None
    connections: list[dict[str, Any]]
    mapping_rules: list[dict[str, Any]]
    settings: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BackUpApi:
    """The resources."""

    back_up: BackUp
    now: Now

    def routes(self) -> list[Route]:
        """Their rows in the table."""
        return [
            Route(
                "GET",
                "/api/export",
                self.export,
                "The whole configuration as one file, without secrets",
                description=(
                    "Connections, mapping rules and settings, to be kept or taken to another "
                    "installation."
                ),
                headers={200: {"Content-Disposition": "A name for the file."}},
                reply=ExportShown,
                tag="Backup",
            ),
            Route(
                "POST",
                "/api/import",
                self.take_in,
                "Merge such a file into the configuration; tells only, unless dryRun is false",
                description=(
                    "Nothing is removed. With `dryRun` the reply tells what would come of it, and "
                    "what is refused."
                ),
                refusals=(409,),
                body=ImportBody,
                tag="Backup",
                reply=ImportShown,
            ),
        ]

    def export(self, _: Call) -> Reply:
        """GET /api/export."""
        held, at = self.back_up.held(), self.now()
        name = f"directory-sync-{at:%Y-%m-%d-%H%M}.json"
        return json_reply(
            ExportShown(
                format=FORMAT,
                app={"version": VERSION},
                exported_at=utc(at),
                connections=[connection_members(each) for each in held.connections],
                mapping_rules=[rule_members(each) for each in held.rules],
                settings={name: dict(members) for name, members in held.settings.items()},
            ),
            headers=(("Content-Disposition", f'attachment; filename="{name}"'),),
        )

    def take_in(self, call: Call) -> Reply:
        """POST /api/import."""
        body: ImportBody = call.body
        plan = self._plan(configuration_of(bytes(body.configuration)))
        if not body.dry_run:
            if plan.refused:
                raise BadInputs(plan.refused)
            carry_out(plan)
        return json_reply(_shown(plan, dry_run=body.dry_run))

    def _plan(self, file: ConfigurationBody) -> Plan:
        refused: list[BadInput] = []
        connections = [
            Incoming(place, connection_of(body, self.now()))
            for place, body in items_of(file.connections, "connections", ConnectionInFile, refused)
        ]
        rules: list[Incoming[MappingRule]] = []
        new_id = self.back_up.rules.new_id
        for place, body in items_of(file.mapping_rules, "mappingRules", RuleBody, refused):
            try:
                rules.append(Incoming(place, rule_of(body, new_id(), self.now())))
            except BadInput as refusal:
                refused.append(placed(place, refusal))
        settings = {name: bytes(content) for name, content in file.settings.items()}
        return self.back_up.plan(connections, rules, settings, refused)


def _shown(plan: Plan, *, dry_run: bool) -> ImportShown:
    def those(became: str) -> list[ImportOutcome]:
        return [_outcome(each) for each in plan.outcomes if each.became == became]

    return ImportShown(
        dry_run=dry_run,
        created=those(CREATED),
        changed=those(CHANGED),
        unchanged=those(UNCHANGED),
        refused=[RefusedShown(place=each.field, detail=each.sentence) for each in plan.refused],
        secrets=[
            SecretShown(place=each.place, id=each.id, member=each.member, next_step=each.next_step)
            for each in plan.missing
        ],
        next_steps=plan.next_steps,
        notes=plan.notes,
    )


def _outcome(one: Outcome) -> ImportOutcome:
    return ImportOutcome(
        place=one.place,
        id=one.id,
        name=one.name,
        members=list(one.members),
        notes=list(one.notes),
    )
