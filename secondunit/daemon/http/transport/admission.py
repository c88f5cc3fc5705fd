"""Admission control: host, proxy, origin, key, scope and rate are judged here, in this order, before any route runs."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from secondunit.daemon.access.callers import EVERYBODY, Caller
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.path_prefix import is_forwarded
from secondunit.daemon.http.transport.auth import presented_keys, same_origin
from secondunit.daemon.http.transport.client_addresses import address_of, network_of
from secondunit.daemon.http.transport.connections import Connection
from secondunit.daemon.http.transport.event_streams import HOLDER, Holder
from secondunit.daemon.http.transport.problems import (
    ForeignOrigin,
    NoKeyYet,
    NotYours,
    Published,
    ScopeTooSmall,
    TooMany,
    TooManyConnections,
    TwoKeys,
    Unauthorized,
    WrongHost,
)
from secondunit.daemon.http.transport.rate_limit import RateLimit
from secondunit.daemon.http.transport.request_heads import authority_of, host_in
from secondunit.daemon.http.transport.route import ApiRoute, Front

CONTROL = "control socket"
SAFE = ("GET", "HEAD", "OPTIONS")


class JobRate(NamedTuple):
    """The rate of a key's own, by which its new jobs are counted, and the bucket of theirs."""

    limit: RateLimit
    bucket: str


JOBS = web.RequestKey("rate of its new jobs", JobRate)


def count_jobs(request: web.Request, number: int) -> None:
    """Count new jobs against the rate of the caller's key, if it has one; TooMany while it owes for earlier ones."""
    rate = request.get(JOBS)
    if rate is not None and number and (wait := rate.limit.spend(rate.bucket, number)) is not None:
        raise TooMany(wait)


class Admission:
    """The doorkeeper of one application; `front` knows the sessions of browsers."""

    def __init__(self, api: Api, front: Front | None = None) -> None:
        self._front = front
        self._settings = api.settings
        self._hosts = frozenset(host.lower() for host in api.settings.allowed_hosts)
        self._trusted = api.trusted
        self._keys = api.keys
        self._clock = api.clock
        self._rates: dict[str, RateLimit] = {}

    async def admit(self, request: web.Request, route: ApiRoute | None) -> Caller | None:
        """The caller, None for one without a key on an open route; else the refusal. `route` None: nothing is there."""
        caller = await self._judged(request, route)
        if caller is not None and caller.id:
            line = request.protocol
            if isinstance(line, Connection) and not line.belongs_to(caller.id):
                raise TooManyConnections("half of all connections that may be open are this key's; come back soon")
        if route is not None and route.stream:
            id = caller.id if caller else ""
            request[HOLDER] = Holder(id or self._address(request), has_key=bool(id) or self._trusted)
        return caller

    async def _judged(self, request: web.Request, route: ApiRoute | None) -> Caller | None:
        if self._trusted:
            return await self._on_control_socket(request)
        guarded = route is not None and route.scope is not None
        if guarded:  # what is open to all is told while the database is away, too
            await self._keys.catch_up()
        if not self._keys.exist:
            self._check_keyless(request)
            return await self._of_our_account(request, route)
        presented = presented_keys(request, in_query=route is not None and route.stream)
        caller, alone = await self._who(request, presented, guarded=guarded)
        failed = caller is None and (bool(presented) or guarded)
        if route is None or route.limited or failed:
            self._spend(request, caller)
        if not alone:
            raise TwoKeys
        if route is None or route.scope is None:
            return caller
        if caller is None:
            raise Unauthorized
        if not caller.reaches(route.scopes):
            raise ScopeTooSmall(f"this call needs a key with the scope {' or '.join(route.scopes)}")
        return caller

    async def _who(
        self, request: web.Request, presented: Sequence[str], *, guarded: bool
    ) -> tuple[Caller | None, bool]:
        """Who calls, and whether all that the request carries says so; nobody where two keys contradict each other."""
        if not presented:
            return await self._of_session(request), True
        if len(presented) > 1:
            return None, False
        caller = await self._keys.caller(presented[0]) if guarded else self._keys.find(presented[0])
        if caller is None or self._front is None or "Cookie" not in request.headers:
            return caller, True
        browsing = await self._front.caller(request)
        return caller, browsing is None or browsing.id == caller.id

    async def _of_session(self, request: web.Request) -> Caller | None:
        """Whose session the cookie is; what changes something must come from our own page.

        A browser sends its cookie along whoever made it ask.
        """
        if self._front is None or "Cookie" not in request.headers:
            return None
        caller = await self._front.caller(request)
        if caller is not None and request.method not in SAFE and not same_origin(request):
            raise ForeignOrigin("a session changes something from this daemon's own pages alone; elsewhere send a key")
        return caller

    def _spend(self, request: web.Request, caller: Caller | None) -> None:
        """Count the call against the rate of its key, or else of its address."""
        if caller is not None and caller.rate:
            rate, who = caller.rate, caller.id
        elif self._settings.rate_limit is not None:
            rate, who = self._settings.rate_limit, f"{caller.id if caller else ''} from {self._address(request)}"
        else:
            return
        if rate not in self._rates:
            self._rates[rate] = RateLimit(rate, self._clock)
        # One caller of a shared key doesn't use up what is the others'; no guess touches what is a key's.
        if (wait := self._rates[rate].spend(who)) is not None:
            raise TooMany(wait)
        if caller is not None and caller.rate:
            request[JOBS] = JobRate(self._rates[rate], f"jobs of {who}")

    async def _on_control_socket(self, request: web.Request) -> Caller:
        """Everybody who could open it, but a program of the daemon's own: a job's may have been taken over."""
        line = request.protocol
        refusal = await line.refusal() if isinstance(line, Connection) else None
        if refusal is not None:
            raise NotYours(f"the control socket is not for you: {refusal}")
        return EVERYBODY

    async def _of_our_account(self, request: web.Request, route: ApiRoute | None) -> Caller | None:
        """Everybody, if the peer is a program of this daemon's account or root's, as the kernel says; else nobody."""
        line, own = request.protocol, os.geteuid()
        owner = await line.owner() if isinstance(line, Connection) else None
        if owner in (own, 0):
            return EVERYBODY
        if route is None or route.scope is None:
            return None
        raise NoKeyYet(own, owner)

    def _check_keyless(self, request: web.Request) -> None:
        """Without a key only this machine's own programs are meant: no proxy, no other name, no foreign page."""
        host = authority_of(request)
        if host_in(host) not in self._hosts:
            raise WrongHost(f"{host!r} is not one of this daemon's names; ALLOWED_HOSTS lists them")
        if is_forwarded(request):
            raise Published("the request came through a proxy; set API_KEY before this daemon is published")
        origin = request.headers.get("Origin")
        if origin is None or request.method in SAFE or origin in self._settings.cors_origins:
            return
        if origin.lower() != f"http://{host}".lower():
            raise ForeignOrigin(f"{origin} may not change anything here; CORS_ORIGINS lists who may")

    def address_of(self, request: web.Request) -> str:
        """Where a request came from, as far as can be trusted."""
        return CONTROL if self._trusted else address_of(request, self._settings.trusted_proxies)

    def _address(self, request: web.Request) -> str:
        return network_of(self.address_of(request))
