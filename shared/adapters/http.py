"""The one place where requests leave.

An `HttpClient` may call a few hosts with a few methods and nothing else: a call outside of that is
refused before anything is sent (R16: BMS and IT Glue get no DELETE). Passing trouble is retried
here and nowhere else, bounded in tries and in time; what would take longer is raised as TryLater,
so that the queue brings the work back. A write whose answer never came is Uncertain, never sent
again from here. Redirects are not followed. Nothing of `requests` leaks further up.
"""

from __future__ import annotations

import json
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

import requests
import urllib3.exceptions

from shared.adapters.http_session import PooledSession
from shared.errors import Limited, Misconfigured, TryLater, Uncertain
from shared.measures import tracer

log = logging.getLogger(__name__)

# R16; and a PUT sets to false what it leaves out (bms-api.md 5.4).
NO_DELETE: Final = frozenset({"GET", "POST", "PATCH"})
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
_LONGEST_RETRY_AFTER: Final = 24 * 3600.0
_LARGEST_BODY: Final = 64 * 1024 * 1024
# Parsers disagree about where the host of an address with one of these ends.
_STRANGE: Final = re.compile(r"[\\\x00-\x20]")
_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z0-9$_.,()-]{0,80}")
_REQUEST_IDS: Final = ("request-id", "x-ms-request-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply. `repeatable` tells whether asking again would do no harm."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    name: str = "The other side"
    repeatable: bool = True

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body parsed; TryLater when it is cut off or no JSON (Uncertain after a write)."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            sentence = f"{self.name} sent an answer that is cut off or no JSON."
            raise (TryLater(sentence) if self.repeatable else Uncertain(sentence)) from error

    @property
    def retry_after(self) -> float | None:
        """The seconds that the other side asks to be left alone, if it says so."""
        return retry_after_seconds(self.headers)


class Stop(Protocol):
    """Stands in front of one limit."""

    def pass_or_raise(self, name: str) -> None:
        """Before every try; TryLater when the wait would be long."""

    def limited(self, asked: float | None) -> float | None:
        """The other side has just refused because of its limit; `asked`: for how many seconds.

        Answers for how many seconds nobody passes from here on, if that is known.
        """


class Brake:
    """Stops all threads of this process in front of one limit, e.g. that of one tenant."""

    def __init__(
        self,
        *,
        longest_wait: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._until = 0.0
        self._longest_wait = longest_wait
        self._sleep = sleep
        self._clock = clock

    def limited(self, asked: float | None) -> float | None:
        """Refused because of a limit: for how many seconds nobody passes, if that is known."""
        if asked:
            self.hold(asked)
        return asked

    def hold(self, seconds: float) -> None:
        """Nobody passes for so long. A longer hold that is already there stays."""
        self._until = max(self._until, self._clock() + seconds)

    def pass_or_raise(self, name: str) -> None:
        """Pass, after a short wait if need be; TryLater when the wait would be long."""
        left = self._until - self._clock()
        if left <= 0:
            return
        if left > self._longest_wait:
            raise Limited(f"{name} asked us to wait.", timedelta(seconds=left))
        self._sleep(left + random.uniform(0, 0.05))  # noqa: S311 - spreads threads, no secret


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may be tried here before the queue has to bring the work back."""

    tries: int = 4
    seconds: float = 6.0  # of waiting between tries, summed up
    connect_timeout: float = 5.0
    read_timeout: float = 30.0  # between two bytes
    whole_timeout: float = 120.0  # until the last byte


@dataclass(frozen=True, slots=True)
class _Silence:
    """No usable answer. `sent`: the request may have reached the other side."""

    sent: bool
    reason: str
    cause: Exception


@dataclass(frozen=True)
class HttpClient:
    """Calls one outside service. Cheap to make: the session holds the connections."""

    session: PooledSession
    name: str  # of the service, for a person: "Microsoft Graph"
    origins: Collection[str]  # "https://graph.microsoft.com"
    methods: frozenset[str] = NO_DELETE
    patience: Patience = Patience()
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _origins: frozenset[str] = field(init=False, repr=False)
    _beginnings: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_origins", frozenset(map(origin_of, self.origins)))
        object.__setattr__(self, "_beginnings", tuple(f"{each}/" for each in self.origins))

    def allows(self, url: str) -> bool:
        """Whether this address is on one of our hosts, so that a token may go there."""
        if url.startswith(self._beginnings):
            return _STRANGE.search(url) is None  # the common case, without taking it apart
        try:
            return origin_of(url) in self._origins
        except ValueError:
            return False

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json_body: object = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        idempotent: bool | None = None,
        brake: Stop | None = None,
        handed_back: Collection[int] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        """Send and answer, after retries if need be; the URL goes out exactly as given.

        `idempotent` says that sending twice does no harm (default: all but POST). Statuses in
        `handed_back` are the caller's business even if they mean passing trouble. Raises TryLater,
        Uncertain, or Misconfigured when the host or method is not allowed.
        """
        if params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
        self._check(method, url)
        all_headers, content = _body(headers, json_body, form, body)
        repeatable = method in _IDEMPOTENT if idempotent is None else idempotent
        waited, tries = 0.0, 0
        while True:
            tries += 1
            if brake is not None:
                brake.pass_or_raise(self.name)
            span = tracer.start_span(f"{self.name} {method}")
            try:
                result = self._once(method, url, all_headers, content, read_timeout, repeatable)
                if span.is_recording():
                    span.set_attributes({"url.path": _without_names(url), "try": tries})
                    if isinstance(result, Answer):
                        span.set_attribute("http.response.status_code", result.status)
            finally:
                span.end()
            if isinstance(result, Answer):
                if not _is_passing(result.status) or result.status in handed_back:
                    return result
                limited, asked = result.status == 429, result.retry_after
                if brake is not None and (limited or (asked and result.status == 503)):
                    asked = brake.limited(asked)
                # Only 429 promises that nothing was done; a 503 may come from a proxy in between.
                harmless = repeatable or limited
                sentence = f"{self.name} answered with HTTP {result.status}."
                cause = None
            else:
                limited, asked = False, None
                harmless = repeatable or not result.sent
                sentence = f"{self.name} {result.reason}."
                cause = result.cause
            after = None if asked is None else timedelta(seconds=asked)
            if not harmless:
                raise Uncertain(sentence, after) from cause
            pause = _pause(tries) if asked is None else max(asked, 0.05)
            if tries >= self.patience.tries or waited + pause > self.patience.seconds:
                raise (Limited if limited else TryLater)(sentence, after) from cause
            self.sleep(pause)
            waited += pause

    def _check(self, method: str, url: str) -> None:
        if method not in self.methods:
            raise Misconfigured(f"{method} is never sent to {self.name}.")
        if not self.allows(url):
            host = urlsplit(url).hostname or "?"
            raise Misconfigured(f"{host} is not an address of {self.name}: nothing was sent there.")

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        read_timeout: float | None,
        repeatable: bool,
    ) -> Answer | _Silence:
        began = self.clock()
        timeouts = (self.patience.connect_timeout, read_timeout or self.patience.read_timeout)
        try:
            prepared = _prepared(method, url, headers, content)
            settings = self.session.merge_environment_settings(url, None, True, None, None)
            response = self.session.send(
                prepared, timeout=timeouts, allow_redirects=False, **settings
            )
            with response:
                received = self._read(response, began)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as error:
            raise Misconfigured(
                f"A request to {self.name} cannot be written: its address or a header holds "
                "characters that are not allowed."
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, _TooMuch) as error:
            silence = _silence(error)
            self._log(method, url, silence.reason, began, {}, headers)
            return silence
        if response.status_code >= 400 and response.status_code != 404:
            status = f"HTTP {response.status_code}"
            self._log(method, url, status, began, response.headers, headers)
        return Answer(response.status_code, response.headers, received, self.name, repeatable)

    def _read(self, response: requests.Response, began: float) -> bytes:
        """The whole body, as long as it comes in time and has a sane size."""
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_content(64 * 1024):
            chunks.append(chunk)
            size += len(chunk)
            if size > _LARGEST_BODY:
                raise _TooMuch("sent an answer that is too large")
            if self.clock() - began > self.patience.whole_timeout:
                raise _TooMuch("sends its answer too slowly")
        return b"".join(chunks)

    def _log(
        self,
        method: str,
        url: str,
        what: str,
        began: float,
        answered: Mapping[str, str],
        sent: Mapping[str, str],
    ) -> None:
        """One line, with ids only: query values and odd path segments may name people."""
        log.warning(
            "call failed: %s %s%s: %s after %d ms, request-id=%s client-request-id=%s",
            method,
            urlsplit(url).hostname,
            _without_names(url),
            what,
            (self.clock() - began) * 1000,
            next((answered[name] for name in _REQUEST_IDS if name in answered), "-"),
            sent.get("client-request-id", "-"),
        )


class _TooMuch(Exception):
    """An answer that is too long or too slow."""


class BrakeBoard:
    """One brake per name, made when first asked for."""

    def __init__(self) -> None:
        self._brakes: dict[str, Brake] = {}
        self._lock = threading.Lock()

    def brake(self, name: str) -> Brake:
        """The brake of this name."""
        with self._lock:
            return self._brakes.setdefault(name, Brake())


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, with the port written out. ValueError for nonsense."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an absolute address")
    if _STRANGE.search(url):
        raise ValueError("not an address")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443, 80)[parts.scheme == 'http']}"


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds: a whole number, a fraction (Graph sends "2.128"), or a date."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
            # Their own clock is the better measure where they send it along.
            date = next((value for name, value in headers.items() if name.lower() == "date"), None)
            since = parsedate_to_datetime(date) if date else datetime.now(UTC)
            seconds = (_aware(until) - _aware(since)).total_seconds()
        except (ValueError, TypeError):
            return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_passing(status: int) -> bool:
    return status in (408, 429) or (status >= 500 and status != 501)


def ended(words: str) -> str:
    """The other side's words as the end of a sentence of ours."""
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."


def _without_names(url: str) -> str:
    """The path; segments that may name somebody are left out."""
    return "/".join(
        segment if _PLAIN_SEGMENT.fullmatch(segment) else "*"
        for segment in urlsplit(url).path.split("/")
    )


def _pause(tries: int) -> float:
    return float(0.25 * 2 ** (tries - 1) * random.uniform(0.75, 1.5))  # noqa: S311 - jitter


def _body(
    headers: Mapping[str, str] | None,
    json_body: object,
    form: Mapping[str, str] | None,
    body: bytes | None,
) -> tuple[dict[str, str], bytes | None]:
    given = {
        "User-Agent": "entra-bms-sync",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
    }
    if json_body is not None:
        body = json.dumps(json_body, separators=(",", ":")).encode()
        given["Content-Type"] = "application/json"
    elif form is not None:
        body = urlencode(form).encode()
        given["Content-Type"] = "application/x-www-form-urlencoded"
    given.update(headers or {})
    return given, body


def _prepared(
    method: str, url: str, headers: Mapping[str, str], content: bytes | None
) -> requests.PreparedRequest:
    """The request as it goes out. InvalidHeader for what cannot stand in a header.

    Put together here: `requests` would take every address apart and rewrite its escapes, while
    Graph's links are to stay as given.
    """
    if not url.isascii():
        return requests.Request(method, url, headers=dict(headers), data=content).prepare()
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.url = url
    request.prepare_headers(headers)
    request.prepare_cookies({})
    request.prepare_hooks(None)
    request.body = content
    request.prepare_content_length(content)
    return request


def _silence(error: Exception) -> _Silence:
    """What a transport error means: did the request get out, and how to say it."""
    if isinstance(error, _TooMuch):
        return _Silence(True, str(error), error)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _Silence(False, "cannot be reached: no connection in time", error)
    if isinstance(error, requests.exceptions.ProxyError):
        # Raised only while the way through the proxy is being opened.
        return _Silence(False, "cannot be reached through the proxy", error)
    inner = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(inner, urllib3.exceptions.NewConnectionError):
        return _Silence(False, "cannot be reached", error)
    if isinstance(error, requests.exceptions.SSLError):
        sent = "CERTIFICATE_VERIFY_FAILED" not in str(error)
        reason = "broke off the encrypted connection" if sent else "shows an untrusted certificate"
        return _Silence(sent, reason, error)
    if isinstance(error, requests.exceptions.Timeout):
        return _Silence(True, "did not answer in time", error)
    return _Silence(True, "broke the connection off", error)
