"""From an environment to an exit code: settings, log, lock, then the daemon itself."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog
import uvloop

from secondunit.daemon.app import serve
from secondunit.daemon.config.loader import BadConfig, Config, load
from secondunit.daemon.config.settings import Database
from secondunit.daemon.process import logs
from secondunit.daemon.process.lifecycle import Systemd
from secondunit.daemon.process.lock import Locked
from secondunit.daemon.process.systemd import Notifier
from secondunit.daemon.wiring.database import locked, lost
from secondunit.queue.errors import StoreBroken, StoreFull

DRAINED, LOOP_DIED, STORE_FAILED, ANOTHER_HAS_IT, MISCONFIGURED = 0, 70, 74, 75, 78
OURS_ALONE = 0o077

log = structlog.get_logger(__name__)


def run(environ: Mapping[str, str]) -> int:
    """Be the daemon until it is asked to stop; its exit code."""
    try:
        config = load(environ)
    except BadConfig as error:
        sys.stderr.write(f"{error}\n")
        return MISCONFIGURED
    settings = config.settings
    logs.configure(settings.log_format, settings.log_level, settings.secrets())
    os.umask(OURS_ALONE)
    try:
        return _locked(config, _systemd(environ))
    except Locked as error:
        return _told(ANOTHER_HAS_IT, "daemon.locked", f"another daemon has the database: {error}")
    except OSError as error:
        return _told(STORE_FAILED, "daemon.failed", f"{settings.data_dir} can't be used: {error}")


def _locked(config: Config, systemd: Systemd) -> int:
    settings = config.settings
    for folder in (settings.data_dir, settings.uploads, *_default_roots(config)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(settings.database):
        try:
            uvloop.run(serve(config, systemd))
        except Exception as error:  # noqa: BLE001  the process ends here: its exit code says of what
            return _died(error, settings.database)
    return DRAINED


def _died(error: Exception, database: Database) -> int:
    causes = list(_leaves(error))
    faults = [fault for cause in causes if isinstance(cause, BadConfig) for fault in cause.faults]
    broken = [cause for cause in causes if isinstance(cause, StoreBroken | StoreFull)]
    if faults:
        return _told(MISCONFIGURED, "config.fault", *faults)
    if broken:
        return _told(STORE_FAILED, "store.failed", *map(str, broken))
    if why := lost(database):  # whatever stumbled over it first
        return _told(STORE_FAILED, "store.failed", why)
    log.error("daemon.died", message=f"a part that must not end has died: {causes[0]!r}", exc_info=error)
    return LOOP_DIED


def _told(code: int, event: str, *messages: str) -> int:
    for message in messages:
        log.error(event, message=message)
    return code


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


def _default_roots(config: Config) -> Iterator[Path]:
    if not config.settings.media_roots:
        yield from config.settings.roots


def _systemd(environ: Mapping[str, str]) -> Systemd:
    """It hears from us thrice in the time it waits, so that one late turn does no harm."""
    waits = environ.get("WATCHDOG_USEC", "")
    return Systemd(Notifier(environ.get("NOTIFY_SOCKET")), int(waits) / 3e6 if waits.isdigit() else 10.0)
