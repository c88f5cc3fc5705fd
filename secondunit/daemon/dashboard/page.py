"""Pages and actions: what a view is given, what it gives back, and its entry in the routing table."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDict, MultiMapping

from secondunit.daemon.access.callers import Caller, Scope
from secondunit.daemon.dashboard.figures import Figures
from secondunit.daemon.dashboard.texts import Texts
from secondunit.daemon.http.context import Api
from secondunit.queue.value import Value


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody looks at a page: who, in which language, at which path and query; `parts` are those of the path.

    A view knows nothing else of who asks, so that what is shown live is made once for all who look at the same.
    """

    api: Api
    figures: Figures
    caller: Caller
    texts: Texts
    path: str
    query: MultiMapping[str] = field(default_factory=MultiDict)
    parts: Mapping[str, str] = field(default_factory=dict)

    def link(self, path: str | None = None, **changes: object) -> str:
        """This address, or another path, with these parameters set, and those that are None taken out."""
        query = MultiDict(self.query)
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = str(value)
        text = urlencode(list(query.items()), safe=":/,")
        return f"{path or self.path}?{text}" if text else path or self.path

    def may(self, scope: Scope) -> bool:
        """Whether the reader's key has this scope; what it has not is not shown."""
        return self.caller.reaches([scope])


@dataclass(frozen=True, slots=True)
class Shown:
    """A page to be shown: its template and what is filled into it.

    `command` does the same on the command line, `twin` is the path of the API that says the same as JSON.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    twin: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Done:
    """An action was taken: where the reader goes now, and what is said there; `cookies` are set, None deletes one."""

    to: str
    notice: str = ""
    cookies: Mapping[str, str | None] = field(default_factory=dict)


View = Callable[[Visit], Awaitable[Shown]]
Act = Callable[[Visit, web.Request], Awaitable[Done | Shown]]


class Page(Value, frozen=True):
    """What is shown under a path (GET). `scope` None: to everybody; `own`: also to keys that see their own jobs alone.

    `nav` is the entry of the navigation that stands out while it is open.
    """

    path: str
    view: View
    scope: Scope | None = "read"
    own: bool = False
    nav: str = ""

    @property
    def scopes(self) -> Sequence[Scope]:
        """The scopes of which a reader needs one; none for what is open to all."""
        if self.scope is None:
            return ()
        return (self.scope, "submit") if self.own else (self.scope,)


class Action(Value, frozen=True):
    """What is done under a path (POST); `audited` is its word in the audit trail."""

    path: str
    act: Act
    scope: Scope | None = "admin"
    audited: str | None = None


def local_path(to: str | None, otherwise: str = "/") -> str:
    """A path of ours to go on to, and nobody else's, whatever a link or a form says."""
    if not to or not to.startswith("/") or to.startswith(("//", "/\\")) or not to.isprintable():
        return otherwise
    return to
