"""Calling IT Glue: key, limit, JSON:API, and what the service as a whole suffers from (R27).

IT Glue counts every request of a key against one limit, so there is one budget for all routes. It
answers 403 or 401 to a wrong key, and nobody knows with which body. After trouble with the service
as a whole it is left alone for a moment, so that messages that wait cost it nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.adapters.bms_budget import BmsBudget
from shared.adapters.http import NO_DELETE, Answer, HttpClient, Patience
from shared.adapters.http_session import PooledSession
from shared.core.budget import Lane, Limit
from shared.core.itglue import ItGlueSettings
from shared.errors import Misconfigured, PersonMustAct, Rejected, SyncError, TryLater
from shared.ports import ITGLUE_KEY, GlueRefusal, ItGlueSettingsStore, Now, Vault

KEY_REFUSED = "itglue-key"
PAGE = 1000
_MEDIA_TYPE = "application/vnd.api+json"
# The queue has more patience than a thread.
_PATIENCE = Patience(tries=2, seconds=2, read_timeout=20, whole_timeout=40)
_SETTINGS_FOR = timedelta(seconds=10)
_REFUSAL_KEPT = timedelta(seconds=60)
_DOWN_FOR = timedelta(seconds=5)
_ALL = "all requests"


def itglue_limit(*_: str) -> Limit:
    """3,000 in five minutes for the whole account (itglue-api.md 2.4).

    Other integrations share it, so a third is left to them.
    """
    return Limit(calls=2000, window=timedelta(minutes=5), fresh_share=0.2)


@dataclass(frozen=True, slots=True)
class _Trouble:
    error: SyncError
    until: datetime
    version: str


class ItGlueSession:
    """One per process; safe for many threads."""

    def __init__(
        self,
        session: PooledSession,
        store: ItGlueSettingsStore,
        vault: Vault,
        budget: BmsBudget,
        now: Now,
    ) -> None:
        self._session = session
        self._store = store
        self._vault = vault
        self._budget = budget
        self._now = now
        self._lock = threading.Lock()
        self._settings: tuple[datetime, ItGlueSettings | None] | None = None
        self._trouble: _Trouble | None = None

    def settings(self) -> ItGlueSettings:
        """The settings as saved, read again every ten seconds; PersonMustAct for none."""
        with self._lock:
            now = self._now()
            if self._settings is None or now - self._settings[0] > _SETTINGS_FOR:
                self._settings = (now, self._store.get())
            settings = self._settings[1]
        if settings is None:
            raise PersonMustAct(
                "IT Glue is not set up yet.",
                "Enter the address and the API key in the IT Glue settings.",
                code="itglue-settings",
            )
        return settings

    def forget(self) -> None:
        """Read the settings anew, and forget trouble."""
        with self._lock:
            self._settings = None
            self._trouble = None

    def ready(self) -> None:
        """Raises what the service as a whole suffers from, as long as that is young."""
        version = self.settings().version
        trouble = self._trouble
        if trouble is not None and trouble.version == version and self._now() < trouble.until:
            raise trouble.error

    def pages(
        self, path: str, params: Mapping[str, str], lane: Lane
    ) -> Iterator[list[Mapping[str, Any]]]:
        """Every resource of a list, a page at a time; doubles between pages are dropped."""
        yield from self._pages(self.settings(), self._key(fresh=False), path, params, lane)

    def pages_with(
        self, settings: ItGlueSettings, key: str, path: str
    ) -> Iterator[list[Mapping[str, Any]]]:
        """The same with settings and a key that are not saved."""
        yield from self._pages(settings, key, path, {}, Lane.FRESH)

    def _pages(
        self,
        settings: ItGlueSettings,
        key: str,
        path: str,
        params: Mapping[str, str],
        lane: Lane,
    ) -> Iterator[list[Mapping[str, Any]]]:
        number, seen = 1, set[str]()
        while True:
            paged = {**params, "page[size]": str(PAGE), "page[number]": str(number)}
            answer = self._send(settings, key, "GET", path, paged, None, lane)
            body = _success(answer)
            rows = [one for one in body.get("data") or [] if isinstance(one, Mapping)]
            fresh = [one for one in rows if str(one.get("id")) not in seen]
            seen.update(str(one.get("id")) for one in fresh)
            if fresh:
                yield fresh
            meta = body.get("meta") or {}
            last = meta.get("total-pages")
            ended = number >= int(last) if last is not None else meta.get("next-page") is None
            if ended or not rows:
                return
            number += 1

    def get(self, path: str, lane: Lane) -> Mapping[str, Any] | None:
        """One resource; None when there is none."""
        answer = self._send(self.settings(), self._key(fresh=False), "GET", path, {}, None, lane)
        if answer.status == 404:
            if answer.content.lstrip().startswith(b"<"):
                # A page of something in between says nothing about the record.
                raise self._down(TryLater("IT Glue answered 404 with a web page."))
            return None
        return _resource(_success(answer))

    def write(
        self, method: str, path: str, attributes: Mapping[str, object], lane: Lane
    ) -> Mapping[str, Any] | None:
        """Make or change a contact; answers it as it is then, None when it is gone (404)."""
        body = {"data": {"type": "contacts", "attributes": dict(attributes)}}
        answer = self._send(self.settings(), self._key(fresh=False), method, path, {}, body, lane)
        if answer.status == 404 and method == "PATCH":
            return None
        return _resource(_success(answer))

    def _key(self, *, fresh: bool) -> str:
        key = self._vault.get(ITGLUE_KEY, fresh=fresh)
        if not key:
            raise PersonMustAct(
                "The IT Glue API key is missing.",
                "Enter it in the IT Glue settings.",
                code=KEY_REFUSED,
            )
        return key

    def _send(
        self,
        settings: ItGlueSettings,
        key: str,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: object,
        lane: Lane,
    ) -> Answer:
        client = HttpClient(self._session, "IT Glue", [settings.api_url], NO_DELETE, _PATIENCE)
        headers = {"x-api-key": key, "Accept": _MEDIA_TYPE}
        if body is not None:
            headers["Content-Type"] = _MEDIA_TYPE
        try:
            answer = client.request(
                method,
                f"{settings.api_url}{path}",
                headers=headers,
                params=params,
                json_body=body,
                brake=self._budget.meter(_ALL, lane),
            )
        except TryLater as error:
            if error.counts:
                self._down(error)
            raise
        if answer.status in (401, 403):
            newer = self._vault.get(ITGLUE_KEY, fresh=True)
            saved = settings.version and settings == self.settings()
            if saved and newer and newer != key:  # another instance has saved it a moment ago
                return self._send(settings, newer, method, path, params, body, lane)
            raise self._refused(settings, answer.status)
        return answer

    def _refused(self, settings: ItGlueSettings, status: int) -> PersonMustAct:
        error = PersonMustAct(
            f"IT Glue refuses the API key (HTTP {status}): it was revoked, belongs to another "
            "region, or was not used for 90 days.",
            "Make a new key in IT Glue (Account, Settings, API Keys), check the region's address, "
            "and save both in the IT Glue settings.",
            code=KEY_REFUSED,
        )
        self._remember(_Trouble(error, self._now() + _REFUSAL_KEPT, settings.version))
        return error

    def _down(self, error: TryLater) -> TryLater:
        version = self._settings[1].version if self._settings and self._settings[1] else ""
        self._remember(_Trouble(error, self._now() + _DOWN_FOR, version))
        return error

    def _remember(self, trouble: _Trouble) -> None:
        with self._lock:
            self._trouble = trouble


def _success(answer: Answer) -> Mapping[str, Any]:
    if not answer.ok:
        raise _refusal(answer)
    body = answer.json()
    if not isinstance(body, Mapping):
        raise TryLater("IT Glue sent an answer that is no JSON:API document.")
    return body


def _resource(body: Mapping[str, Any]) -> Mapping[str, Any]:
    data = body.get("data")
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, Mapping):
        raise TryLater("IT Glue sent an answer without the contact.")
    return data


def _refusal(answer: Answer) -> SyncError:
    """IT Glue's own words; both forms of its errors, and none at all (itglue-api.md 2.5)."""
    words: list[str] = []
    names: list[str] = []
    try:
        errors = answer.json().get("errors") or []
    except (SyncError, AttributeError):
        errors = []
    for one in errors:
        if not isinstance(one, Mapping):
            continue
        told = [str(one[name]) for name in ("title", "detail") if one.get(name)]
        words += [word for word in (text.rstrip(". ") for text in told) if word not in words]
        pointer = (one.get("source") or {}).get("pointer") or ""
        if pointer:
            names.append(str(pointer).strip("/").split("/")[-1].replace("_", "-"))
    said = "; ".join(words)[:300] or f"HTTP {answer.status}"
    about = f" ({', '.join(names)})" if names else ""
    if answer.status == 415:
        return Misconfigured("IT Glue does not take the form in which this app writes: report it.")
    if answer.status == 422:
        return GlueRefusal(
            f"IT Glue refused: {said}{about}.",
            "Correct the person in Entra or the contact in IT Glue.",
            names,
        )
    return Rejected(f"IT Glue refused: {said}{about}.", "Report this.", code="itglue-refused")
