"""The way of a browser's request through the console; never raises.

In: the door, the form token, the page. Out: a page with the headers that keep it to itself, or one
plain error page with a sentence, the same for everything that can go wrong.
"""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import quote, urlencode

from shared.config import Settings
from shared.errors import BadInput
from shared.ports import Now
from shared.web.auth import AdminOnly
from shared.web.console.brake import Brake
from shared.web.console.forms import Form, read_form
from shared.web.console.inside import Inside, Refused, refused_by
from shared.web.console.kept_forms import Kept, brought_along, kept
from shared.web.console.rendering import HEADERS, STATIC, html_reply
from shared.web.console.session import SESSION, Doors, new_form_token
from shared.web.console.visits import (
    HOME,
    LARGE_FORM,
    Onward,
    Page,
    View,
    Visit,
    inside,
    said_value,
    said_words,
    wants_part,
)
from shared.web.http import Reply, Request, cookies_of, origin_of
from shared.web.router import LARGEST_BODY, Api

SAID = "console-said"
SIGN_IN, SIGN_OUT = "/console/sign-in", "/console/sign-out"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_TYPES |= {".svg": "image/svg+xml"}
_A_YEAR = "public, max-age=31536000, immutable"
_SOON = timedelta(minutes=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Console:
    """Answers every request below /console."""

    doors: Doors
    api: Inside
    pages: tuple[Page, ...]
    brake: Brake

    def dispatch(self, request: Request) -> Reply:
        """The reply to this request."""
        token = self.doors.form_token(request) or new_form_token()
        try:
            reply = self._answer(request, token)
        except BadInput as refusal:
            reply = self._refused(request, token, Refused(refusal.status, refusal.sentence))
        except Refused as refused:
            reply = self._refused(request, token, refused)
        except Exception as error:  # whatever it is, the person gets no details of it
            reply = self._broken(request, token, error)
        if reply.content_type.startswith("text/html") and reply.body:
            # As long as pages are opened their forms stay valid; a page that only looks for news
            # by itself prolongs no session.
            further = [self.doors.form_cookie(token)]
            if not wants_part(request) and not _sets_session(reply):
                further += self.doors.prolonged(request)
            return replace(reply, headers=(*reply.headers, *further))
        return reply

    def _answer(self, request: Request, token: str) -> Reply:
        path = request.path.rstrip("/").lower()
        if path.startswith("/console/static/"):
            return _static(path.rpartition("/")[2])
        if self.doors.by_token:
            if path == SIGN_IN:
                return self._sign_in(request, token)
            if not self.doors.is_open(request):
                return self._to_the_door(request, token)
        elif refusal := self.doors.refusal(request):
            raise refused_by(refusal)
        elif path == SIGN_IN:  # the platform has done it
            return _onward(HOME)
        if path == SIGN_OUT and request.method == "POST":
            self._form(request)
            return _onward(SIGN_IN, (self.doors.closed(),))
        segments = request.path.strip("/").split("/")
        for page in self.pages:
            found = page.matches(request.method, segments)
            if found is not None:
                posted = request.method == "POST"
                form = self._form(request, page.largest) if posted else Form()
                return self._page(
                    page, Visit(request, found, form, self.api, token, self.doors.now())
                )
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
        said = "" if wants_part(request) else said_words(cookies_of(request).get(SAID, ""))
        spent = (self.doors.cookie(SAID, "", timedelta()),) if said else ()
        return html_reply(
            view.template,
            {**self._frame(request, token), "said": said, **view.values},
            status=view.status,
            headers=(*spent, *view.headers),
        )

    def _frame(self, request: Request, token: str) -> Mapping[str, object]:
        """What every page shows besides its own."""
        return {
            "here": request.path.rstrip("/"),
            "form_token": token,
            "can_sign_out": self.doors.by_token,
            "can_leave": self.doors.settings.platform_auth,
            "query": request.query,
        }

    def _form(self, request: Request, largest: int = LARGEST_BODY) -> Form:
        form = read_form(request.body, request.headers.get("content-type", ""), largest)
        if not self.doors.from_our_pages(request, form.secret("form_token")):
            raise Refused(
                403,
                "This form was not sent from a page of this console, or the browser does not keep "
                "its cookies any more, as after a day without opening a page. Nothing was done: "
                "open the page again and repeat it.",
            )
        return form

    # --- the door ------------------------------------------------------------------------------

    def _to_the_door(self, request: Request, token: str) -> Reply:
        if wants_part(request):  # the script cannot show a sign-in in the place of a part
            return Reply(401, b"", "text/html", (("HX-Redirect", SIGN_IN), *HEADERS))
        query = f"?{urlencode(request.query)}" if request.query else ""
        if request.method == "POST":
            return self._door(request, token, HOME, "", 401, kept=self._kept(request))
        wanted = request.path + query
        return _onward(f"{SIGN_IN}?next={quote(wanted, safe='/')}")

    def _sign_in(self, request: Request, token: str) -> Reply:
        wanted = request.query.get("next", "")
        if request.method == "POST":
            form = self._form(request, LARGE_FORM)
            wanted, form_kept = form.text("next"), brought_along(form)
            now = self.doors.now()
            if self.brake.holds(request, now):
                wrong = "Too many wrong tokens: wait for a minute, then try again."
                return self._door(request, token, wanted, wrong, 429, kept=form_kept)
            if self.doors.fits(form.secret("token")):
                opened = (self.doors.opened(),)
                if form_kept is None:
                    return _onward(inside(wanted, HOME), opened)
                values = {**self._frame(request, token), "said": "", "kept": form_kept}
                return html_reply("send_again.html", values, headers=opened)
            self.brake.wrong(request, now)
            log.warning("console sign-in refused")
            wrong = "This is not the value of the setting ADMIN_TOKEN: copy the whole of it."
            return self._door(request, token, wanted, wrong, 403, kept=form_kept)
        if self.doors.is_open(request):
            return _onward(inside(wanted, HOME))
        return self._door(request, token, wanted, "", 200)

    def _door(
        self,
        request: Request,
        token: str,
        wanted: str,
        wrong: str,
        status: int,
        *,
        kept: Kept | None = None,
    ) -> Reply:
        values = {"wanted": wanted, "wrong": wrong, "kept": kept, "signed_in": False, "said": ""}
        return html_reply("sign_in.html", {**self._frame(request, token), **values}, status=status)

    def _kept(self, request: Request) -> Kept | None:
        """The form of this request, if one of our pages sent it: no stranger's is sent again."""
        try:
            return kept(request.path, self._form(request, LARGE_FORM))
        except (BadInput, Refused):
            return None

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
        posted = request.method == "POST"
        values = {
            "refused": refused,
            "error_id": error_id,
            "said": "",
            "signed_in": self._is_inside(request),
            "posted": posted,
            "again": self._way_back(request),
            # What was away may be there again: nothing that was typed is lost meanwhile.
            "kept": self._kept(request) if posted and refused.status >= 500 else None,
        }
        template = "error_part.html" if wants_part(request) else "error.html"
        return html_reply(
            template, {**self._frame(request, token), **values}, status=refused.status
        )

    def _is_inside(self, request: Request) -> bool:
        if self.doors.by_token:
            return self.doors.is_open(request)
        return self.doors.refusal(request) is None

    def _way_back(self, request: Request) -> str:
        """The page to open after an error: the same, or the one that the form was on."""
        if request.method != "POST":
            query = f"?{urlencode(request.query)}" if request.query else ""
            return inside(request.path.rstrip("/") + query, HOME)
        sent_from = request.headers.get("referer", "")
        ours = origin_of(self.doors.settings.public_url) + HOME
        if sent_from.startswith(ours):
            return inside(sent_from.removeprefix(ours.removesuffix(HOME)).partition("#")[0], HOME)
        segments = request.path.strip("/").split("/")
        while len(segments) > 1 and all(
            page.matches("GET", segments) is None for page in self.pages
        ):
            segments.pop()
        return inside("/" + "/".join(segments), HOME)


def console(settings: Settings, api: Api, pages: Iterable[Page], now: Now) -> Console:
    """The console over this API."""
    # A literal segment wins over a parameter in the same place.
    ordered = sorted(pages, key=lambda page: "{" in page.template)
    doors = Doors(settings, AdminOnly(settings), now)
    return Console(doors, Inside(api), tuple(ordered), Brake())


def _onward(to: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    # A page's address may hold what was typed; a header holds neither ends of lines nor letters
    # of every script.
    place = quote(to, safe="/%?&=#:@!$'()*+,;~[]")
    return Reply(303, b"", "text/plain", (("Location", place), *HEADERS, *headers))


def _sets_session(reply: Reply) -> bool:
    return any(value.startswith(f"{SESSION}=") for _, value in reply.headers)


def _static(name: str) -> Reply:
    file = STATIC / name
    known = {each.name for each in STATIC.iterdir()}
    if name not in known or file.suffix not in _TYPES:
        raise Refused(404, "There is no such file.")
    headers = (("Cache-Control", _A_YEAR), ("X-Content-Type-Options", "nosniff"))
    return Reply(200, file.read_bytes(), _TYPES[file.suffix], headers)
