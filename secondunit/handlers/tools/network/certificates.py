"""Trust store of outgoing TLS: read before the first request that needs it, not twice while aiohttp is imported."""

import ssl
from importlib import import_module
from typing import TYPE_CHECKING

from secondunit.handlers.tools.cancellation import in_thread

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

# As the contexts themselves, which aiohttp makes once for the process.
_unread: list[ssl.SSLContext] = []


def import_client() -> None:
    """Import aiohttp without any certificates; it blocks.

    To read them takes 30 ms and 1.2 MiB, which a daemon needs that speaks TLS to somebody.
    """

    def later(context: ssl.SSLContext) -> None:
        _unread.append(context)

    ssl.SSLContext.set_default_verify_paths = later  # type: ignore[method-assign, assignment]
    try:
        import_module("aiohttp")
    finally:
        del ssl.SSLContext.set_default_verify_paths  # what it inherits is seen again


async def trusting(request: "ClientRequest", handler: "ClientHandlerType") -> "ClientResponse":
    """Middleware of every session of ours: by the first request over TLS the certificates are read, off the loop."""
    if _unread and request.url.scheme == "https":
        await in_thread(_read)
    return await handler(request)


def _read() -> None:
    """Once more by who comes meanwhile, which does no harm. The context of who wants nothing verified stays without."""
    for context in _unread:
        if context.verify_mode != ssl.CERT_NONE:
            context.set_default_verify_paths()
    _unread.clear()
