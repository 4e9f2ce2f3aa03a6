"""Reads and writes of Azure tables as the plain JSON and multipart text that they are.

The SDK takes an answer apart in three layers, a row and a property at a time; of a transaction it
makes a mail message for each write, and a mail parser reads the answers, in threads of its own.
That was more than half of what a full sync cost this process. Here the text is put together and
taken apart directly; it still goes through the SDK's own pipeline, which signs it, tries again, and
says what went wrong.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from azure.data.tables import TableClient

Entity = dict[str, Any]

_HEADERS: Final = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
    "x-ms-version": "2019-02-02",
}
_JSON: Final = "application/json"
_CONTINUATION: Final = ("NextPartitionKey", "NextRowKey")
_PART: Final = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    "{method} {url} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n"
    "DataServiceVersion: 3.0;NetFx\r\n{headers}\r\n{body}\r\n"
)
# ASCII keeps every line break and every odd character escaped.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
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


# --- reading -----------------------------------------------------------------------------------


def get(client: TableClient, partition: str, row: str) -> Entity | None:
    """One entity with its `etag`, or None."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return _entity(_object(_call(client, "GET", _place(client, partition, row)).content))
    except ResourceNotFoundError:
        return None


def pages(
    client: TableClient,
    query: str,
    parameters: Mapping[str, Any],
    select: Sequence[str],
    page: int,
    after: str | None,
) -> Iterator[tuple[list[Entity], str | None]]:
    """Pages of a query, each with the token of the next page (None at the end)."""
    for content, token in contents(client, query, parameters, select, page, after):
        rows = _object(content).get("value", [])
        yield [_entity(row) for row in rows], token


def contents(
    client: TableClient,
    query: str,
    parameters: Mapping[str, Any],
    select: Sequence[str],
    page: int,
    after: str | None,
    *,
    plain: bool = False,
) -> Iterator[tuple[bytes, str | None]]:
    """The same as the JSON that came; `plain`: without types and etags."""
    asked = {"$filter": filled(query, parameters), "$top": str(page)}
    if select:
        asked["$select"] = ",".join(select)
    headers = {"Accept": "application/json;odata=nometadata"} if plain else None
    while True:
        words = {**asked, **_token_read(after)}
        address = f"{client.url}/{client.table_name}()?{urlencode(words, quote_via=quote)}"
        answer = _call(client, "GET", address, headers)
        following = [answer.headers.get(f"x-ms-continuation-{one}", "") for one in _CONTINUATION]
        after = "\n".join(following) if any(following) else None
        yield answer.content, after
        if after is None:
            return


def filled(query: str, parameters: Mapping[str, Any]) -> str:
    """The filter with its parameters: what came from outside stays a value (design section 9)."""

    def literal(match: re.Match[str]) -> str:
        value = parameters[match[1]]
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if not isinstance(value, str):
            raise TypeError(f"{match[1]} is no value of a filter")
        return "'" + value.replace("'", "''") + "'"

    return re.sub(r"@(\w+)", literal, query)


def _entity(row: Mapping[str, Any]) -> Entity:
    found: Entity = {}
    for name, value in row.items():
        if "odata." in name or name == "Timestamp":
            continue
        kind = row.get(f"{name}@odata.type")
        if kind == "Edm.Int64":
            value = int(value)
        elif kind == "Edm.Double":
            value = float(value)
        found[name] = value
    found["etag"] = str(row.get("odata.etag", ""))
    return found


def _token_read(token: str | None) -> dict[str, str]:
    parts = zip(_CONTINUATION, (token or "").split("\n"), strict=False)
    return {name: value for name, value in parts if value}


# --- writing -----------------------------------------------------------------------------------


def write_one(client: TableClient, write: Write) -> str:
    """Write one entity; its new etag. Raises LostRace when something else was there."""
    from azure.core.exceptions import (
        ResourceExistsError,
        ResourceModifiedError,
        ResourceNotFoundError,
    )

    method, place, headers, body = _parts(f"{client.url}/{client.table_name}", write)
    try:
        answer = _call(client, method, place, headers, body)
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
        raise LostRace(0) from error
    return str(answer.headers.get("etag", ""))


def write_together(client: TableClient, writes: Sequence[Write]) -> list[str]:
    """Do all of these writes of one partition, or none; answers their new etags.

    Raises LostRace, or whatever the SDK raises for its own calls.
    """
    from azure.core.exceptions import DecodeError

    boundary = f"batch_{uuid.uuid4()}"
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "Accept": _JSON}
    content = encoded(f"{client.url}/{client.table_name}", writes, boundary)
    # As a stream, since the pipeline would take the text of a plain answer for JSON or XML.
    answer = _call(client, "POST", f"{client.url}/$batch", headers, content, stream=True)
    answer.read()
    etags = _etags(answer.text())
    if len(etags) != len(writes):
        raise DecodeError("a transaction was answered in part")
    return etags


def _call(
    client: TableClient,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    *,
    stream: bool = False,
) -> Any:
    from azure.core.exceptions import (
        ClientAuthenticationError,
        ResourceExistsError,
        ResourceModifiedError,
        ResourceNotFoundError,
        map_error,
    )
    from azure.core.rest import HttpRequest

    request = HttpRequest(method, url, headers={**_HEADERS, **(headers or {})}, content=content)
    # The generated client is the way into the SDK's pipeline for a request that is made already;
    # the version of the SDK is pinned, and every test of the tables goes this way.
    answer = client._client.send_request(request, stream=stream)
    if answer.status_code >= 400:
        known = {
            401: ClientAuthenticationError,
            404: ResourceNotFoundError,
            409: ResourceExistsError,
            412: ResourceModifiedError,
        }
        map_error(answer.status_code, answer, known)
        answer.raise_for_status()
    return answer


def _object(content: bytes) -> dict[str, Any]:
    from azure.core.exceptions import DecodeError

    try:
        body = json.loads(content)
    except ValueError as error:
        raise DecodeError("an answer is cut off or no JSON") from error
    if not isinstance(body, dict):
        raise DecodeError("an answer is of an unknown form")
    return body


def encoded(url: str, writes: Sequence[Write], boundary: str) -> bytes:
    """The body of a transaction."""
    changes = f"changeset_{uuid.uuid4()}"
    parts = [f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n"]
    for write in writes:
        parts += (f"--{changes}\r\n", _part(url, write))
    parts.append(f"--{changes}--\r\n--{boundary}--\r\n")
    return "".join(parts).encode()


def _part(url: str, write: Write) -> str:
    method, place, headers, body = _parts(url, write)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return _PART.format(method=method, url=place, headers=lines, body=body.decode())


def _parts(url: str, write: Write) -> tuple[str, str, dict[str, str], bytes]:
    """Method, address, headers and body of one write."""
    entity = write.entity
    if not write.delete and write.etag == "":
        # The answer is not to hold the entity, which is known.
        headers = {"Content-Type": "application/json", "Prefer": "return-no-content"}
        return "POST", url, headers, _json(entity)
    place = f"{url}{_keys(entity['PartitionKey'], entity['RowKey'])}"
    if write.delete:
        return "DELETE", place, {"If-Match": write.etag or "*"}, b""
    headers = {"Content-Type": "application/json"}
    if write.etag:
        headers["If-Match"] = write.etag
    return "PUT", place, headers, _json(entity)


def _place(client: TableClient, partition: str, row: str) -> str:
    return f"{client.url}/{client.table_name}{_keys(partition, row)}"


def _keys(partition: str, row: str) -> str:
    partition, row = (quote(one.replace("'", "''"), safe="") for one in (partition, row))
    return f"(PartitionKey='{partition}',RowKey='{row}')"


def _json(entity: Mapping[str, Any]) -> bytes:
    found: dict[str, Any] = {}
    for name, value in entity.items():
        kind = type(value)
        if kind is str or kind is bool:
            found[name] = value
        elif value is None:
            continue
        elif isinstance(value, float):
            found[f"{name}@odata.type"] = "Edm.Double"  # else a whole one would come back as int
            found[name] = value
        elif isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise TypeError(f"{name} is too large for a table")
        elif isinstance(value, (str, int)):
            found[name] = value
        else:
            raise TypeError(f"{name} is no value of a table")
    return _ENCODER.encode(found).encode()


def _etags(text: str) -> list[str]:
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
