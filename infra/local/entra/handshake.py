"""The validation handshake: both URLs of a new subscription must return the token they are sent."""

import asyncio
import uuid
from urllib.parse import quote_plus, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from infra.local.entra.graph_errors import GraphError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_url(url: str, strict: bool) -> None:
    """Refuse a URL that Graph would not call; plain http passes for loopback unless strict."""
    parts = urlsplit(url)
    loopback = parts.hostname in _LOOPBACK and parts.scheme == "http" and not strict
    if (parts.scheme != "https" and not loopback) or not parts.netloc:
        raise GraphError(400, "InvalidRequest", "Notification URL must be an HTTPS URL.")


async def validate(client: aiohttp.ClientSession, urls: list[str], seconds: float) -> None:
    """Call every URL and compare what it answers; raises the 400 of a failed handshake."""
    await asyncio.gather(*(_handshake(client, url, seconds) for url in urls))


async def _handshake(client: aiohttp.ClientSession, url: str, seconds: float) -> None:
    token = (
        "Validation: Testing client application reachability for subscription Request-Id: "
        f"{uuid.uuid4()}"
    )
    parts = urlsplit(url)
    # The real service writes the colon's escape in lower case.
    written = quote_plus(token).replace("%3A", "%3a")
    query = f"{parts.query}&validationToken={written}".lstrip("&")
    target = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
    failed = GraphError(
        400,
        "ValidationError",
        "Subscription validation request failed. Notification endpoint must respond with "
        "200 OK to validation request.",
    )
    try:
        async with client.post(
            URL(target, encoded=True),
            data=b"",
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=aiohttp.ClientTimeout(total=seconds),
            allow_redirects=False,
        ) as reply:
            text = await reply.text()
            if reply.status != 200 or reply.content_type != "text/plain" or text != token:
                raise failed
    except TimeoutError as error:
        raise GraphError(
            400, "ValidationError", "Subscription validation request timed out."
        ) from error
    except (aiohttp.ClientError, UnicodeDecodeError) as error:
        raise failed from error
