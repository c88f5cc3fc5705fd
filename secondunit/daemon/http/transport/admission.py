"""Admission control: host, proxy, origin, key, scope and rate are judged here, in this order, before any route runs."""

from ipaddress import ip_address, ip_network

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.transport.auth import EVERY_SCOPE, Caller, Keys, presented_key
from secondunit.daemon.http.transport.problems import (
    ForeignOrigin,
    Published,
    ScopeTooSmall,
    TooMany,
    Unauthorized,
    WrongHost,
)
from secondunit.daemon.http.transport.rate_limit import RateLimit
from secondunit.daemon.http.transport.route import ApiRoute

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
SAFE = ("GET", "HEAD", "OPTIONS")
EVERYBODY = Caller("", EVERY_SCOPE)


class Admission:
    """The doorkeeper of one application."""

    def __init__(self, api: Api, keys: Keys) -> None:
        self._settings = api.settings
        self._hosts = frozenset(host.lower() for host in api.settings.allowed_hosts)
        self._trusted = api.trusted
        self._keys = keys
        self._rate = RateLimit(api.settings.rate_limit, api.clock) if api.settings.rate_limit else None

    async def admit(self, request: web.Request, route: ApiRoute | None) -> Caller | None:
        """The caller, None for one without a key on an open route; else the refusal. `route` None: nothing is there."""
        if self._trusted:
            return EVERYBODY
        if not self._keys.exist:
            self._check_keyless(request)
            return EVERYBODY
        key = presented_key(request, in_query=route is not None and route.stream)
        caller = None if key is None else await self._keys.find(key)
        failed = caller is None and (key is not None or (route is not None and route.scope is not None))
        if route is None or route.limited or failed:
            # One caller of a shared key doesn't use up what is the others'; no guess touches what is a key's.
            self._spend(f"{caller.name if caller else ''} from {network_of(self._address(request))}")
        if route is None or route.scope is None:
            return caller
        if caller is None:
            raise Unauthorized
        if route.scope not in caller.scopes:
            raise ScopeTooSmall(f"this call needs a key with the scope {route.scope}")
        return caller

    def _check_keyless(self, request: web.Request) -> None:
        """Without a key only this machine's own programs are meant: no proxy, no other name, no foreign page."""
        host = _host(request)
        if _name(host) not in self._hosts:
            raise WrongHost(f"{host!r} is not one of this daemon's names; ALLOWED_HOSTS lists them")
        if any(header in request.headers for header in FORWARDING):
            raise Published("the request came through a proxy; set API_KEY before this daemon is published")
        origin = request.headers.get("Origin")
        if origin is None or request.method in SAFE or origin in self._settings.cors_origins:
            return
        if origin.partition("://")[2] != host:
            raise ForeignOrigin(f"{origin} may not change anything here; CORS_ORIGINS lists who may")

    def _spend(self, who: str) -> None:
        if self._rate and (wait := self._rate.spend(who)) is not None:
            raise TooMany(wait)

    def _address(self, request: web.Request) -> str:
        """Where the call comes from: the last hop that is no trusted proxy."""
        hops = [hop.strip() for line in request.headers.getall("X-Forwarded-For", []) for hop in line.split(",")]
        address = request.remote or ""
        while hops and self._is_proxy(address):
            address = hops.pop()
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            literal = ip_address(address)
        except ValueError:
            return False
        return any(literal in network for network in self._settings.trusted_proxies)


def network_of(address: str) -> str:
    """Whom an address stands for: of IPv6 anybody has 2**64 of them (RFC 6177)."""
    try:
        literal = ip_address(address)
    except ValueError:
        return address
    return str(literal) if literal.version == 4 else str(ip_network((int(literal), 64), strict=False))


def _host(request: web.Request) -> str:
    """Who is meant: the target's host where it is a whole address, whatever Host says (RFC 9112, 3.2.2)."""
    if request.raw_path.startswith("/") or request.method == "CONNECT":
        return request.headers.get("Host", "")
    name, port = request.url.raw_host or "", request.url.explicit_port
    name = f"[{name}]" if ":" in name else name
    return name if port is None else f"{name}:{port}"


def _name(host: str) -> str:
    """A Host header without its port, in lower case; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")
