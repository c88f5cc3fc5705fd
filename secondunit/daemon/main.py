"""Process entry point, from an environment to an exit code: settings, log, lock, then the daemon itself."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import structlog
import uvloop

from secondunit.daemon.config.environment import hide
from secondunit.daemon.config.loader import SERVICE_DATA, BadConfig, Config, load
from secondunit.daemon.config.settings import Database, secret_names
from secondunit.daemon.config.surroundings import surroundings
from secondunit.daemon.hidden_modules import HTTP, unseen
from secondunit.daemon.process import logs, signals
from secondunit.daemon.process.bystanders import end_programs, strays
from secondunit.daemon.process.dead_man_switch import DeadManSwitch, leave
from secondunit.daemon.process.event_loop import let_the_loop_in, run_through
from secondunit.daemon.process.exit_codes import (
    ANOTHER_HAS_IT,
    DRAINED,
    LOOP_DIED,
    MISCONFIGURED,
    STORE_FAILED,
    causes,
)
from secondunit.daemon.process.garbage_collector import spare_memory
from secondunit.daemon.process.lifecycle import LAST_WORDS, Host, Systemd, beat, beside
from secondunit.daemon.process.lock import Locked, refuse_forks
from secondunit.daemon.process.log_sink import LogSink
from secondunit.daemon.process.logs import Strays
from secondunit.daemon.process.systemd import Notifier
from secondunit.daemon.wiring.capabilities import capabilities_of
from secondunit.daemon.wiring.database import failure, locked
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.network.certificates import import_client
from secondunit.queue.errors import BoxTaken, StoreBroken, StoreFull

OURS_ALONE = 0o077
LAST_LINES = 1.0  # so long a slow reader of the log may take for them
STDERR = 2

log = structlog.get_logger(__name__)


def run(environ: Mapping[str, str]) -> int:
    """Be the daemon until it is asked to stop; its exit code."""
    sink = LogSink(STDERR if sys.stderr else None)
    try:
        return _configured(environ, sink)
    except BaseException as error:
        log.exception("daemon.died", message=f"the process can't go on: {error!r}")
        return LOOP_DIED
    finally:
        sink.close(LAST_LINES)


def _configured(environ: Mapping[str, str], sink: LogSink) -> int:
    try:
        config = load(environ, starts=True)
    except BadConfig as error:
        sink.write(f"{error}\n")
        return MISCONFIGURED
    hide(name.upper() for name in secret_names())
    settings = config.settings
    if why := not_for_root(settings.data_dir, os.geteuid(), surroundings(settings.data_dir, environ).start):
        sink.write(f"{why}\n")
        return MISCONFIGURED
    sink.tell = logs.configure(settings.log_format, settings.log_level, settings.secrets(), sink)
    sys.stderr = Strays()  # what a library prints must not wait for a reader either
    os.umask(OURS_ALONE)
    switch = DeadManSwitch(settings.stuck_seconds, LOOP_DIED, sink.fileno(), signals.stand_again)
    try:
        return _locked(config, Host(_systemd(environ), sink, switch, leave))
    except Locked as error:
        return _told(ANOTHER_HAS_IT, "daemon.locked", f"another daemon has the database: {error}")
    except OSError as error:
        return _told(STORE_FAILED, "daemon.failed", f"{settings.data_dir} can't be used: {error}")


def not_for_root(data_dir: Path, user: int, start: str, service: Path = SERVICE_DATA) -> str | None:
    """Why root must not be the daemon of this folder: files of root's would keep the service from its own database."""
    if user != 0 or data_dir != service or not data_dir.is_dir() or data_dir.stat().st_uid == 0:
        return None
    return f"DATA_DIR: {data_dir} is the service's, not root's; allowed: {start} as its account, or another folder"


def _locked(config: Config, host: Host) -> int:
    settings = config.settings
    signals.stand().begin()
    refuse_forks()
    spare_memory()
    let_the_loop_in()
    for folder in (settings.data_dir, settings.uploads, *_default_roots(config)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(settings.database):
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        try:
            run_through(runner.get_loop(), _served(config, host))
            code = DRAINED
        except BaseException as error:  # noqa: BLE001  the process ends here: its exit code says of what
            code = _died(error, settings.database)
        host.switch.disarm()
        host.leave(LAST_WORDS, code)  # a thread that hangs is waited for no longer
        _clear_away()
        runner.close()
    return code


async def _served(config: Config, host: Host) -> None:
    """Be the daemon; what it is made of is imported while the machine is asked what it can: each takes half a start."""
    asked = asyncio.create_task(capabilities_of(config.settings))
    try:
        async with beside(beat(host.switch)):  # a slow disk may take long to read it all
            with unseen(*HTTP):
                await in_thread(import_client)
            app = await in_thread(import_module, "secondunit.daemon.app")
        await app.serve(config, host, asked)
    finally:
        asked.cancel()
        await asyncio.wait([asked])


def _died(error: BaseException, database: Database) -> int:
    ended = list(causes(error))
    faults = [fault for cause in ended if isinstance(cause, BadConfig) for fault in cause.faults]
    broken = [cause for cause in ended if isinstance(cause, StoreBroken | StoreFull)]
    taken = [cause for cause in ended if isinstance(cause, BoxTaken)]
    if taken:
        return _told(ANOTHER_HAS_IT, "box.taken", *map(str, taken))
    if faults:
        return _told(MISCONFIGURED, "config.fault", *faults)
    if broken:
        return _told(STORE_FAILED, "store.failed", *(failure(cause, database) for cause in broken))
    log.error("daemon.died", message=f"a part that must not end has died: {ended[0]!r}", exc_info=error)
    return LOOP_DIED


def _clear_away() -> None:
    left = [*strays(), *end_programs()]
    if left:
        names = ", ".join(dict.fromkeys(left))
        log.warning("daemon.left_behind", message=f"handlers left these; programs were killed: {names}")


def _told(code: int, event: str, *messages: str) -> int:
    for message in messages:
        log.error(event, message=message)
    return code


def _default_roots(config: Config) -> Iterator[Path]:
    if not config.settings.media_roots:
        yield from config.settings.roots


def _systemd(environ: Mapping[str, str]) -> Systemd:
    """It hears from us thrice in the time it waits, so that one late turn does no harm."""
    waits = environ.get("WATCHDOG_USEC", "")
    return Systemd(Notifier(environ.get("NOTIFY_SOCKET")), int(waits) / 3e6 if waits.isdecimal() else 10.0)
