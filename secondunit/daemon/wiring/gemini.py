"""Factory of the Gemini client that the settings name, closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import SystemRandom

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.wiring.caches import CachedSpending
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import GoogleTransport
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink
from secondunit.queue.store import Store

ANSWERS_WITHIN = timedelta(minutes=5)


@asynccontextmanager
async def gemini_of(settings: Settings, clock: Clock, store: Store, emit: Sink) -> AsyncIterator[Gemini | None]:
    """The one Gemini of this daemon, or None without a key; its budget is remembered in the store."""
    if settings.gemini_api_key is None:
        yield None
        return
    key, model, url = settings.gemini_api_key.get_secret_value(), settings.gemini_model, settings.gemini_base_url
    gemini = Gemini(
        GoogleTransport(key, model, clock, base_url=url, limit=ANSWERS_WITHIN),
        model,
        clock=clock,
        random=SystemRandom(),
        spending=CachedSpending(store.cache),
        daily_tokens=settings.gemini_daily_tokens,
        emit=emit,
    )
    try:
        yield gemini
    finally:
        await gemini.close()
