"""HTTP listeners: the API's address, and the control socket beside the database, whose owner may do everything."""

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.http.context import Api, HttpSettings
from secondunit.daemon.http.server import build_app
from secondunit.daemon.http.transport.connections import HttpRunner
from secondunit.daemon.http.transport.short_way import express

LONGEST_SOCKET_PATH = 107  # sun_path, less its closing NUL
KEEPALIVE = 75.0
LAST_RESPONSES = 5.0


def http_settings(settings: Settings) -> HttpSettings:
    """The settings that the HTTP room needs, as it takes them."""
    return HttpSettings(
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        allowed_hosts=HttpSettings().allowed_hosts | {settings.host, *settings.allowed_hosts},
        trusted_proxies=settings.trusted_proxies,
        rate_limit=None if settings.rate_limit == "off" else settings.rate_limit,
        cors_origins=settings.cors_origins,
    )


@asynccontextmanager
async def listening(api: Api, host: str, port: int, control: Path) -> AsyncIterator[int]:
    """Serve for as long as this is open; the port that was taken. At the end requests under way are answered first."""
    if len(os.fsencode(control)) > LONGEST_SOCKET_PATH:
        raise BadConfig([f"DATA_DIR: {control} is too long for a socket; allowed: {LONGEST_SOCKET_PATH} bytes with it"])
    public, private = _runner(api), _runner(replace(api, trusted=True))
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


def _runner(api: Api) -> web.AppRunner:
    return HttpRunner(
        build_app(api),
        api.clock,
        api.emit,
        access_log=None,
        keepalive_timeout=KEEPALIVE,
        shutdown_timeout=LAST_RESPONSES,
        lingering_time=1.0,
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
        return f"PORT: {port} is in use on {host}; allowed: a free one, or 0 for any (stop what uses it, perhaps)"
    return f"HOST: can't listen on {host} port {port} ({error.strerror or error}); allowed: an address of this machine"
