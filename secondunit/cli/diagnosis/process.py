"""Checks of the running daemon: its settings, whether it answers, a second one on the same folder, the clock."""

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from secondunit.cli.diagnosis.situation import NOT_READABLE, Situation
from secondunit.daemon.config.loader import shown
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.daemon.process.lock import lock_path
from secondunit.daemon.wiring.database import wal_of

FUTURE = timedelta(minutes=2)
WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)  # this program is not older than this
LISTENING = "00010000"  # __SO_ACCEPTCON, as unix(7) shows flags in /proc/net/unix
STA_UNSYNC, TIMEX_BYTES, STATUS_AT, LONG = 0x0040, 256, 5, ctypes.sizeof(ctypes.c_long)


def settings(here: Situation) -> Iterator[CheckResult]:
    """Whose they are, what is wrong with those that a start would use, and what a restart would change."""
    for fault in here.faults:
        if fault.startswith(NOT_READABLE):
            yield warn("settings", fault, here.around.access)
        else:
            yield bad("settings", fault, "mend it, then look with `secondunit config check`: the next start refuses it")
    for warning in here.config.warnings if here.config else ():
        yield warn("settings", warning, "mend it where it was given, and restart")
    if here.report and here.config and (changed := _changed(here.report, here.config)):
        remedy = f"restart the daemon if it is to have them ({here.around.restart}; running jobs get DRAIN_SECONDS)"
        yield warn("settings", f"the running daemon has other values than its files say for {changed}", remedy)
    yield ok("settings", here.told_by)


def _changed(report: Mapping[str, Any], config: Any) -> str:
    """The settings of files that are not in effect, and where the daemon has them from.

    Those of this shell's environment need not be the daemon's.
    """
    running, origins = report["settings"], report.get("origins", {})
    of_files = [name.upper() for name, origin in config.origins.items() if Path(origin).is_file()]
    now = shown(config.settings)
    other = [name for name in of_files if name in now and now[name] != running.get(name)]
    return ", ".join(f"{name} (it has it from: {origins[name]})" if name in origins else name for name in other)


def daemon(here: Situation) -> Iterator[CheckResult]:
    """Whether one answers, and which."""
    folder = here.settings.data_dir
    if here.report:
        told = f"process {here.report['pid']}, version {here.report['version']}, answers on {folder}"
        if here.report["version"] != version("secondunit"):
            yield warn("daemon", f"{told}; installed is {version('secondunit')}", "restart it to run what is installed")
        else:
            yield ok("daemon", told)
    elif here.refused:
        yield warn("daemon", here.silence, f"{here.around.access}, or be the daemon's account")
    elif here.hangs or holders(here.settings):
        remedy = f"look into its log ({here.around.log}), then restart it ({here.around.restart})"
        yield bad("daemon", f"a daemon has the database and does not answer: {here.silence}", remedy)
    else:
        yield warn("daemon", f"no daemon runs on {folder}", f"start one with {here.around.start}")


def second_daemon(here: Situation) -> Iterator[CheckResult]:
    """Two on one folder share uploads, scratch and the control socket, whatever keeps their databases apart."""
    if (count := _listening(here.settings.control)) > 1:
        yield _two(f"{count} daemons listen on {here.settings.control}")
    elif len(pids := holders(here.settings)) > 1:
        yield _two(f"processes {', '.join(map(str, sorted(pids)))} hold {here.settings.database}")
    elif here.report and pids and here.report["pid"] not in pids:
        yield _two(f"process {here.report['pid']} answers, and process {pids.pop()} holds {here.settings.database}")
    else:
        yield ok("second daemon", f"no second one on {here.settings.data_dir}")


def _two(found: str) -> CheckResult:
    return bad("second daemon", found, "stop one of them, or give it a DATA_DIR of its own, then restart the other")


def _listening(control: Path) -> int:
    """How many sockets listen under this name; one whose file was taken away by another is still named so."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]
    except OSError:
        return 0
    rows = (line.split(maxsplit=7) for line in lines)
    names = [Path(row[7]) for row in rows if len(row) == 8 and row[3] == LISTENING]
    folder = control.parent
    return sum(name.name == control.name and _same(name.parent, folder) for name in names)


def _same(one: Path, another: Path) -> bool:
    try:
        return one == another or one.samefile(another)
    except OSError:
        return False


def holders(settings: Settings) -> set[int]:
    """The other processes that hold the database's lock, as the kernel lists them (proc_locks(5))."""
    try:
        status = lock_path(settings.database.path).stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    rows = (line.split() for line in lines)
    pids = {int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == place}
    return pids - {os.getpid(), 0, -1}


def clock(here: Situation) -> Iterator[CheckResult]:
    """Beside what was written here: nothing can have been in the future; and whether the kernel's is kept in step."""
    found, remedy = list[CheckResult](), f"set the clock ({here.around.clock}): retries, leases and keys go by it"
    if here.now < WRITTEN:
        found.append(bad("clock", f"it is {here.now:%Y-%m-%d} here, before this program was written", remedy))
    for path, when in _written(here.settings):
        if when - here.now > FUTURE:
            found.append(bad("clock", f"{path} was written at {when:%Y-%m-%d %H:%M}, in the future", remedy))
            break
    if not found and _unsynchronised():
        found.append(warn("clock", f"{here.now:%Y-%m-%d %H:%M} UTC, and nothing keeps it in step (NTP)", remedy))
    yield from found or [ok("clock", f"{here.now:%Y-%m-%d %H:%M} UTC, kept in step")]


def _written(settings: Settings) -> Sequence[tuple[Path, datetime]]:
    """Files that the daemon writes all the time, and when."""
    paths = (settings.database.path, wal_of(settings.database), lock_path(settings.database.path), settings.data_dir)
    return [(path, datetime.fromtimestamp(path.stat().st_mtime, UTC)) for path in paths if path.exists()]


def _unsynchronised() -> bool:
    """What timedatectl goes by (adjtimex(2), asking only); not known counts as well."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return False
    return bool(ctypes.c_int.from_buffer(timex, STATUS_AT * LONG).value & STA_UNSYNC)
