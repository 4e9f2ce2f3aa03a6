"""A visitor who looks at the elements of a page: inputs, what they hold, what is said at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from shared.web.router import Route
from tests.web.console.visitor import Seen, Visitor, a_visitor
from tests.web.world import World

_VOID = frozenset({"input", "br", "img", "meta", "link", "hr"})


@dataclass
class Tag:
    """An element with its attributes and all the text within."""

    name: str
    attributes: dict[str, str]
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self.open: list[Tag] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Tag(tag, {name: value or "" for name, value in attrs})
        self.tags.append(made)
        if tag not in _VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if any(one.name == tag for one in self.open):
            while self.open.pop().name != tag:
                pass

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.text += data


@dataclass
class Shown:
    """What came back."""

    status: int
    html: str
    location: str
    tags: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        reader = _Reader()
        reader.feed(self.html)
        self.tags = reader.tags

    @property
    def text(self) -> str:
        """All that is written on the page, blanks made one."""
        body = [one.text for one in self.tags if one.name == "body"] or [self.html]
        return " ".join(body[0].split())

    def all(self, tag: str, /, **attributes: str) -> list[Tag]:
        """Elements of this name with these attributes (`class_` for class: one of them)."""
        return [one for one in self.tags if one.name == tag and _has(one, attributes)]

    def one(self, tag: str, /, **attributes: str) -> Tag:
        """The first of them; the test fails when there is none."""
        found = self.all(tag, **attributes)
        assert found, f"no <{tag}> with {attributes} in: {self.text[:2000]}"
        return found[0]

    def value(self, name: str) -> str:
        """What an input of this name holds."""
        return self.one("input", name=name).attributes.get("value", "")


def _has(tag: Tag, attributes: Mapping[str, str]) -> bool:
    for name, value in attributes.items():
        if name == "class_":
            if value not in tag.attributes.get("class", "").split():
                return False
        elif tag.attributes.get(name.replace("_", "-")) != value:
            return False
    return True


@dataclass
class Reader:
    """Signed in to the console of this world; `instead`: routes that answer as told."""

    world: World
    instead: Iterable[Route] = ()
    visitor: Visitor = field(init=False)

    def __post_init__(self) -> None:
        self.visitor = a_visitor(self.world, self.instead)

    def get(self, address: str, *, part: bool = False) -> Shown:
        """The page at this address, or a part of one as the script asks for it."""
        return _shown(self.visitor.part(address) if part else self.visitor.get(address))

    def post(
        self,
        address: str,
        inputs: Mapping[str, str | Sequence[str]],
        *,
        token: str | None = None,
    ) -> Shown:
        """A form with these inputs; `token` for a foreign one."""
        return _shown(self.visitor.post(address, inputs, token=token))

    def follow(self, shown: Shown) -> Shown:
        """The page that a redirect leads to."""
        assert shown.status == 303, f"{shown.status}: {shown.text[:2000]}"
        return self.get(shown.location)


def _shown(seen: Seen) -> Shown:
    return Shown(seen.status, seen.source, seen.location)
