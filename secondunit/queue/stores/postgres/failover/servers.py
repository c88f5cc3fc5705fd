"""Failover hosts: the servers that a URL names, and which of them is the primary of now, which one of before.

Whoever becomes the primary begins a new timeline. Once a later one of its cluster was seen, a server of an earlier one
is the other half of a split brain: it came back, takes writes, and nobody else will ever see them. It is passed over.
"""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg

from secondunit.queue.stores.postgres.connection import Outdated, connect, connect_reader, options

# No timeline of a standby.
PLACE = """
select system_identifier::text,
  case when not pg_is_in_recovery()
    then ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint end
from pg_control_system()"""
NAMES = ("host", "hostaddr", "port")
SOON = 2  # seconds that another server is waited for

Sync = psycopg.Connection[Any]
Async = psycopg.AsyncConnection[Any]
Host = dict[str, str]


class Place(NamedTuple):
    """A cluster, and the timeline that its primary writes."""

    system: str
    timeline: int

    def before(self, other: "Place | None") -> bool:
        """Whether a failover lies between them."""
        return other is not None and self.system == other.system and self.timeline < other.timeline


class Servers:
    """Connects to the server of a URL; where that names several, to the one of the latest timeline.

    The latest that was seen is kept in the file `note`, for the next start. The writer's thread and the event loop both
    use it.
    """

    def __init__(self, url: str, note: Path | None = None) -> None:
        self._url, self._note = url, note
        self._hosts = _each(url)
        self._places: WeakKeyDictionary[Sync | Async, Place] = WeakKeyDictionary()
        self._newest: Place | None = None
        self._noted: Place | None = None

    def passed(self, connection: Sync | Async) -> bool:
        """Whether its server is of before a failover, by what was seen since."""
        place = self._places.get(connection)
        return place is not None and place.before(self._newest)

    def connect(self) -> Sync:
        """A connection to write by; each of several servers is asked. Outdated when there is none of now. Blocks."""
        if self._note and self._newest is None:
            self._newest = self._noted = _read(self._note)
        best = connect(self._url)
        with _unless_kept_secret(best):
            self._saw(best, best.execute(PLACE).fetchall(), writes=True)
        for host in self._others(best):
            with contextlib.suppress(psycopg.Error):
                other = connect(self._url, **host, connect_timeout=SOON)
                with _unless_kept_secret(other):
                    self._saw(other, other.execute(PLACE).fetchall())
                best, spare = (other, best) if self.passed(best) else (best, other)
                spare.close()
        if self.passed(best):
            best.close()
            raise self._outdated(best)
        return best

    def keep(self) -> None:
        """Have the next start know what was seen. A disk without room forgets: it asks each server again. Blocks."""
        newest = self._newest
        if self._note and newest and newest != self._noted:
            draft = self._note.with_name(f"{self._note.name}.new")
            with contextlib.suppress(OSError):
                draft.write_text(f"{newest.system} {newest.timeline}\n")
                draft.replace(self._note)
                self._noted = newest

    async def connect_reader(self) -> Async:
        """A connection to read by, to the same server or one of the same timeline; Outdated when there is none."""
        first = await self._reader()
        if not self.passed(first):
            return first
        others = self._others(first)
        await first.close()
        for host in others:
            with contextlib.suppress(psycopg.Error):
                other = await self._reader(**host, connect_timeout=SOON)
                if not self.passed(other):
                    return other
                await other.close()
        raise self._outdated(first)

    async def look(self) -> None:
        """Look whether another one has become the primary, while the one that is written to lives on."""
        for host in self._hosts:
            with contextlib.suppress(psycopg.Error):
                await (await self._reader(**host, connect_timeout=SOON)).close()

    async def _reader(self, **named: Any) -> Async:
        connection = await connect_reader(self._url, **named)
        with _unless_kept_secret(connection):
            self._saw(connection, await (await connection.execute(PLACE)).fetchall())
        return connection

    def _saw(self, connection: Sync | Async, rows: Sequence[tuple[str, int | None]], *, writes: bool = False) -> None:
        [(system, timeline)] = rows
        if timeline is None:
            return
        self._places[connection] = place = Place(system, timeline)
        newest = self._newest
        if newest is None or newest.before(place) or (writes and newest.system != system):
            self._newest = place

    def _others(self, connection: Sync | Async) -> Sequence[Host]:
        here = connection.info.host, str(connection.info.port)
        return [host for host in self._hosts if (host.get("host"), host.get("port", "5432")) != here]

    def _outdated(self, connection: Sync | Async) -> Outdated:
        here, newest = self._places[connection], self._newest or self._places[connection]
        return Outdated(
            f"this server is of before a failover: it writes timeline {here.timeline}, and {newest.timeline} was seen",
            "stop it, or make it a standby of the server that took over (pg_rewind); if that one is no more, and this "
            f"one is to go on with what it has: stop every daemon and remove {self._note}",
        )


@contextlib.contextmanager
def _unless_kept_secret(connection: Sync | Async) -> Iterator[None]:
    """A server that tells nobody of its timeline is as good as any."""
    try:
        yield
    except psycopg.Error:
        if connection.closed:
            raise


def _each(url: str) -> Sequence[Host]:
    """The hosts that a URL names, one by one, as libpq reads its lists; none where it names but one."""
    named = options(url)
    lists = [str(named.get(name) or "").split(",") for name in NAMES]
    n = max(map(len, lists))
    lists = [values * n if len(values) == 1 else values for values in lists]
    hosts = [{name: value for name, value in zip(NAMES, one, strict=True) if value} for one in zip_longest(*lists)]
    return hosts if n > 1 else []


def _read(note: Path) -> Place | None:
    try:
        system, timeline = note.read_text().split()
        return Place(system, int(timeline))
    except (OSError, ValueError):
        return None
