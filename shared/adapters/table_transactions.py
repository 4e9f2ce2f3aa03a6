"""Transactions of Azure Table Storage, written and read as the multipart text that they are.

The SDK makes a mail message of every write and a mail parser reads every answer, in threads of its
own: that was more than half of what a first sync cost this process. Here the text is put together
and taken apart directly; it still goes through the SDK's own pipeline, which signs it, tries again,
and says what went wrong.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from azure.data.tables import TableClient

Entity = dict[str, Any]

_HEADERS: Final = {
    "Accept": "application/json",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "x-ms-version": "2019-02-02",
}
_PART: Final = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    "{method} {url} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
    "DataServiceVersion: 3.0;NetFx\r\n{headers}\r\n{body}\r\n"
)
# Answers are lines, and JSON stands on one: no value can look like a status.
_ANSWER: Final = re.compile(r"^HTTP/1\.[01] (?=\d{3})", re.M)
_ETAG: Final = re.compile(r"^etag:[ \t]*(.+?)[ \t]*\r?$", re.M | re.I)
_ERROR: Final = re.compile(r"^\{.*\}", re.M)
_PLACE: Final = re.compile(r"(\d+):")


@dataclass(frozen=True, slots=True)
class Write:
    """One entity to write. `etag` None: whoever wrote; "": must not exist; else must match.

    `delete` removes the entity instead.
    """

    entity: Entity
    etag: str | None = None
    delete: bool = False


class LostRace(Exception):
    """One write of a transaction met something else than it was to meet; nothing was done."""

    def __init__(self, index: int) -> None:
        super().__init__(f"write {index}")
        self.index = index


def send(client: TableClient, writes: Sequence[Write]) -> list[str]:
    """Do all of these writes of one partition, or none; answers their new etags.

    Raises LostRace, or whatever the SDK raises for its own calls.
    """
    from azure.core.exceptions import ClientAuthenticationError, DecodeError, map_error
    from azure.core.rest import HttpRequest

    boundary = f"batch_{uuid.uuid4()}"
    headers = {**_HEADERS, "Content-Type": f"multipart/mixed; boundary={boundary}"}
    content = encoded(f"{client.url}/{client.table_name}", writes, boundary)
    request = HttpRequest("POST", f"{client.url}/$batch", headers=headers, content=content)
    # The generated client is the way into the SDK's pipeline for a request that is made already;
    # the version of the SDK is pinned, and the tests of the tables go this way.
    # As a stream, since the pipeline would take the text of a plain answer for JSON or XML.
    response = client._client.send_request(request, stream=True)
    response.read()
    if response.status_code != 202:
        map_error(response.status_code, response, {401: ClientAuthenticationError})
        response.raise_for_status()
    etags = _read(response.text())
    if len(etags) != len(writes):
        raise DecodeError("a transaction was answered in part")
    return etags


def encoded(url: str, writes: Sequence[Write], boundary: str) -> bytes:
    """The body of a transaction."""
    changes = f"changeset_{uuid.uuid4()}"
    parts = [f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n"]
    for write in writes:
        parts += (f"--{changes}\r\n", _part(url, write))
    parts.append(f"--{changes}--\r\n--{boundary}--\r\n")
    return "".join(parts).encode()


def _part(url: str, write: Write) -> str:
    entity = write.entity
    if not write.delete and write.etag == "":
        # The answer is not to hold the entity, which is known.
        return _PART.format(
            method="POST",
            url=url,
            headers="Content-Type: application/json\r\nPrefer: return-no-content\r\n",
            body=_json(entity),
        )
    keys = (_key(entity[name]) for name in ("PartitionKey", "RowKey"))
    place = "{}(PartitionKey='{}',RowKey='{}')".format(url, *keys)
    if write.delete:
        match = f"If-Match: {write.etag or '*'}\r\n"
        return _PART.format(method="DELETE", url=place, headers=match, body="")
    match = f"If-Match: {write.etag}\r\n" if write.etag else ""
    headers = f"Content-Type: application/json\r\n{match}"
    return _PART.format(method="PUT", url=place, headers=headers, body=_json(entity))


def _key(value: str) -> str:
    return quote(value.replace("'", "''"), safe="")


def _json(entity: Mapping[str, Any]) -> str:
    found: dict[str, Any] = {}
    for name, value in entity.items():
        if value is None:
            continue
        if isinstance(value, float):
            found[f"{name}@odata.type"] = "Edm.Double"  # else a whole one would come back as int
        elif isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise TypeError(f"{name} is too large for a table")
        elif not isinstance(value, str | int):
            raise TypeError(f"{name} is no value of a table")
        found[name] = value
    # ASCII keeps every line break and every odd character escaped.
    return json.dumps(found, separators=(",", ":"))


def _read(text: str) -> list[str]:
    etags: list[str] = []
    for answer in _ANSWER.split(text)[1:]:
        status = int(answer[:3])
        if status >= 400:
            raise _refusal(status, answer)
        etag = _ETAG.search(answer)
        etags.append(etag[1] if etag else "")
    return etags


def _refusal(status: int, answer: str) -> Exception:
    from azure.core.exceptions import HttpResponseError

    found = _ERROR.search(answer)
    words = ""
    if found is not None:
        error = json.loads(found[0]).get("odata.error", {})
        words = str(error.get("message", {}).get("value", ""))
    if status in (404, 409, 412):
        place = _PLACE.match(words)
        return LostRace(int(place[1]) if place else 0)
    refusal = HttpResponseError(f"a transaction was refused: {status}")
    refusal.status_code = status
    return refusal
