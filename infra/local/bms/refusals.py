"""The ways in which the stand-in says no, each by what the caller did wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """A request that is answered with an error."""


class Rejected(Refusal):
    """The request can be read, but BMS's own rules forbid it."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons: Sequence[str] = reasons


class NotThere(Refusal):
    """The id or table name leads to nothing."""


class Unreadable(Refusal):
    """The request does not have the declared form: ASP.NET refuses it before any code runs."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{where}: {', '.join(why)}" for where, why in errors.items()))
        self.errors = errors


class UnsupportedBody(Refusal):
    """The content type is not one that the route declares."""


class SignInRefused(Refusal):
    """Wrong tenant, user, password, code or token at one of the sign-in routes."""


class NotSignedIn(Refusal):
    """The bearer token is missing, unknown or expired."""


class V1Refused(Refusal):
    """An error of the v1 API, whose bodies look different."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
