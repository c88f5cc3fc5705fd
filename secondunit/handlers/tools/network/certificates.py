"""Trust store of outgoing TLS: read once, beside other imports; aiohttp reads it twice, in the middle of its own."""

import ssl
from collections.abc import Callable
from importlib import import_module


def import_client() -> Callable[[], None]:
    """Import aiohttp; what is returned reads the certificates for it, before anything connects. Both block.

    To read them takes 30 ms and 0.8 MiB. The context of those who want nothing verified stays without any.
    """
    unread: list[ssl.SSLContext] = []

    def later(context: ssl.SSLContext) -> None:
        unread.append(context)

    ssl.SSLContext.set_default_verify_paths = later  # type: ignore[method-assign, assignment]
    try:
        import_module("aiohttp")
    finally:
        del ssl.SSLContext.set_default_verify_paths  # what it inherits is seen again

    def read() -> None:
        for context in unread:
            if context.verify_mode != ssl.CERT_NONE:
                context.set_default_verify_paths()

    return read
