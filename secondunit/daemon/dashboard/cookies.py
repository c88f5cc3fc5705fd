"""Cookies of the pages: the session, the language, and which notice is to be shown next."""

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address

from aiohttp import web

from secondunit.handlers.tools.network.addresses import Network

SESSION, LANGUAGE, NOTICE = "secondunit_session", "secondunit_language", "secondunit_notice"
LONGEST = 8192


def read(request: web.Request, name: str) -> str | None:
    """What the browser keeps under this name, as it was put there."""
    sent = ";".join(request.headers.getall("Cookie", ()))[:LONGEST]
    pairs = (pair.strip().partition("=") for pair in sent.split(";"))
    return next((value for key, _, value in pairs if key == name and value), None)


def put(
    answer: web.StreamResponse,
    name: str,
    value: str | None,
    life: timedelta | None = None,
    *,
    secure: bool = False,
    prefix: str = "",
) -> None:
    """Have the browser keep a cookie, for our own pages alone (those below a prefix), or forget it (None)."""
    if value is None:
        answer.del_cookie(name, path=f"{prefix}/", httponly=True, samesite="Strict")
        return
    seconds = None if life is None else round(life.total_seconds())
    answer.set_cookie(name, value, max_age=seconds, path=f"{prefix}/", secure=secure, httponly=True, samesite="Strict")


def is_https(request: web.Request, proxies: Sequence[Network]) -> bool:
    """Whether the browser came by https, as a trusted proxy says; we ourselves serve plain HTTP alone."""
    try:
        peer = ip_address(request.remote or "")
    except ValueError:
        return False
    trusted = any(peer in network for network in proxies)
    return trusted and request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
