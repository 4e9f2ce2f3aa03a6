"""The look from outside after a deployment: what must be closed is, and what must be open."""

from __future__ import annotations

from collections.abc import Mapping

from infra.azure.check_deployment import Answer, Ask, problems_of

URL = "https://func-x.azurewebsites.net"


def app(
    *,
    api: int = 302,
    forged: int = 302,
    webhook: int = 404,
    health: int = 200,
    console: int = 302,
    style: int = 302,
) -> Ask:
    def ask(method: str, url: str, headers: Mapping[str, str]) -> Answer:
        if "/webhooks/" in url:
            assert method == "POST"
            return Answer(webhook, "")
        if url.endswith("/health"):
            return Answer(health, "")
        if "/console" in url:
            return Answer(style if url.endswith(".css") else console, "")
        return Answer(forged if headers else api, "")

    return ask


def test_a_deployment_that_is_right_has_no_problems() -> None:
    assert problems_of(app(), URL) == []
    assert problems_of(app(api=401, forged=401, health=503), URL) == []


def test_an_admin_api_that_answers_a_stranger_is_told() -> None:
    [problem] = problems_of(app(api=200), URL)
    assert "answers a stranger with 200" in problem


def test_an_app_that_believes_a_forged_header_is_told() -> None:
    [problem] = problems_of(app(forged=200), URL)
    assert "forged header" in problem


def test_a_console_that_answers_a_stranger_is_told() -> None:
    told = problems_of(app(console=303), URL)
    assert len(told) == 2
    assert told[0].startswith("/console answers a stranger with 303")
    assert "forged header" in told[1]


def test_the_consoles_files_are_behind_the_sign_in_too() -> None:
    told = problems_of(app(style=200), URL)
    assert [one.partition(" answers")[0] for one in told] == ["/console/static/console.css"] * 2


def test_a_webhook_behind_the_sign_in_is_told() -> None:
    assert any("webhook" in problem for problem in problems_of(app(webhook=302), URL))


def test_an_app_that_does_not_start_is_told() -> None:
    assert any("/health" in problem for problem in problems_of(app(health=0), URL))
