"""Factories of the backend's client, sender and poller, as the settings ask for them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from aiohttp import ClientSession, DummyCookieJar
from yarl import URL

from secondunit.daemon.automation.backend import Backend
from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.poller import TYPE, Poller
from secondunit.daemon.automation.polls import BackendStatus
from secondunit.daemon.automation.takeover_terms import Terms
from secondunit.daemon.config.settings import Settings
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.network.certificates import trusting
from secondunit.handlers.tools.network.responses import BoundedResponse
from secondunit.queue.clock import Clock, Random
from secondunit.queue.instrumentation import Sink
from secondunit.queue.ports.cache import Cache
from secondunit.queue.service import Queue


@asynccontextmanager
async def operators_session(user_agent: str) -> AsyncIterator[ClientSession]:
    """For URLs that the operator configured: any address is reached, but no cookie is kept and no proxy obeyed."""
    async with ClientSession(
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": user_agent},
        trust_env=False,
        response_class=BoundedResponse,
        middlewares=(trusting,),
    ) as session:
        yield session


def backend_of(settings: Settings, session: ClientSession, clock: Clock) -> Backend | None:
    """The backend, where one is configured: in passive mode results of an active time may still be on their way."""
    if settings.processor_mode == "passive" and "backend_api_url" not in settings.model_fields_set:
        return None
    key = settings.internal_api_key.get_secret_value() if settings.internal_api_key else None
    return Backend(session, settings.backend_api_url, key, clock, box=settings.box)


def idle(settings: Settings, media: Media | MediaMissing) -> str | None:
    """Why a box in active mode could do nothing of what it took on; None if it can."""
    if settings.gemini_api_key is None:
        return "GEMINI_API_KEY is not set; set it and restart"
    if settings.types and TYPE not in settings.types:
        return f"TYPES leaves {TYPE} out; add it and restart"
    if isinstance(media, MediaMissing):
        return f"{media.remedy}, and restart"
    return None


def status_of(
    settings: Settings,
    media: Media | MediaMissing,
    backend: Backend | None,
    poller: Poller | None,
    polled_by: Callable[[], str | None],
    results: BackendResults,
) -> Callable[[], BackendStatus]:
    """What is told of active mode, whenever it is asked for; where another box polls, which one."""
    url = None if backend is None else str(URL(backend.url).with_user(None))
    why = idle(settings, media) if settings.processor_mode == "active" else None

    def status() -> BackendStatus:
        still = BackendStatus(settings.processor_mode, url, why, delivered=results.delivered)
        if poller is None:
            return still
        if not poller.on_duty:
            return replace(still, idle=_standing_by(polled_by()))
        return replace(
            still,
            polling=poller.state,
            polls=tuple(poller.polls),
            next_at=poller.next_at,
            failures=poller.failures,
            quarantined=poller.quarantined,
            live=poller.live,
        )

    return status


def _standing_by(holder: str | None) -> str:
    """Why a box that could poll does not."""
    if holder is None:
        return "no box polls at the moment; one that may does within seconds"
    return f"box {holder} polls for all of this queue; this one takes over when it is gone"


def poller_of(
    settings: Settings,
    media: Media | MediaMissing,
    backend: Backend | None,
    queue: Queue,
    memory: Cache,
    clock: Clock,
    random: Random,
    *,
    results: BackendResults,
    emit: Sink,
) -> Poller | None:
    """The poll loop of active mode; where what it took on could only fail nothing is polled."""
    if backend is None or settings.processor_mode == "passive" or idle(settings, media):
        return None
    terms = Terms(
        every=timedelta(milliseconds=settings.poll_interval_ms),
        limit=settings.poll_limit,
        cooldown=timedelta(minutes=settings.backend_cooldown_minutes),
        alarming=settings.alert_failed_jobs + 1,
    )
    return Poller(queue, memory, backend, terms, clock, random, results=results, emit=emit)
