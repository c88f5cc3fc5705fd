"""A browser without a screen: it follows links, keeps cookies and sends forms as a page of ours does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import aiohttp

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
OURS = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Tag:
    """An element, with what is written in it."""

    name: str
    attributes: dict[str, str]
    text: str = ""


class Document(HTMLParser):
    """The elements of a page, in their order."""

    VOID = ("meta", "link", "input", "img", "br", "hr", "source")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self._open: list[Tag] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Tag(tag, {name: value or "" for name, value in attrs})
        self.tags.append(made)
        if tag not in self.VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            tag.text += data

    def all(self, element: str, **attributes: str) -> list[Tag]:
        """The elements of this name that have these attributes."""
        return [
            tag
            for tag in self.tags
            if tag.name == element and all(tag.attributes.get(key) == value for key, value in attributes.items())
        ]

    def says(self, text: str) -> bool:
        """Whether its main part has this text, however it is broken into lines."""
        [main] = self.all("main")
        return text in re.sub(r"\s+", " ", main.text)


@dataclass
class Browser:
    """One reader; `language` is what the browser prefers."""

    harness: Any
    language: str = "en"
    cookies: dict[str, str] = field(default_factory=dict)
    answer: aiohttp.ClientResponse = field(init=False)
    url: str = ""

    async def open(self, path: str, status: int = 200) -> Document:
        """A page, whatever redirects lead to it."""
        return await self._seen(await self._asked("GET", path), status)

    async def send(self, path: str, *fields: tuple[str, str], status: int = 200, **headers: str) -> Document:
        """A form, and the page after it."""
        named = OURS | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._seen(await self._asked("POST", path, data=list(fields), headers=named), status)

    async def _asked(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        headers: Mapping[str, str] = HTML | {"Accept-Language": self.language} | more.pop("headers", {})
        jar = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        self.url = path
        self.answer = await self.harness.client.request(
            method, path, headers={**headers, **jar}, allow_redirects=False, **more
        )
        for name, morsel in self.answer.cookies.items():
            self.cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del self.cookies[name]
        return self.answer

    async def _seen(self, answer: aiohttp.ClientResponse, status: int) -> Document:
        if answer.status == 303:
            return await self._seen(await self._asked("GET", answer.headers["Location"]), status)
        text = await answer.text()
        assert answer.status == status, text
        assert answer.content_type == "text/html"
        return Document(text)

    async def sign_in(self, key: str) -> Document:
        """With a key."""
        return await self.send("/login", ("key", key))
