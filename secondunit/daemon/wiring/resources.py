"""Resource factories: what must be there before anything runs, opened by the settings and closed at the end."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, metadata

from aiohttp import ClientSession, ClientTimeout

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.wiring.backend import operators_session
from secondunit.daemon.wiring.caches import CachedResults
from secondunit.daemon.wiring.capabilities import Capabilities
from secondunit.daemon.wiring.deployments import deployments_of
from secondunit.daemon.wiring.gemini import gemini_of
from secondunit.daemon.wiring.geocoder import geocoder_of
from secondunit.daemon.wiring.running.locality import folders_of
from secondunit.handlers.tools.fetching.browser.client import find_browser
from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.video_router import WebSubtitles, WebVideos
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.network.session import guarded_session
from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.ownership import FolderLog
from secondunit.handlers.tools.storage.router import Storage
from secondunit.handlers.tools.storage.s3.client import S3
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.instrumentation import Sink
from secondunit.queue.store import Store

CALLBACK_CONNECTIONS = 100
UNREADABLE = "unknown"


def installed_version(distribution: str = "secondunit") -> str:
    """What is installed; while that is just being replaced, or its files lack it, a word that says so."""
    try:
        told = metadata(distribution)
    except PackageNotFoundError:
        return UNREADABLE
    if "Version" not in told:  # where METADATA is not there yet
        return UNREADABLE
    return told["Version"]


VERSION = installed_version()
USER_AGENT = f"secondunit/{VERSION}"


@asynccontextmanager
async def tools_of(
    settings: Settings, clock: SystemClock, store: Store, emit: Sink, can: Capabilities
) -> AsyncIterator[Tools]:
    """What job types work with, ready for use."""
    programs, media, published = can.programs, can.media, FolderLog(folders_of(settings, store), clock)
    try:
        files, uploads = LocalFiles(settings.roots, log=published), LocalFiles([settings.uploads])
    except OSError as error:
        raise BadConfig([f"MEDIA_ROOTS: {error.filename}: {error.strerror}; allowed: folders that exist"]) from None
    rule, buckets = AddressRule(settings.allow_private_addresses), _buckets(settings, published, emit)
    try:
        async with (
            Egress(rule) as egress,
            _downloads(rule) as session,
            gemini_of(settings, clock, store, emit) as gemini,
            geocoder_of(settings, clock, store, USER_AGENT, emit) as geocoder,
        ):
            transfer = Transfer(session, rule, clock)
            ytdlp = YtDlp(programs, egress, clock, media, sys.executable)
            browser = find_browser(programs, egress, clock, sys.executable, SEARCH_PATH)
            yield Tools(
                clock=clock,
                programs=programs,
                files=Storage(files, buckets),
                media=media,
                python=sys.executable,
                gemini=gemini,
                geocoder=geocoder,
                results=CachedResults(store.cache, clock, timedelta(hours=settings.cache_ttl_hours)),
                videos=WebVideos(rule, transfer, ytdlp),
                subtitled=WebSubtitles(rule, ytdlp),
                downloads=Downloads(rule, transfer, ytdlp, browser),
                uploads=uploads,
                buckets=buckets,
                deployments=deployments_of(settings, programs, egress, store),
                max_download=settings.max_download_mb << 20,
                settle=timedelta(seconds=settings.settle_seconds),
            )
    finally:
        files.close()
        uploads.close()


def _buckets(settings: Settings, published: FolderLog, emit: Sink) -> Buckets:
    """S3 as AWS's own variables say, but for secrets, which may also lie in files."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    s3 = S3({**variables, **settings.aws()}, emit=emit)
    return Buckets(s3, settings.media_buckets, settings.max_download_mb << 20, published)


def _downloads(rule: AddressRule) -> ClientSession:
    silence = ClientTimeout(total=None, sock_connect=30, sock_read=30)
    return guarded_session(rule, user_agent=USER_AGENT, timeout=silence)


@asynccontextmanager
async def sessions_of(settings: Settings) -> AsyncIterator[tuple[ClientSession, ClientSession]]:
    """To addresses that callers choose, and to those that the operator chose."""
    guarded = guarded_session(
        AddressRule(settings.allow_private_addresses),
        user_agent=USER_AGENT,
        timeout=ClientTimeout(total=60),
        connections=CALLBACK_CONNECTIONS,
        decompress=False,
    )
    async with guarded as session, operators_session(USER_AGENT) as operators:
        yield session, operators
