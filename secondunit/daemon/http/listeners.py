"""HTTP listeners: the API's address, and the control socket beside the database, whose owner may do everything."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.start_faults import port_in_use
from secondunit.daemon.http.connection_limits import control_limits, descriptors_allowed, public_limits
from secondunit.daemon.http.context import Api, HttpSettings
from secondunit.daemon.http.path_prefix import prefix_of
from secondunit.daemon.http.server import build_app
from secondunit.daemon.http.transport.connections import HttpRunner
from secondunit.daemon.http.transport.reaper import LINGERING, Reaper
from secondunit.daemon.http.transport.route import Front
from secondunit.daemon.http.transport.short_way import express

OURS_TO_END = 3600.0  # idle connections: the reaper does, and counts them
LAST_RESPONSES = 5.0


def http_settings(settings: Settings, descriptors: int) -> HttpSettings:
    """The settings that the HTTP room needs, as it takes them, in a process that may have so many descriptors."""
    return HttpSettings(
        allowed_hosts=HttpSettings().allowed_hosts | {settings.host, *settings.allowed_hosts},
        trusted_proxies=settings.trusted_proxies,
        prefix=prefix_of(settings.public_url),
        rate_limit=None if settings.rate_limit == "off" else settings.rate_limit,
        cors_origins=settings.cors_origins,
        connections=public_limits(
            settings.max_connections,
            settings.max_connections_per_address,
            settings.max_streams_per_key,
            settings.max_concurrent_jobs,
            descriptors,
        ),
    )


@asynccontextmanager
async def listening(api: Api, host: str, port: int, control: Path, front: Front | None = None) -> AsyncIterator[int]:
    """Serve for as long as this is open, and pages beside the API; the port that was taken.

    At the end requests under way are answered first.
    """
    owner = replace(api.settings, connections=control_limits(descriptors_allowed()))
    public, private = _runner("api", api, front), _runner("control", replace(api, trusted=True, settings=owner))
    async with asyncio.TaskGroup() as group:
        reapers = [group.create_task(runner.reaper.run()) for runner in (public, private)]
        try:
            await public.setup()
            await private.setup()
            express(public)
            express(private)
            site = web.TCPSite(public, host, port)
            try:
                await site.start()
            except OSError as error:
                raise BadConfig([_cant_listen(error, host, port)]) from None
            await _start_private(private, control)
            yield public.addresses[0][1]
        finally:
            await public.cleanup()
            await private.cleanup()
            _unlink(control)
            for task in reapers:
                task.cancel()


def _runner(name: str, api: Api, front: Front | None = None) -> HttpRunner:
    settings = api.settings
    return HttpRunner(
        build_app(api, front),
        Reaper(name, settings.connections, settings.trusted_proxies, api.clock, api.emit),
        api.clock,
        api.emit,
        access_log=None,
        keepalive_timeout=OURS_TO_END,
        shutdown_timeout=LAST_RESPONSES,
        lingering_time=LINGERING,
    )


async def _start_private(runner: web.AppRunner, path: Path) -> None:
    await web.SockSite(runner, _private_socket(path)).start()


def _private_socket(path: Path) -> socket.socket:
    _unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)  # before anybody can connect: it does not listen yet
    return listener


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _cant_listen(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return port_in_use(host, port)
    return f"HOST: can't listen on {host} port {port} ({error.strerror or error}); allowed: an address of this machine"
