"""Opens what must be there before anything runs, by the settings, and closes it at the end."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from aiohttp import ClientSession, ClientTimeout

from secondunit.daemon.clock import SystemClock
from secondunit.daemon.config import BadConfig
from secondunit.daemon.gemini import gemini_of
from secondunit.daemon.results import CachedResults
from secondunit.daemon.rivals import deployments_of
from secondunit.daemon.settings import Settings
from secondunit.daemon.takeover import operators_session
from secondunit.handlers.tools.addresses import AddressRule
from secondunit.handlers.tools.downloads import Downloads
from secondunit.handlers.tools.egress import Egress
from secondunit.handlers.tools.ffmpeg import find_media
from secondunit.handlers.tools.http import guarded_session
from secondunit.handlers.tools.paths import LocalFiles
from secondunit.handlers.tools.process import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.transfer import Transfer
from secondunit.handlers.tools.videos import WebVideos
from secondunit.handlers.tools.ytdlp import YtDlp
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store

CALLBACK_CONNECTIONS = 100
VERSION = version("secondunit")


@asynccontextmanager
async def store_of(settings: Settings) -> AsyncIterator[SqliteStore]:
    """The queue's store, open."""
    database = settings.database
    store = await open_store(database.path, synchronous=database.synchronous)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def tools_of(settings: Settings, clock: SystemClock, store: Store) -> AsyncIterator[Tools]:
    """What job types work with, ready for use."""
    programs = ProcessRunner(sys.executable)
    try:
        files, uploads = LocalFiles(settings.roots), LocalFiles([settings.uploads])
    except OSError as error:
        raise BadConfig([f"MEDIA_ROOTS: {error.filename}: {error.strerror}; allowed: folders that exist"]) from None
    ffmpeg, ffprobe = (str(path) if path else None for path in (settings.ffmpeg_path, settings.ffprobe_path))
    media = await find_media(programs, ffmpeg, ffprobe, SEARCH_PATH, settings.data_dir)
    rule = AddressRule(settings.allow_private_addresses)
    try:
        async with Egress(rule) as egress, _downloads(rule) as session, gemini_of(settings, clock, store) as gemini:
            transfer = Transfer(session, rule, clock)
            ytdlp = YtDlp(programs, egress, clock, media, sys.executable)
            yield Tools(
                clock=clock,
                programs=programs,
                files=files,
                media=media,
                python=sys.executable,
                gemini=gemini,
                results=CachedResults(store.cache, clock, timedelta(hours=settings.cache_ttl_hours)),
                videos=WebVideos(rule, transfer, ytdlp),
                downloads=Downloads(rule, transfer, ytdlp),
                uploads=uploads,
                deployments=deployments_of(settings, programs, egress, store),
                max_download=settings.max_download_mb << 20,
            )
    finally:
        files.close()
        uploads.close()


def _downloads(rule: AddressRule) -> ClientSession:
    silence = ClientTimeout(total=None, sock_connect=30, sock_read=30)
    return guarded_session(rule, user_agent=f"secondunit/{VERSION}", timeout=silence)


@asynccontextmanager
async def sessions_of(settings: Settings) -> AsyncIterator[tuple[ClientSession, ClientSession]]:
    """To addresses that callers choose, and to those that the operator chose."""
    user_agent = f"secondunit/{VERSION}"
    guarded = guarded_session(
        AddressRule(settings.allow_private_addresses),
        user_agent=user_agent,
        timeout=ClientTimeout(total=60),
        connections=CALLBACK_CONNECTIONS,
        decompress=False,
    )
    async with guarded as session, operators_session(user_agent) as operators:
        yield session, operators
