"""The way of a browser's request through the console; never raises.

In: the door, the form token, the page. Out: a page with the headers that keep it to itself, or one
plain error page with a sentence, the same for everything that can go wrong.
"""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, urlencode

from shared.config import Settings
from shared.errors import BadInput
from shared.ports import Now
from shared.web.auth import AdminOnly
from shared.web.console.forms import Form, read_form
from shared.web.console.inside import Inside, Refused
from shared.web.console.rendering import HEADERS, STATIC, html_reply
from shared.web.console.session import FORM_TOKEN, Doors, cookies_of, new_form_token
from shared.web.console.visits import (
    Onward,
    Page,
    View,
    Visit,
    inside,
    said_value,
    said_words,
)
from shared.web.http import Reply, Request
from shared.web.router import Api

SAID = "console-said"
SIGN_IN, SIGN_OUT, HOME = "/console/sign-in", "/console/sign-out", "/console"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_TYPES |= {".svg": "image/svg+xml"}
_A_YEAR = "public, max-age=31536000, immutable"
_SOON, _A_DAY = timedelta(minutes=2), timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Console:
    """Answers every request below /console."""

    doors: Doors
    api: Inside
    pages: tuple[Page, ...]

    def dispatch(self, request: Request) -> Reply:
        """The reply to this request."""
        token = cookies_of(request).get(FORM_TOKEN, "")
        fresh = "" if token else new_form_token()
        try:
            reply = self._answer(request, token or fresh)
        except BadInput as refusal:
            reply = self._refused(
                request, token or fresh, Refused(refusal.status, refusal.sentence)
            )
        except Refused as refused:
            reply = self._refused(request, token or fresh, refused)
        except Exception as error:  # whatever it is, the person gets no details of it
            reply = self._broken(request, token or fresh, error)
        if fresh and reply.content_type.startswith("text/html"):
            kept = self.doors.cookie(FORM_TOKEN, fresh, _A_DAY)
            return Reply(reply.status, reply.body, reply.content_type, (*reply.headers, kept))
        return reply

    def _answer(self, request: Request, token: str) -> Reply:
        path = request.path.rstrip("/").lower()
        if path.startswith("/console/static/"):
            return _static(path.rpartition("/")[2])
        if self.doors.by_token:
            if path == SIGN_IN:
                return self._sign_in(request, token)
            if not self.doors.is_open(request):
                return self._to_the_door(request)
        elif refusal := self.doors.refusal(request):
            words = "You are not signed in, or without the role that this console asks for."
            raise Refused(refusal.status, words)
        form = self._form(request) if request.method == "POST" else Form()
        if path == SIGN_OUT and request.method == "POST":
            return _onward(SIGN_IN, (self.doors.closed(),))
        segments = request.path.strip("/").split("/")
        for page in self.pages:
            found = page.matches(request.method, segments)
            if found is not None:
                return self._page(page, Visit(request, found, form, self.api, token))
        raise Refused(404, "There is no page at this address.")

    def _page(self, page: Page, visit: Visit) -> Reply:
        answer = page.handler(visit)
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, Onward):
            headers = answer.headers
            if answer.said:
                headers += (self.doors.cookie(SAID, said_value(answer.said), _SOON),)
            return _onward(answer.to, headers)
        return self._view(visit.request, visit.form_token, answer)

    def _view(self, request: Request, token: str, view: View) -> Reply:
        said = "" if _is_part(request) else said_words(cookies_of(request).get(SAID, ""))
        spent = (self.doors.cookie(SAID, "", timedelta()),) if said else ()
        return html_reply(
            view.template,
            {**self._frame(request, token), "said": said, **view.values},
            status=view.status,
            headers=(*spent, *view.headers),
        )

    def _frame(self, request: Request, token: str) -> Mapping[str, object]:
        """What every page shows besides its own."""
        path = request.path.rstrip("/").lower()
        return {
            "here": path,
            "form_token": token,
            "can_sign_out": self.doors.by_token,
            "query": request.query,
        }

    def _form(self, request: Request) -> Form:
        form = read_form(request.body, request.headers.get("content-type", ""))
        if not self.doors.from_our_pages(request, form.secret("form_token")):
            raise Refused(
                403,
                "This form was not sent from a page of this console, or the page was open for "
                "more than a day. Nothing was done: open the page again and repeat it.",
            )
        return form

    # --- the door ------------------------------------------------------------------------------

    def _to_the_door(self, request: Request) -> Reply:
        if _is_part(request):  # the script cannot show a sign-in in the place of a part
            return Reply(401, b"", "text/html", (("HX-Redirect", SIGN_IN), *HEADERS))
        query = f"?{urlencode(request.query)}" if request.query else ""
        wanted = request.path + query if request.method == "GET" else HOME
        return _onward(f"{SIGN_IN}?next={quote(wanted, safe='/')}")

    def _sign_in(self, request: Request, token: str) -> Reply:
        wanted = request.query.get("next", "")
        if request.method == "POST":
            form = self._form(request)
            wanted = form.text("next")
            if self.doors.fits(form.secret("token")):
                return _onward(inside(wanted, HOME), (self.doors.opened(),))
            log.warning("console sign-in refused")
            wrong = "This is not the value of the setting ADMIN_TOKEN: copy the whole of it."
            return self._door(request, token, wanted, wrong, 403)
        if self.doors.is_open(request):
            return _onward(inside(wanted, HOME))
        return self._door(request, token, wanted, "", 200)

    def _door(self, request: Request, token: str, wanted: str, wrong: str, status: int) -> Reply:
        values = {"wanted": wanted, "wrong": wrong, "signed_in": False, "said": ""}
        return html_reply("sign_in.html", {**self._frame(request, token), **values}, status=status)

    # --- what goes wrong -----------------------------------------------------------------------

    def _refused(self, request: Request, token: str, refused: Refused) -> Reply:
        return self._error(request, token, refused, "")

    def _broken(self, request: Request, token: str, error: Exception) -> Reply:
        """500 without details. The log gets the place, not the message: that may hold a name."""
        error_id = uuid.uuid4().hex
        log.error(
            "page failed: %s error=%s %s\n%s",
            request.method,
            error_id,
            type(error).__name__,
            "".join(traceback.format_tb(error.__traceback__)),
        )
        refused = Refused(500, "Something went wrong on our side.")
        return self._error(request, token, refused, error_id)

    def _error(self, request: Request, token: str, refused: Refused, error_id: str) -> Reply:
        values = {"refused": refused, "error_id": error_id, "said": ""}
        values["signed_in"] = not self.doors.by_token or self.doors.is_open(request)
        template = "error_part.html" if _is_part(request) else "error.html"
        return html_reply(
            template, {**self._frame(request, token), **values}, status=refused.status
        )


def console(settings: Settings, api: Api, pages: Iterable[Page], now: Now) -> Console:
    """The console over this API."""
    # A literal segment wins over a parameter in the same place.
    ordered = sorted(pages, key=lambda page: "{" in page.template)
    return Console(Doors(settings, AdminOnly(settings), now), Inside(api), tuple(ordered))


def _is_part(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _onward(to: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    # A page's address may hold what was typed; a header holds neither ends of lines nor letters
    # of every script.
    place = quote(to, safe="/%?&=#:@!$'()*+,;~[]")
    return Reply(303, b"", "text/plain", (("Location", place), *HEADERS, *headers))


def _static(name: str) -> Reply:
    file = STATIC / name
    known = {each.name for each in STATIC.iterdir()}
    if name not in known or file.suffix not in _TYPES:
        raise Refused(404, "There is no such file.")
    headers = (("Cache-Control", _A_YEAR), ("X-Content-Type-Options", "nosniff"))
    return Reply(200, file.read_bytes(), _TYPES[file.suffix], headers)
