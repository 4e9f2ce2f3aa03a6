"""Who gets into the console, and whose forms are taken (design section 9)."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.config import StorageSettings
from shared.errors import TryLater
from shared.web.auth import AdminOnly
from shared.web.console.console import console
from shared.web.console.pages import all_pages
from shared.web.http import request_from
from tests.web.console.visitor import HOST, Seen, Visitor, a_visitor
from tests.web.world import TOKEN, World, a_ready_world

OUTSIDE = ["https://evil.example/console", "//evil.example", "/\\evil.example", "javascript:1"]
OUTSIDE += [
    "/console/%2e%2e/api",
    "/console/x\r\nSet-Cookie: a=b",
    "/console/é",
    "/console/\u202e",
    "/consolex",
    "/api/export",
    "/console/../api",
    "https:/console",
]


def a_stranger(world: World | None = None) -> Visitor:
    one = a_visitor(world or World())
    one.cookies.clear()
    return one


def test_a_stranger_is_led_to_the_sign_in_and_from_there_to_the_page_he_wanted() -> None:
    stranger = a_stranger()

    led = stranger.get("/console/status")

    assert (led.status, led.location) == (303, "/console/sign-in?next=/console/status")
    stranger.get(led.location)
    inside = stranger.post("/console/sign-in", {"token": TOKEN, "next": "/console/status"})
    assert inside.location == "/console/status"
    assert stranger.get("/console/status").status == 200


def test_the_page_he_wanted_is_the_same_with_its_filter() -> None:
    stranger = a_stranger()
    wanted = "/console/activity?kind=updated&person=%C3%98deg%C3%A5rd+%26+S%C3%B8n"

    led = stranger.get(wanted)
    door = stranger.get(led.location).source
    kept = html.unescape(door.partition('name="next" value="')[2].partition('"')[0])
    inside = stranger.post("/console/sign-in", {"token": TOKEN, "next": kept})

    assert inside.location == wanted


@pytest.mark.parametrize("path", ["/console/sign-in?next=", "/console/undone/run-1?back="])
@pytest.mark.parametrize("odd", ["%0d%0aX-Evil:1", "%0aX", "/x%0d", "%E2%80%AE", "/%C3%98", "%00"])
def test_no_header_carries_the_end_of_a_line_or_letters_that_it_cannot(path: str, odd: str) -> None:
    visitor = a_visitor(World())

    seen = visitor.get(f"{path}/console/activity{odd}")

    for name, value in seen.headers:
        assert (name + value).isascii()
        assert (name + value).isprintable()
    assert "X-Evil" not in seen.location


@pytest.mark.parametrize("wanted", OUTSIDE)
def test_the_sign_in_never_leads_out_of_the_console(wanted: str) -> None:
    stranger = a_stranger()
    stranger.get("/console/sign-in")

    inside = stranger.post("/console/sign-in", {"token": TOKEN, "next": wanted})

    assert inside.location == "/console"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\udcff", "é"])
def test_a_wrong_token_is_refused_with_a_sentence_and_opens_nothing(token: str) -> None:
    stranger = a_stranger()
    stranger.get("/console/sign-in")

    answer = stranger.post("/console/sign-in", {"token": token.encode(errors="replace").decode()})

    assert answer.status == 403
    assert "ADMIN_TOKEN" in answer.text
    assert stranger.get("/console/status").status == 303


@pytest.mark.parametrize(
    "cookie", ["", "x", "99999999999.", "99999999999.abc", ".", "9" * 40 + ".x", "é.é", "-1.x"]
)
def test_a_made_up_session_opens_nothing(cookie: str) -> None:
    stranger = a_stranger()
    stranger.cookies["console-session"] = cookie

    assert stranger.get("/console/status").status == 303


def test_a_session_ends_after_eight_hours_whatever_the_browser_keeps() -> None:
    world = World()
    visitor = a_visitor(world)
    assert visitor.get("/console/status").status == 200

    world.clock.pass_(timedelta(hours=8, seconds=1))

    assert visitor.get("/console/status").status == 303


def test_a_later_end_cannot_be_written_into_the_cookie() -> None:
    visitor = a_visitor(World())
    ends, _, proof = visitor.cookies["console-session"].partition(".")

    visitor.cookies["console-session"] = f"{int(ends) + 60}.{proof}"

    assert visitor.get("/console/status").status == 303


def test_another_admin_token_ends_every_session() -> None:
    visitor = a_visitor(World())
    other = replace(visitor.console.doors.settings, admin_token="another-token-of-the-admin")

    visitor.console = replace(visitor.console, doors=replace(visitor.console.doors, settings=other))

    assert visitor.get("/console/status").status == 303


def test_signing_out_closes_the_door() -> None:
    visitor = a_visitor(World())

    assert visitor.post("/console/sign-out").location == "/console/sign-in"

    assert visitor.get("/console/status").status == 303


def test_cookies_are_for_the_console_alone_and_out_of_reach_of_scripts_and_other_sites() -> None:
    stranger = a_stranger()
    seen = stranger.get("/console/sign-in")
    inside = stranger.post("/console/sign-in", {"token": TOKEN})

    cookies = [value for name, value in (*seen.headers, *inside.headers) if name == "Set-Cookie"]

    assert len(cookies) == 2
    for cookie in cookies:
        assert "; Path=/console; " in cookie
        # The forms' token is no credential, and has to survive a link from elsewhere.
        rule = "Lax" if cookie.startswith("console-form=") else "Strict"
        assert cookie.endswith(f"; HttpOnly; SameSite={rule}; Secure")


def test_a_link_from_elsewhere_leaves_the_forms_of_other_windows_valid() -> None:
    visitor = a_visitor(World())
    token = visitor.cookies["console-form"]
    strict = visitor.cookies.pop("console-session")  # does not come along from another site
    visitor.get("/console/status", {"Sec-Fetch-Site": "cross-site"})
    visitor.cookies["console-session"] = strict

    assert visitor.post("/console/sign-out", token=token).status == 303


def test_the_forms_token_lasts_a_day_from_the_last_page_on() -> None:
    visitor = a_visitor(World())
    token = visitor.cookies["console-form"]

    cookies = [value for name, value in visitor.get("/console/status").headers]

    assert any(
        value.startswith(f"console-form={token}; ") and "Max-Age=86400" in value
        for value in cookies
    )


@pytest.mark.parametrize("token", ["x", "a" * 33, 'a"><script>', "é" * 32])
def test_a_forms_token_that_is_none_of_ours_is_replaced(token: str) -> None:
    visitor = a_visitor(World())
    visitor.cookies["console-form"] = token

    assert visitor.post("/console/sign-out", token=token).status == 403
    assert visitor.cookies["console-form"] != token


def test_a_session_goes_on_while_pages_are_opened_but_a_day_at_most() -> None:
    world = World()
    visitor = a_visitor(world)
    hours = 0
    while visitor.get("/console/status").status == 200:
        world.clock.pass_(timedelta(hours=5))
        hours += 5

    assert hours == 25


def test_a_page_that_looks_for_news_by_itself_prolongs_no_session() -> None:
    world = World()
    visitor = a_visitor(world)
    for _ in range(16):
        world.clock.pass_(timedelta(minutes=30, seconds=1))
        answer = visitor.part("/console/status/now")

    assert answer.status == 401


REPLAY = "/console/waiting/failures/replay"


def kept_inputs(seen: Seen) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', seen.source)
    return {name: html.unescape(value) for name, value in found}


def test_what_was_sent_after_the_end_of_the_session_is_kept_and_sent_again_by_a_button() -> None:
    world = World()
    visitor = a_visitor(world)
    world.clock.pass_(timedelta(hours=9))
    typed = 'two & <b>"three"</b>'

    door = visitor.post(REPLAY, {"cause": typed, "password": "the-secret", "apiKey": "k-1"})
    wrong = visitor.post("/console/sign-in", {**kept_inputs(door), "token": "wrong"})
    again = visitor.post("/console/sign-in", {**kept_inputs(wrong), "token": TOKEN})

    assert (door.status, "It is kept" in door.text) == (401, True)
    assert (again.status, "Send again" in again.text) == (200, True)
    assert "has to be entered again" in again.text
    assert f'action="{REPLAY}"' in again.source
    assert kept_inputs(again)["cause"] == typed
    for secret in ("the-secret", "k-1"):
        assert secret not in door.source + wrong.source + again.source
    assert visitor.post(REPLAY, kept_inputs(again)).status == 303


def test_no_strangers_form_is_kept_for_the_admin_to_send() -> None:
    world = World()
    visitor = a_visitor(world)
    world.clock.pass_(timedelta(hours=9))

    door = visitor.post(REPLAY, {"cause": "evil"}, token="made-up")

    assert door.status == 401
    assert "evil" not in door.source


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_what_is_kept_goes_to_a_page_of_the_console_alone(address: str) -> None:
    stranger = a_stranger()
    stranger.get("/console/sign-in")

    answer = stranger.post(
        "/console/sign-in", {"token": TOKEN, "kept_address": address, "kept_inputs": "a=1"}
    )

    assert (answer.status, answer.location) == (303, "/console")


def test_after_ten_wrong_tokens_within_a_minute_an_address_has_to_wait() -> None:
    world = World()
    stranger = a_stranger(world)
    stranger.get("/console/sign-in")
    wrong = [stranger.post("/console/sign-in", {"token": f"no-{n}"}).status for n in range(12)]

    held = stranger.post("/console/sign-in", {"token": TOKEN})

    assert wrong == [403] * 10 + [429] * 2
    assert (held.status, "wait for a minute" in held.text) == (429, True)
    elsewhere = {**_form_headers(stranger), "X-Forwarded-For": "1.2.3.4, 203.0.113.9:4711"}
    body = f"form_token={stranger.cookies['console-form']}&token={TOKEN}".encode()
    other = request_from("POST", f"{HOST}/console/sign-in", elsewhere, body)
    assert stranger.console.dispatch(other).status == 303
    world.clock.pass_(timedelta(minutes=1))
    assert stranger.post("/console/sign-in", {"token": TOKEN}).status == 303


def _form_headers(visitor: Visitor) -> dict[str, str]:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    return {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies}


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        (f"{HOST}/console/waiting/failures?cursor=x", "/console/waiting/failures?cursor=x"),
        ("https://evil.example/console/x", "/console/waiting/failures"),
        (f"{HOST}.evil.example/console", "/console/waiting/failures"),
        ("http://[", "/console/waiting/failures"),
        ("", "/console/waiting/failures"),
    ],
)
def test_after_a_form_that_failed_the_way_back_is_a_page_and_what_was_sent_is_kept(
    referer: str, back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    visitor = a_visitor(world)

    def away(*_: object, **__: object) -> None:
        raise TryLater("The table does not answer.")

    monkeypatch.setattr(world.connections, "list", away)
    monkeypatch.setattr(world.failures, "list", away)
    token = visitor.cookies["console-form"]
    sent = {**_form_headers(visitor), "Referer": referer}
    body = f"form_token={token}&cause=throttled".encode()

    reply = visitor.console.dispatch(request_from("POST", HOST + REPLAY, sent, body))
    page = reply.body.decode()

    assert reply.status == 503
    assert f'href="{back}">Back to the page' in page
    assert '<input type="hidden" name="cause" value="throttled">' in page
    assert page.partition("<main")[2].count('name="form_token"') == 1


def test_the_draft_of_rules_survives_that_the_tables_are_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_ready_world()
    visitor = a_visitor(world)

    def away(*_: object, **__: object) -> None:
        raise TryLater("The table does not answer.")

    monkeypatch.setattr(world.connections, "get", away)
    seen = visitor.post(
        "/console/connections/contoso/rules", {"draft": '{"items":[]}', "do": "add"}
    )

    assert seen.status == 503
    assert kept_inputs(seen)["draft"] == '{"items":[]}'
    assert "Send again" in seen.text


def test_going_back_in_the_history_gets_the_whole_page() -> None:
    visitor = a_visitor(World())

    seen = visitor.get(
        "/console/records", {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    )

    assert "<html" in seen.source
    assert "historyRestoreAsHxRequest&#34;:false" in seen.source.replace('"', "&#34;")


def test_an_address_keeps_its_capitals_in_links_and_the_navigation_knows_it() -> None:
    there = a_visitor(World()).get("/Console/Waiting/Failures")

    missing = a_visitor(World()).get("/console/waiting/ABC-def")

    assert 'href="/console/waiting" aria-current="page"' in there.source
    assert 'href="/console/waiting/ABC-def">Try again' in missing.source


@pytest.mark.parametrize(
    "path", ["/console/openapi.json", "/console/waiting/worklist.csv", "/console/settings/backup"]
)
def test_a_file_is_as_private_as_a_page(path: str) -> None:
    visitor = a_visitor(World())
    page = dict(visitor.get("/console/status").headers)

    reply = visitor.console.dispatch(request_from("GET", HOST + path, _form_headers(visitor), b""))

    for name in ("Content-Security-Policy", "Cache-Control", "X-Frame-Options", "Referrer-Policy"):
        assert dict(reply.headers)[name] == page[name]


@pytest.mark.parametrize(("megabytes", "status"), [(2, 422), (4, 413)])
def test_a_backup_as_a_form_may_be_larger_than_other_forms(megabytes: int, status: int) -> None:
    visitor = a_visitor(World())

    seen = visitor.post("/console/settings/restore", {"configuration": "x" * megabytes * 2**20})
    other = visitor.post("/console/settings/bms", {"tenant": "x" * megabytes * 2**20})

    assert (seen.status, other.status) == (status, 413)


@pytest.mark.parametrize("token", ["", "made-up", "é"])
def test_a_form_without_the_browsers_own_token_is_refused_and_nothing_is_done(token: str) -> None:
    visitor = a_visitor(World())

    answer = visitor.post("/console/sign-out", token=token)

    assert answer.status == 403
    assert "Nothing was done" in answer.text
    assert visitor.get("/console/status").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(headers: dict[str, str]) -> None:
    visitor = a_visitor(World())
    token = visitor.cookies["console-form"]
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies, **headers}

    reply = visitor.console.dispatch(
        request_from("POST", f"{HOST}/console/sign-out", sent, f"form_token={token}".encode())
    )

    assert reply.status == 403


def test_every_page_forbids_scripts_of_others_frames_and_caches() -> None:
    headers = dict(a_visitor(World()).get("/console/status").headers)

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_and_no_refusal_has_inline_script_or_style() -> None:
    visitor = a_visitor(World())
    sources = [visitor.get(path).source for path in ("/console/status", "/console/nothing")]

    for source in sources:
        assert "<script>" not in source
        assert "<style" not in source
        assert " style=" not in source
        assert " onclick=" not in source


@pytest.mark.parametrize("name", ["../console.py", "..%2Fconsole.py", "session.py", "x"])
def test_static_files_are_those_of_the_folder_alone(name: str) -> None:
    assert a_stranger().get(f"/console/static/{name}").status == 404


def test_the_scripts_part_of_a_page_is_led_to_the_sign_in_as_a_whole_page() -> None:
    answer = a_stranger().part("/console/status/now")

    assert answer.status == 401
    assert dict(answer.headers)["HX-Redirect"] == "/console/sign-in"


def test_a_fault_of_ours_is_one_plain_page_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    visitor = a_visitor(world)

    name = "Lindqvist"

    def breaks() -> object:
        raise RuntimeError(name)

    world.queues.backlog = breaks  # type: ignore[method-assign, assignment]

    answer = visitor.get("/console/status")

    assert answer.status == 500
    assert "Something went wrong on our side." in answer.text
    assert name not in answer.source + caplog.text


def platform_world() -> World:
    settings = replace(
        World().settings,
        admin_token="",
        platform_auth=True,
        storage=StorageSettings(connection_string="UseDevelopmentStorage=true"),
    )
    return World(settings=settings)


def principal(role: str) -> str:
    claims = [{"typ": "roles", "val": role}, {"typ": "tid", "val": "t"}]
    return base64.b64encode(json.dumps({"claims": claims}).encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [("", 401), (principal("Other"), 403), (principal("Sync.Admin"), 200), ("x", 401)],
)
def test_behind_the_platform_its_word_and_the_role_decide(header: str, status: int) -> None:
    world = platform_world()
    pages = console(world.settings, world.api, all_pages(world.clock), world.clock)
    sent = {"X-MS-Client-Principal": header} if header else {}

    reply = pages.dispatch(request_from("GET", f"{HOST}/console/status", sent, b""))

    assert reply.status == status
    page = reply.body.decode()
    assert ("<nav" in page) == (status == 200)
    assert ("app role Sync.Admin: have it assigned" in page) == (status == 403)
    assert ("needs the admin: sign in" in page) == (status == 401)


def test_behind_the_platform_there_is_no_sign_in_by_token() -> None:
    world = platform_world()
    pages = console(world.settings, world.api, all_pages(world.clock), world.clock)
    sent = {"X-MS-Client-Principal": principal("Sync.Admin")}

    door = pages.dispatch(request_from("GET", f"{HOST}/console/sign-in", sent, b""))
    assert (door.status, dict(door.headers)["Location"]) == (303, "/console")
    page = pages.dispatch(request_from("GET", f"{HOST}/console/status", sent, b"")).body.decode()
    assert 'href="/.auth/logout"' in page
    assert "/console/sign-out" not in page
    assert AdminOnly(world.settings).refusal(request_from("GET", HOST, {}, b"")) is not None
