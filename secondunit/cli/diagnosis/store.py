"""Checks of the queue's store: the database read through within a bound, its WAL, its reserve on the disk, backups."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from secondunit.cli.diagnosis.situation import Situation
from secondunit.daemon.diagnosis.checks import CheckResult, bad, ok, warn
from secondunit.daemon.files.backups import newest
from secondunit.daemon.wiring.database import inspect, reserve_of, wal_of
from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.engine import DatabaseLook

READ_WITHIN = 8.0
WAL_LARGE, WAL_HUGE = 128 << 20, 256 << 20
OTHER_DATABASE = "name another database in QUEUE_URL, or run the program that this one is of"
BACKUP_OLD = timedelta(days=3)


def store(here: Situation) -> Iterator[CheckResult]:
    """All of it, since backups are found by what the database says of the last one."""
    database = here.settings.database
    deadline = time.monotonic() + READ_WITHIN
    try:
        look = inspect(database, lambda: time.monotonic() > deadline)
    except FileNotFoundError:
        yield ok("database", f"there is none yet at {database}; the first start makes it")
        return
    except StoreBroken as error:
        kept = "keep the file; `secondunit restore BACKUP` puts a backup in its place"
        remedy = error.remedy or (OTHER_DATABASE if database.server else kept)
        yield bad("database", f"QUEUE_URL: {error}" if database.server else str(error), remedy)
        yield from _backups(here, None)
        return
    if database.server:
        yield ok(
            "database", f"{database}: {look.size >> 20} MiB, schema {look.schema}; backups are its server's affair"
        )
        return
    size = f"{database}: {look.size >> 20} MiB, schema {look.schema}"
    if look.whole:
        yield ok("database", f"{size}, whole")
    else:
        yield ok("database", f"{size}; what was read of it in {READ_WITHIN:g} s is whole")
    yield _wal(wal_of(database))
    if reserve := reserve_of(database):
        yield _reserve(reserve)
    yield from _backups(here, look)


def _wal(path: Path) -> CheckResult:
    size = path.stat().st_size if path.exists() else 0
    found = f"{path} has {size >> 20} MiB"
    remedy = "end what reads the database without an end (`fuser` names it), then restart the daemon"
    if size > WAL_HUGE:
        return bad("wal", found, remedy)
    return warn("wal", found, remedy) if size > WAL_LARGE else ok("wal", found)


def _reserve(path: Path) -> CheckResult:
    if path.exists():
        return ok("ballast", f"{path.stat().st_size >> 20} MiB are set aside to record how jobs end on a full disk")
    found = f"{path} is gone: on a full disk it could not be recorded how running jobs end"
    return bad("ballast", found, "free some space; the daemon sets it aside again by itself, else at its next start")


def _backups(here: Situation, look: DatabaseLook | None) -> Sequence[CheckResult]:
    places = [here.settings.data_dir / "backups", here.settings.database.path.parent / "backups"]
    if look and look.last_backup:
        places += [look.last_backup, look.last_backup.parent]
    copies = [copy for place in dict.fromkeys(places) if (copy := newest(place))]
    one = here.around.copy
    if not copies:
        return [warn("backup", "no backup is known", f"{one} makes one; a copy on another disk outlives this one")]
    last = max(copies, key=lambda copy: copy.made)
    age = here.now - last.made
    told = f"the newest backup is {last.path}, {age.days} days old"
    if last.verified is None:
        remedy = f"`secondunit backup --verify {last.path}`"
        return [bad("backup", f"{told}, and was never verified as it is now", remedy)]
    if age > BACKUP_OLD:
        return [warn("backup", told, f"see why none was made since ({here.around.copies}), or {one}")]
    return [ok("backup", f"{told}, verified {last.verified:%Y-%m-%d}")]
