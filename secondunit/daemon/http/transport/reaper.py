"""Connection reaper: cuts connections that keep nobody's time but ours, and says how many there may be.

aiohttp has no deadline for a head, a body or a reader, and takes whoever comes. A look at every connection once a
second costs requests nothing. Where the limit is reached, those that only wait make room for who comes.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import NamedTuple, Protocol

from secondunit.daemon.http.connection_limits import ConnectionLimits
from secondunit.daemon.http.transport.bounded_log import BoundedLog
from secondunit.daemon.http.transport.client_addresses import is_shared, network_of
from secondunit.daemon.monitoring.http_requests import ConnectionShed, ConnectionsOpen, Shed
from secondunit.handlers.tools.network.addresses import Network
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink, unheard

EVERY = 1.0
LINGERING = 1.0
TURNED_AWAY = 64
LOOKS_A_TURN, LOOK_AGAIN = 250, 0.05
EVICTED = 16  # a part of so many of those there are


class Phase(Enum):
    """What a connection waits for: the rest of a head or a body, the next request, its reader; WORKING: for us."""

    HEAD = auto()
    BODY = auto()
    IDLE = auto()
    READER = auto()
    WORKING = auto()


class Look(NamedTuple):
    """A connection's phase, and a mark that moves as it gets on: what came so far, or what is yet to be taken."""

    phase: Phase
    mark: int = 0


class Held(Protocol):
    """A connection, as far as it is judged."""

    def look(self) -> Look:
        """What it waits for now."""
        ...

    def cut(self, phase: Phase) -> None:
        """End it, for it was too slow in this."""
        ...

    def drop(self) -> None:
        """End it at once, with all that waits for its reader."""
        ...


NEW = Look(Phase.HEAD)
DEADLINES: Mapping[Phase, float] = {Phase.HEAD: 10.0, Phase.BODY: 30.0, Phase.READER: 30.0, Phase.IDLE: 75.0}
MAKES_ROOM = {Phase.IDLE: 0, Phase.HEAD: 0, Phase.READER: 1, Phase.BODY: 2}  # in this order
SHED: Mapping[Phase, Shed] = {Phase.HEAD: "head", Phase.BODY: "body", Phase.IDLE: "idle", Phase.READER: "reader"}
WHY: Mapping[Shed, str] = {
    "head": "its head was not there within 10 s",
    "body": "nothing of its body came for 30 s",
    "reader": "its reader took nothing for 30 s",
    "room": "it only waited, and others had no room",
    "total": "there are as many as MAX_CONNECTIONS, or this process's descriptors, allow",
    "address": "its address has as many as MAX_CONNECTIONS_PER_ADDRESS allows",
    "key": "its key has half of all connections",
    "stream": "its key or address has as many event streams as MAX_STREAMS_PER_KEY allows",
}


@dataclass(slots=True)
class Place:
    """Whose a connection is, and how it looked last; `since` then it has not got on."""

    address: str
    since: float
    last: Look = NEW
    key: str = ""


def got_on(last: Look, now: Look) -> bool:
    """Whether something happened between two looks."""
    if last.phase is not now.phase:
        return True
    return now.mark < last.mark if now.phase is Phase.READER else now.mark != last.mark


class Reaper:
    """Holds the connections of one listener; `name` tells listeners apart.

    Behind `proxies` and this machine's own addresses stand many: those may have as many as there is room.
    """

    def __init__(
        self, name: str, limits: ConnectionLimits, proxies: Sequence[Network], clock: Clock, emit: Sink = unheard
    ) -> None:
        self._name = name
        self._limits = limits
        self._proxies = proxies
        self._clock = clock
        self._emit = emit
        self._held: dict[Held, Place] = {}
        self._turned_away: dict[Held, float] = {}
        self._of_address: dict[str, set[Held]] = {}
        self._of_key: dict[str, set[Held]] = {}
        self._full: dict[str, float] = {}
        self._cut = BoundedLog("http.cut", "cut a connection", clock)
        self._refused = BoundedLog("http.refused", "refused a connection", clock)

    async def run(self) -> None:
        """Look after them, for ever."""
        while True:
            await self._clock.tick(EVERY)
            await self.sweep()

    async def sweep(self) -> None:
        """Cut who is too slow, and who was turned away and does not go."""
        now = self._clock.monotonic()
        self._full.clear()
        for held in [held for held, at in self._turned_away.items() if now - at >= LINGERING]:
            del self._turned_away[held]
            held.drop()
        for number, held in enumerate(tuple(self._held), 1):
            if held in self._held:
                self._judge(held, now)
            if number % LOOKS_A_TURN == 0:
                await asyncio.sleep(0)
        self._emit(ConnectionsOpen(self._name, len(self._held)))

    def admit(self, held: Held, peer: str) -> bool:
        """Hold this connection of that address, if there is room for it."""
        address = network_of(peer)
        refused = self._refusal(address, shared=is_shared(peer, self._proxies))
        if refused is None:
            self._held[held] = Place(address, self._clock.monotonic())
            self._of_address.setdefault(address, set()).add(held)
            return True
        self.refuse(refused)
        return False

    def turn_away(self, held: Held) -> bool:
        """Whether this one may be told that there is no room, and have a moment to read it."""
        if len(self._turned_away) >= TURNED_AWAY:
            return False
        self._turned_away[held] = self._clock.monotonic()
        return True

    def claim(self, held: Held, key: str) -> bool:
        """Count this connection as the key's, unless it has too many others."""
        place = self._held.get(held)
        if place is None or place.key == key:
            return True
        others = self._of_key.get(key, set())
        if len(others) >= self._limits.of_key and not self._make_room(f"key {key}", others):
            self.refuse("key")
            return False
        self._forget_key(held, place)
        place.key = key
        self._of_key.setdefault(key, set()).add(held)
        return True

    def left(self, held: Held) -> None:
        """This one is no more."""
        self._turned_away.pop(held, None)
        place = self._held.pop(held, None)
        if place is not None:
            _discard(self._of_address, place.address, held)
            self._forget_key(held, place)

    def refuse(self, why: Shed) -> None:
        """Tell of one that was not let in."""
        self._emit(ConnectionShed(why))
        self._refused.tell(WHY[why])

    def _refusal(self, address: str, *, shared: bool) -> Shed | None:
        of_address = self._of_address.get(address, ())
        if not shared and len(of_address) >= self._limits.of_address and not self._make_room(address, of_address):
            return "address"
        if len(self._held) >= self._limits.total and not self._make_room("all", self._held):
            return "total"
        return None

    def _judge(self, held: Held, now: float) -> None:
        place, look = self._held[held], held.look()
        if got_on(place.last, look):
            place.since = now
        place.last, phase = look, look.phase
        if now - place.since < DEADLINES.get(phase, inf):
            return
        self._emit(ConnectionShed(SHED[phase]))
        if phase is not Phase.IDLE:
            self._cut.tell(WHY[SHED[phase]])
        place.since = now  # a last word that nobody takes has its own deadline
        held.cut(phase)

    def _make_room(self, scope: str, among: Iterable[Held]) -> bool:
        """End some that only wait: of the address with most connections first, and of those who waited longest."""
        if self._clock.monotonic() - self._full.get(scope, -inf) < LOOK_AGAIN:
            return False
        candidates = tuple(among)
        crowds = Counter({address: len(held) for address, held in self._of_address.items()})
        waiting = [
            (-crowds[self._held[held].address], MAKES_ROOM[phase], self._held[held].since, number)
            for number, held in enumerate(candidates)
            if (phase := held.look().phase) in MAKES_ROOM
        ]
        for *_, number in sorted(waiting)[: max(1, len(candidates) // EVICTED)]:
            self.left(candidates[number])
            self._emit(ConnectionShed("room"))
            self._cut.tell(WHY["room"])
            candidates[number].drop()
        if not waiting:
            self._full[scope] = self._clock.monotonic()
        return bool(waiting)

    def _forget_key(self, held: Held, place: Place) -> None:
        if place.key:
            _discard(self._of_key, place.key, held)


def _discard(groups: dict[str, set[Held]], name: str, held: Held) -> None:
    group = groups[name]
    group.discard(held)
    if not group:
        del groups[name]
