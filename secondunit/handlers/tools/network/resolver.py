"""DNS resolver that judges every address of a name before any is connected to."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from secondunit.handlers.tools.network.addresses import AddressRule

# As `socket.getaddrinfo` gives it: family, type, protocol, canonical name, address.
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
Lookup = Callable[[str, int, int], Sequence[AddrInfo]]


class JudgingResolver(AbstractResolver):
    """Refuses (AddressRefused) a name as soon as one of its addresses may not be reached."""

    def __init__(self, rule: AddressRule, lookup: Lookup | None = None) -> None:
        self._rule = rule
        self._lookup = lookup or system_lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await _in_thread(lambda: self._lookup(host, port, family))
        for _, _, _, _, address in found:
            self._rule.admit(host, str(address[0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held between look-ups."""


def system_lookup(host: str, port: int, family: int) -> Sequence[AddrInfo]:
    """What the system's resolver knows of a name; blocks, for as long as its name servers let it."""
    try:
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} can't be looked up: {error}") from error


async def _in_thread(lookup: Callable[[], Sequence[AddrInfo]]) -> Sequence[AddrInfo]:
    # A thread of its own, not the loop's few shared ones: dead name servers hold it for half a minute, and must delay
    # neither other look-ups nor file work, nor (being a daemon thread) the end of the process.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[AddrInfo]] = loop.create_future()

    def settle(found: Sequence[AddrInfo] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def work() -> None:
        found: Sequence[AddrInfo] | OSError
        try:
            found = lookup()
        except OSError as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=work, name="lookup", daemon=True).start()
    return await answer
