"""Nominatim transport: where a place is, asked through geopy, its answers and failures sorted."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import isfinite
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import ClientSession, ClientTimeout

from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.handlers.tools.network.responses import bounded_session
from secondunit.queue.payloads.redaction import redacted

CANDIDATES = 5
LONGEST_WORDS = 200
LONGEST_WAIT = timedelta(days=1)


class Unreached(Exception):
    """The server gave no answer that can be used; `refused`: it does not want us, which waiting alone won't change."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class Limited(Exception):
    """The server asks for a pause, of `wait` if it says so."""

    def __init__(self, wait: timedelta | None) -> None:
        super().__init__("the geocoder asks for a pause")
        self.wait = wait


class Declined(Exception):
    """The server finds this one query wrong."""


class GeocoderTransport(Protocol):
    """The way to a geocoder; `name` tells it from others."""

    @property
    def name(self) -> str: ...

    async def open(self) -> None:
        """Get ready, so that what follows is the request itself."""
        ...

    async def ask(self, query: str, language: str | None) -> Sequence[GeocodingHit]:
        """What it finds, the best first; Unreached, Limited or Declined."""
        ...

    async def close(self) -> None: ...


class NominatimTransport:
    """geopy's client for the server at `url` (its path may be a prefix), imported at the first question."""

    def __init__(self, url: str, *, user_agent: str, limit: timedelta = timedelta(seconds=10)) -> None:
        self.name = url
        self._user_agent = user_agent
        self._limit = limit
        self._opening = asyncio.Lock()
        self._client: Any = None

    async def open(self) -> None:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._made, bounded_session())

    async def ask(self, query: str, language: str | None) -> Sequence[GeocodingHit]:
        await self.open()
        from geopy.exc import GeopyError

        try:
            found = await self._client.geocode(
                query,
                exactly_one=False,
                limit=CANDIDATES,
                language=language or False,
                timeout=ClientTimeout(total=self._limit.total_seconds()),
            )
            return [_hit(place) for place in found or ()]
        except GeopyError as error:
            raise _sorted(error) from error
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise Unreached(f"the geocoder's answer can't be read ({type(error).__name__})") from error

    async def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.adapter.session.close()

    def _made(self, session: ClientSession) -> Any:
        from geopy.adapters import AioHTTPAdapter
        from geopy.geocoders import Nominatim

        def adapter(**given: Any) -> AioHTTPAdapter:
            made = AioHTTPAdapter(**given)
            vars(made)["session"] = session  # it would make one of its own, without bounds
            return made

        parts = urlsplit(self.name)
        return Nominatim(
            domain=parts.netloc + parts.path.rstrip("/"),
            scheme=parts.scheme,
            user_agent=self._user_agent,
            proxies={},
            adapter_factory=adapter,
        )


def _hit(place: Any) -> GeocodingHit:
    told = place.raw.get("importance")
    importance = float(told) if isinstance(told, int | float) else 0.0
    if not all(map(isfinite, (place.latitude, place.longitude, importance))):
        raise ValueError("a number that is none")
    return GeocodingHit(place.latitude, place.longitude, importance)


def _sorted(error: Exception) -> Unreached | Limited | Declined:
    """geopy's errors by what they mean for us; its 503 looks like a time-out."""
    from geopy.adapters import AdapterHTTPError
    from geopy.exc import (
        GeocoderAuthenticationFailure,
        GeocoderInsufficientPrivileges,
        GeocoderParseError,
        GeocoderQueryError,
        GeocoderQuotaExceeded,
        GeocoderRateLimited,
    )

    cause = error.__cause__
    status, wait = None, None
    if isinstance(cause, AdapterHTTPError):
        status, wait = cause.status_code, _told_wait(cause.headers)
    if isinstance(error, GeocoderRateLimited) or (status == 503 and wait is not None):
        return Limited(None if wait is None else min(timedelta(seconds=min(wait, 1e9)), LONGEST_WAIT))
    match error:
        case GeocoderAuthenticationFailure() | GeocoderInsufficientPrivileges() | GeocoderQuotaExceeded():
            return Unreached(f"the geocoder refused us ({status}); see to GEOCODER_URL", refused=True)
        case GeocoderQueryError():
            return Declined(f"the geocoder does not take this question: {_words(error)}")
        case GeocoderParseError():
            return Unreached("the geocoder's answer is no JSON")
    return Unreached(f"the geocoder failed ({status or _words(error)})")


def _told_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that a Retry-After asks for; None where it asks for nothing that makes sense."""
    from geopy.adapters import get_retry_after

    try:
        wait: float | None = get_retry_after(headers)
    except (ValueError, ArithmeticError):  # the year 10**20
        return None
    return wait


def _words(error: Exception) -> str:
    return " ".join(redacted(str(error)).split())[:LONGEST_WORDS] or type(error).__name__
