"""Pages of plain list calls.

The ids are fixed when the first page is asked for, so a change between two pages neither skips
nor doubles a person. A page token lives for minutes, as Graph's do.
"""

import base64
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from infra.local.entra.calls import JSON_TYPE, Call, Reply
from infra.local.entra.graph_errors import GraphError, bad_request
from infra.local.entra.rendering import dumps

_KEPT_LISTS = 2_000


@dataclass(slots=True)
class _Listing:
    ids: Sequence[str]
    path: str
    started_at: float


class Listings:
    """Lists that are being paged through."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Listing] = OrderedDict()
        self._next = 1

    def clear(self) -> None:
        """Forget every list: all page tokens are dead."""
        self._kept.clear()

    def keep(self, listing: _Listing) -> int:
        """Keep a list and return its number."""
        number = self._next
        self._next += 1
        self._kept[number] = listing
        if len(self._kept) > _KEPT_LISTS:
            self._kept.popitem(last=False)
        return number

    def get(self, number: int) -> _Listing | None:
        """Return a kept list."""
        return self._kept.get(number)


def page(
    call: Call,
    ids: Callable[[], Sequence[str]],
    render: Callable[[str], bytes | None],
    context: str,
    maximum: int | None = None,
) -> Reply:
    """Answer one page; `render` may leave out what has meanwhile gone."""
    switches = call.world.switches
    query = call.query
    most = maximum or switches.list_page_maximum
    size = query.top or switches.list_page_size
    if size > most:
        raise bad_request(
            f"Invalid page size specified: '{size}'. Must be between 1 and {most} inclusive."
        )
    listings = call.world.listings
    if query.skiptoken is None:
        listing = _Listing(ids(), call.path, call.world.clock.now())
        number, start = 0, 0
    else:
        number, start = _read_token(query.skiptoken)
        found = listings.get(number)
        age_limit = switches.list_page_token_minutes * 60
        if (
            found is None
            or found.path != call.path
            or call.world.clock.now() - found.started_at > age_limit
        ):
            raise GraphError(
                400,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired and can no longer be included in "
                "your request.",
            )
        listing = found
    end = start + size
    pieces = [piece for i in listing.ids[start:end] if (piece := render(i)) is not None]
    head = b'{"@odata.context":' + dumps(f"{call.base}/$metadata#{context}")
    if query.count and query.skiptoken is None:
        head += b',"@odata.count":%d' % len(listing.ids)
    if end < len(listing.ids):
        number = number or listings.keep(listing)
        head += b',"@odata.nextLink":' + dumps(_next_link(call, number, end))
    return Reply(200, head + b',"value":[' + b",".join(pieces) + b"]}", content_type=JSON_TYPE)


def _next_link(call: Call, number: int, start: int) -> str:
    kept = [
        f"{key}={quote(value, safe=',$()')}"
        for key, value in parse_qsl(call.query.raw, keep_blank_values=True)
        if key.lower() != "$skiptoken"
    ]
    token = base64.urlsafe_b64encode(f"RFNwdAIAA{number}.{start}".encode()).decode().rstrip("=")
    return f"{call.base}{call.path}?{'&'.join([*kept, f'$skiptoken={token}'])}"


def _read_token(text: str) -> tuple[int, int]:
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        number, start = plain.removeprefix("RFNwdAIAA").split(".")
        return int(number), int(start)
    except ValueError as error:
        raise bad_request("The specified page token value is not valid.") from error
