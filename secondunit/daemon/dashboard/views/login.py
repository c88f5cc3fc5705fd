"""Sign-in and sign-out: a key for a session, tried a few times a minute and not more; and the reader's language."""

from aiohttp import web

from secondunit.daemon.access.sessions import Sessions
from secondunit.daemon.dashboard import cookies
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.page import Done, Shown, Visit, local_path
from secondunit.daemon.dashboard.texts import LANGUAGES
from secondunit.daemon.http.transport.client_addresses import address_of, network_of
from secondunit.daemon.http.transport.problems import TooMany
from secondunit.daemon.http.transport.rate_limit import RateLimit
from secondunit.queue.clock import Clock

TRIES = "10/minute"


async def show(visit: Visit) -> Shown:
    """The form for the key."""
    return Shown("login.html", {"next": local_path(visit.query.get("next")), "wrong": False})


class Door:
    """Lets browsers in and out; tries are counted by address, right ones too."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._tries = RateLimit(TRIES, clock)

    async def enter(self, visit: Visit, request: web.Request) -> Done | Shown:
        """Begin a session."""
        form = await form_of(request)
        wait = self._tries.spend(network_of(address_of(request, visit.api.settings.trusted_proxies)))
        if wait is not None:
            raise TooMany(wait)
        to = local_path(form.get("next"))
        id = await self._sessions.begin(form.get("key", "").strip())
        if id is None:
            return Shown("login.html", {"next": to, "wrong": True}, status=401)
        caller = await self._sessions.caller(id)
        if to == "/" and caller is not None and caller.tenant is not None:
            to = "/jobs"  # it may not see more
        return Done(to, cookies={cookies.SESSION: id})

    async def leave(self, visit: Visit, request: web.Request) -> Done:
        """End the session."""
        await self._sessions.end(cookies.read(request, cookies.SESSION) or "")
        return Done("/login", visit.texts("login.left"), {cookies.SESSION: None})


async def speak(_: Visit, request: web.Request) -> Done:
    """Choose a language."""
    form = await form_of(request)
    chosen = form.get("language")
    return Done(local_path(form.get("next")), cookies={cookies.LANGUAGE: chosen if chosen in LANGUAGES else None})
