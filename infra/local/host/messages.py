"""The RPC messages that the worker library and a host exchange, as plain Python classes.

The library never imports its protobuf types: it takes them from the `protos` object that the host
hands it, so plain classes with the same names and members do. The classes of every invocation are
written out here; the rest are made on demand and only carry what they were given.
"""

from __future__ import annotations

from typing import Any, ClassVar


class TypedData:
    """One value in one of protobuf's `oneof data` forms."""

    # The worker first tries `.TypedData` on what it gets and relies on the AttributeError.
    __slots__ = ("_kind", "_value")

    def __init__(self, **forms: Any) -> None:
        self._kind: str | None = None
        self._value: Any = None
        for kind, value in forms.items():
            if value is not None:
                self._kind, self._value = kind, value

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's spelling
        """Name the form that is set, as protobuf does."""
        return self._kind

    def __getattr__(self, name: str) -> Any:
        if name == self._kind:
            return self._value
        raise AttributeError(name)


class ParameterBinding:
    """A named argument of an invocation."""

    __slots__ = ("data", "name")

    def __init__(self, name: str, data: TypedData) -> None:
        self.name = name
        self.data = data

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's spelling
        """Say that the value came inline and not by shared memory."""
        return "data"


class RpcHttp:
    """An HTTP request on the way in, or a response on the way out."""

    __slots__ = (
        "body",
        "cookies",
        "enable_content_negotiation",
        "headers",
        "method",
        "params",
        "query",
        "status_code",
        "url",
    )

    def __init__(
        self,
        *,
        method: str = "",
        url: str = "",
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        body: TypedData | None = None,
        status_code: str = "",
        cookies: list[Any] | None = None,
        enable_content_negotiation: bool = False,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers or {}
        self.params = params or {}
        self.query = query or {}
        self.body = body
        self.status_code = status_code
        self.cookies = cookies or []
        self.enable_content_negotiation = enable_content_negotiation


class Record:
    """A message that only carries what it was given; a member never set reads as None."""

    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class StatusResult(Record):
    """How an answer of the worker went."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class BindingInfo(Record):
    """A binding as the worker describes it, with the enumerations that it compares against."""

    # Direction
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    # DataType: the worker reads these for the text of a type mismatch.
    undefined: ClassVar[int] = 0
    string: ClassVar[int] = 1
    binary: ClassVar[int] = 2
    stream: ClassVar[int] = 3


class _SameSite:
    Lax = 1
    Strict = 2
    ExplicitNone = 3


# `None` is a member of the enumeration and a keyword of Python.
setattr(_SameSite, "None", 0)


class RpcHttpCookie(Record):
    """A cookie of a response."""

    SameSite: ClassVar[type[_SameSite]] = _SameSite


class Messages:
    """What the worker calls `protos`: every message class by its name."""

    TypedData = TypedData
    ParameterBinding = ParameterBinding
    RpcHttp = RpcHttp
    StatusResult = StatusResult
    BindingInfo = BindingInfo
    RpcHttpCookie = RpcHttpCookie

    def __getattr__(self, name: str) -> Any:
        if not name[:1].isupper():
            raise AttributeError(name)
        made = type(name, (Record,), {})
        setattr(self, name, made)
        return made
