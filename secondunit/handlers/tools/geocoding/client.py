"""Geocoder client that all jobs share: one request a second, one circuit breaker, one cache of places."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, get_args

from aiolimiter import AsyncLimiter

from secondunit.handlers.tools.circuit_breaker import CircuitBreaker
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, Missing, PlaceQuery, chosen, normalised
from secondunit.handlers.tools.geocoding.nominatim import Declined, GeocoderTransport, Limited, Unreached
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Fact, Sink, piece, unheard
from secondunit.queue.outcome import Postponed, Transient
from secondunit.queue.retry import Backoff

FOUND_DAYS, MISSING_DAYS = 90, 7
UNTOLD_WAIT = timedelta(seconds=5)
LIMITED = Backoff(UNTOLD_WAIT, UNTOLD_WAIT * 1024)


class PlaceCache(Protocol):
    """Answers of the geocoder (JSON values) by key, each for so many days, across restarts."""

    async def get(self, key: str) -> Any | None: ...

    async def put(self, key: str, value: Any, days: int) -> None: ...


class PlaceSought(Fact, frozen=True):
    """The geocoder was asked for a place."""

    outcome: Literal["found", "not_found", "failed"]


class Geocoder:
    """Finds places. `trouble` says why it can't be used now, `refused` that it does not want us; until it answers."""

    def __init__(
        self,
        transport: GeocoderTransport,
        *,
        clock: Clock,
        cache: PlaceCache,
        every: timedelta = timedelta(seconds=1),
        emit: Sink = unheard,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._cache = cache
        self._pace = AsyncLimiter(1, every.total_seconds())
        self._emit = emit
        self._breaker = CircuitBreaker()  # failures one after the other are not the places' fault
        self._limits = 0
        self.refused = False

    @property
    def trouble(self) -> str | None:
        """Why no place can be looked for now; None while one can."""
        if self._breaker.tripped:
            return self._breaker.failure
        return self._breaker.why if self._breaker.left(self._now()) else None

    def admit(self) -> None:
        """Return if a place may be looked for now; else Postponed until it may, with the reason."""
        if left := self._breaker.left(self._now()):
            raise Postponed(self._breaker.why, delay=left)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._transport.close()

    async def find(
        self, wanted: PlaceQuery, language: str | None, *, since: datetime | None = None
    ) -> GeocodingHit | Missing:
        """Where it is, or why it is nowhere; with `since`, what was missing up to that time is looked for again.

        Postponed while the geocoder wants, or needs, to be left alone; Transient("geocoder_unavailable") when it gave
        no answer.
        """
        key = self._key(wanted, language)
        known = _read(await self._cache.get(key), since)
        if known is not None:
            return known
        self.admit()
        await self._transport.open()
        async with self._pace:
            self.admit()
            answer = await self._asked(wanted, language)
        days = FOUND_DAYS if isinstance(answer, GeocodingHit) else MISSING_DAYS
        await self._cache.put(key, _written(answer, self._clock.now()), days)
        return answer

    async def _asked(self, wanted: PlaceQuery, language: str | None) -> GeocodingHit | Missing:
        try:
            with piece("call", "geocoder"):
                answer = chosen(await self._transport.ask(wanted.query, language), wanted)
        except Declined:
            answer = "rejected"
        except Limited as limited:
            raise self._limited(limited) from limited
        except Unreached as error:
            raise self._failed(error) from error
        self._breaker.succeeded()
        self._limits = 0
        self.refused = False
        self._emit(PlaceSought("found" if isinstance(answer, GeocodingHit) else "not_found"))
        return answer

    def _limited(self, limited: Limited) -> Postponed:
        """The pause it asks for, and ever longer ones where it goes on asking."""
        wait = limited.wait or UNTOLD_WAIT
        if self._limits:
            wait = max(wait, LIMITED.wait(self._limits))
        self._limits += 1
        why = f"geocoder_limited: the geocoder asks for a pause of {wait.total_seconds():g} s"
        self._breaker.pause(self._now(), wait, why)
        return Postponed(why, delay=wait)

    def _failed(self, error: Unreached) -> Transient:
        self._emit(PlaceSought("failed"))
        self._breaker.failed(self._now(), f"geocoder_down: {error}", for_good=error.refused)
        self.refused = error.refused
        return Transient(str(error), type="geocoder_unavailable")

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _key(self, wanted: PlaceQuery, language: str | None) -> str:
        what = [self._transport.name, normalised(wanted.query), wanted.settled, (language or "").lower()]
        return "place:" + hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _written(answer: GeocodingHit | Missing, now: datetime) -> Mapping[str, Any]:
    if isinstance(answer, GeocodingHit):
        return {"lat": answer.lat, "lng": answer.lng, "importance": answer.importance}
    return {"missing": answer, "at": now.timestamp()}


def _read(kept: Any, since: datetime | None) -> GeocodingHit | Missing | None:
    """What the cache knows; None for nothing that counts."""
    if not isinstance(kept, Mapping):
        return None
    missing = kept.get("missing")
    if missing is None:
        return GeocodingHit(kept["lat"], kept["lng"], kept["importance"])
    stale = since is not None and kept["at"] <= since.timestamp()
    return None if stale or missing not in get_args(Missing) else missing
