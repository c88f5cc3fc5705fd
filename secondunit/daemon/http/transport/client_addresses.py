"""Client addresses: whom an address stands for, and where a request comes from that proxies handed on."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web

from secondunit.handlers.tools.network.addresses import Network


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Whom an address stands for: of IPv6 anybody has 2**64 of them (RFC 6177)."""
    literal = _literal(address)
    if literal is None:
        return address
    return str(literal) if literal.version == 4 else str(ip_network((int(literal), 64), strict=False))


def address_of(request: web.BaseRequest, proxies: Sequence[Network]) -> str:
    """Where a request came from, as far as these proxies are trusted to tell."""
    peer, told = request.remote or "", request.headers.getall("X-Forwarded-For", ())
    return origin_of(peer, ",".join(told).split(","), proxies) if told and proxies else peer


def is_shared(address: str, proxies: Sequence[Network]) -> bool:
    """Whether many may stand behind it: a trusted proxy's, or this machine's own."""
    literal = _literal(address)
    return literal is None or literal.is_loopback or _is_proxy(literal, proxies)


def origin_of(peer: str, hops: Sequence[str], proxies: Sequence[Network]) -> str:
    """Where a request comes from: the last of the forwarded `hops` that is no trusted proxy, as far as proxies told.

    The peer's own address where they told none: what anybody may write there (a word, a proxy's address) is nobody.
    """
    literal, left = _literal(peer), list(hops)
    while literal is not None and _is_proxy(literal, proxies):
        literal = _literal(left.pop()) if left else None
    return peer if literal is None else str(literal)


def _literal(address: str) -> IPv4Address | IPv6Address | None:
    try:
        literal = ip_address(address.strip())
    except ValueError:
        return None
    return getattr(literal, "ipv4_mapped", None) or literal


def _is_proxy(literal: IPv4Address | IPv6Address, proxies: Sequence[Network]) -> bool:
    return any(literal in network for network in proxies)
