"""Route: what is served under a path, who may call it, and what the document says about it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from aiohttp import web
from msgspec import Struct
from pydantic import BaseModel

from secondunit.daemon.access.callers import Caller, Scope
from secondunit.daemon.http.context import Api

Handler = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]


class OneOf(NamedTuple):
    """An answer that is one of several kinds."""

    name: str
    about: str
    kinds: tuple[type[Struct], ...]


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One call; its handler's docstring describes it.

    `id` is its operationId: clients that are made from the document name their calls by it, so it never changes; its
    first part is the group that the document lists it in. `scope` None: open to all. `own`: a key that may submit and
    not read gets it too, for its own jobs. `audited`: the word under which what it changes is audited; None for what
    changes nothing, or submits. `success` are the statuses of `answer` (None: not JSON but `media`), `problems` the
    rest. `headers` names those it reads, `takes` the media types of `body`. `stream`: it sends events, and the key may
    stand in its URL; `messages` are what they carry, by the events' names. `limited`: it counts against the caller's
    rate. `hot`: it comes by the thousand, and takes the short way (`short_way`).
    """

    id: str
    method: str
    path: str
    handler: Handler
    scope: Scope | None
    answer: type[Struct] | OneOf | None = None
    success: Sequence[int] = (200,)
    problems: Sequence[int] = ()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    media: str = "application/json"
    takes: Sequence[str] = ("application/json",)
    stream: bool = False
    messages: Mapping[str, type[Struct] | OneOf] = field(default_factory=dict)
    limited: bool = True
    hot: bool = False
    own: bool = False
    audited: str | None = None

    @property
    def scopes(self) -> Sequence[Scope]:
        """The scopes of which a caller needs one; none for what is open to all."""
        if self.scope is None:
            return ()
        return (self.scope, "submit") if self.own else (self.scope,)


class Front(Protocol):
    """What browsers are shown beside the API: pages for people, whose session a cookie is, how refusals look there."""

    @property
    def routes(self) -> Sequence[ApiRoute]:
        """The routes of its pages; they are for people, and stand in no document."""
        ...

    async def caller(self, request: web.Request) -> Caller | None:
        """Whose session the request's cookie is."""
        ...

    async def refusal(self, request: web.Request, route: ApiRoute | None, refused: web.Response) -> web.Response:
        """The problem document, or for a browser that wanted a page, a page that says the same."""
        ...

    async def run(self) -> None:
        """Keep open pages up to date, for ever."""
        ...
