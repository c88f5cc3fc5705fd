"""Factory of the geocoder client that the settings name, closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.wiring.caches import CachedPlaces
from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.geocoding.nominatim import NominatimTransport
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink
from secondunit.queue.store import Store


@asynccontextmanager
async def geocoder_of(
    settings: Settings, clock: Clock, store: Store, user_agent: str, emit: Sink
) -> AsyncIterator[Geocoder]:
    """The one geocoder of this daemon; what it found is remembered in the store."""
    transport = NominatimTransport(settings.geocoder_url, user_agent=user_agent)
    geocoder = Geocoder(transport, clock=clock, cache=CachedPlaces(store.cache, clock), emit=emit)
    try:
        yield geocoder
    finally:
        await geocoder.close()
