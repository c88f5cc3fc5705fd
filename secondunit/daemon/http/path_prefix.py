"""Path prefix below which a proxy serves this daemon (the path of PUBLIC_URL), put before the addresses it tells.

The proxy takes the prefix off what it hands on. Who comes without a proxy sees the daemon at its root.
"""

import re
from urllib.parse import quote, urlsplit

from aiohttp import web

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
# Of our own templates, whose attributes have double quotes; those of what is filled in are escaped.
ADDRESS = re.compile(r'(?<=\s)(href|src|action|poster|hx-sse:connect)="/(?!/)')


def prefix_of(public_url: str | None) -> str:
    """The prefix that PUBLIC_URL names, without a slash at its end; nothing if it names none."""
    return quote(urlsplit(public_url or "").path.rstrip("/"), safe="/%~")


def is_forwarded(request: web.BaseRequest) -> bool:
    """Whether it came through a proxy, as proxies say."""
    return any(header in request.headers for header in FORWARDING)


def seen_by(request: web.BaseRequest, prefix: str) -> str:
    """What stands before our paths for who asks."""
    return prefix if prefix and is_forwarded(request) else ""


def lead_below(prefix: str, request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Have a `Location` of ours lead below the prefix."""
    if prefix and (to := response.headers.get("Location", "")).startswith("/"):
        response.headers["Location"] = seen_by(request, prefix) + to


def below(prefix: str, html: str) -> str:
    """A page of ours, or a part of one, whose addresses are below the prefix."""
    return ADDRESS.sub(rf'\1="{prefix}/', html) if prefix else html
