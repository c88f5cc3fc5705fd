"""Faults that only a start finds: no build account by that name, a port that is taken, a sandbox that is not whole."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.start_faults import port_in_use
from secondunit.daemon.wiring.sandbox import measured_in, too_weak
from secondunit.handlers.tools.deployment.accounts import AccountRefused, entry_of
from secondunit.handlers.tools.programs.sandbox.measuring import Measured

Measure = Callable[[Path], Coroutine[Any, Any, Measured]]


def faults(settings: Settings, measure: Measure = measured_in) -> Sequence[str]:
    """What would keep `secondunit run` from starting here and now, each with the setting that it is about."""
    return [*_accounts(settings), *_port(settings), *_sandbox(settings, measure)]


def _accounts(settings: Settings) -> Iterator[str]:
    """Whether they can be built under; whether the daemon may become them is not known of another process."""
    for id, project in settings.deploy.items():
        try:
            if project.user:
                entry_of(project.user)
        except AccountRefused as refusal:
            yield f"deploy.{id}.user: {refusal}"


def _port(settings: Settings) -> Iterator[str]:
    """Tried unless the daemon of these settings runs: then the port is its own."""
    if _answers(settings.control):
        return
    for family, kind, protocol, _, address in _addresses(settings):
        with closing(socket.socket(family, kind, protocol)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    yield port_in_use(settings.host, settings.port)
                elif error.errno == errno.EADDRNOTAVAIL:
                    yield f"HOST: {settings.host} is no address of this machine; allowed: one that is"
                return


def _addresses(settings: Settings) -> Sequence[tuple[int, int, int, str, tuple[object, ...]]]:
    try:
        return socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError:
        return ()


def _answers(control: Path) -> bool:
    """Whether something listens there, or is not for us to ask."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asked:
        try:
            asked.connect(str(control))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def _sandbox(settings: Settings, measure: Measure) -> Iterator[str]:
    """Measured as a start does, where the data folder is this account's to write to."""
    folder = settings.data_dir
    if settings.sandbox != "require" or not os.access(folder, os.W_OK):
        return
    found = asyncio.run(measure(folder))
    if not found.whole:
        yield too_weak(found)
