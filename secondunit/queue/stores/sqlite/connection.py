"""SQLite connections: pragmas, identity checks, migrations. A file that can't be read is never started over."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from secondunit.queue.durable_files import sync
from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.stores import migrations
from secondunit.queue.stores.sqlite.ballast import free_bytes

STORE = "secondunit.queue.stores.sqlite"
APPLICATION_ID = 0x5EC0D001
BUSY_TIMEOUT_MS = 5000
FULL_CODES = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
# These open files, which wants room. A failed fsync or read never means that: the disk's content is not known then.
WANTS_ROOM = ("SQLITE_IOERR_SHM", "SQLITE_CANTOPEN")
ROOM_FOR_A_FILE = 256 << 10  # less, and whatever could not be opened or written had no room
MAKING = ".making"
INCREMENTAL = 2
LARGEST_REWRITTEN = 512 << 20
LARGEST_CHECKED_FIRST = 64 << 20  # a tenth of a second
SUSPECT = ".suspect"
REMEDIES = {
    "SQLITE_CORRUPT": "keep the file, and put a backup in its place: `secondunit restore BACKUP`",
    "SQLITE_NOTADB": "keep the file; `secondunit restore BACKUP` puts a backup there, or choose another DATA_DIR",
    "SQLITE_READONLY": "make the file and its folder writable for the daemon's user",
    "SQLITE_CANTOPEN": "make the file and its folder writable for the daemon's user",
}


def connect_writer(path: Path, synchronous: str) -> tuple[sqlite3.Connection, bool]:
    """The one connection that writes; creates the database if there is none, brings its schema up to date.

    Beside it, whether all of it was looked through: a large one that needs no migration wants `look_through` later.
    """
    fresh = not path.exists()
    marker = path.with_name(path.name + ".exists")
    if fresh and marker.exists():
        raise StoreBroken(
            f"{path} is gone, but {marker.name} says that there was a database; put it back or restore a backup, "
            f"or remove {marker} to start with an empty queue"
        )
    if not fresh and path.stat().st_size == 0:
        raise StoreBroken(
            f"{path} is empty (0 bytes): not a database; restore a backup, or remove the file and {marker}"
        )
    try:
        if fresh:
            with closing(making(path)):
                pass
            put(path)
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        with closed_unless_whole(connection):
            _check_identity(connection, path)
            whole = _checked_first(connection, path)
            connection.execute("pragma journal_mode = wal")
            connection.execute(f"pragma synchronous = {synchronous}")
            for pragma in (f"busy_timeout = {BUSY_TIMEOUT_MS}", "foreign_keys = on", "journal_size_limit = 67108864",
                           "wal_autocheckpoint = 0", "temp_store = memory", "cache_size = -16384"):  # fmt: skip
                connection.execute(f"pragma {pragma}")
            migrate(connection)
            if whole:
                _shrinkable(connection, path)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    marker.touch()
    return connection, whole


@contextmanager
def closed_unless_whole(connection: sqlite3.Connection) -> Iterator[None]:
    """Close it if what makes it ready fails: nobody else would."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def connect_path_for_reading(path: Path) -> tuple[str, list[str]]:
    """A URI and the pragmas for a connection that must not write."""
    return f"{path.absolute().as_uri()}?mode=rw", [
        f"pragma busy_timeout = {BUSY_TIMEOUT_MS}",
        "pragma wal_autocheckpoint = 0",
        "pragma query_only = on",
    ]


def newest_schema() -> int:
    """The schema that this program's migrations lead to."""
    return migrations.newest(STORE)


def migrate(connection: sqlite3.Connection) -> None:
    """Apply each migration that the database has not seen, each in a transaction; forward only."""
    [version] = connection.execute("pragma user_version").fetchone()
    for number, script in migrations.pending(STORE, version):
        connection.executescript(f"begin immediate;\n{script}\npragma user_version = {number};\ncommit;")


def translated(error: sqlite3.Error, path: Path | None = None) -> Exception:
    """The queue's error for SQLite's: a full disk, or a store that can't be trusted."""
    name = getattr(error, "sqlite_errorname", "")
    where = f"{path}: " if path else ""
    if name in FULL_CODES or (path and name.startswith(WANTS_ROOM) and _no_room(path.parent)):
        return StoreFull(f"{where}the disk is full; free some space, nothing was stored")
    remedy = next((text for code, text in REMEDIES.items() if name.startswith(code)), "")
    return StoreBroken(f"{where}{error} ({name or type(error).__name__}){remedy and '; '}{remedy}")


def making(path: Path) -> sqlite3.Connection:
    """An empty database beside its place, where nobody looks for it; what a killed one left there is removed."""
    unmake(path)
    connection = sqlite3.connect(_beside(path), isolation_level=None)
    with closed_unless_whole(connection):
        connection.execute(f"pragma auto_vacuum = {INCREMENTAL}")  # before the first page, or it does nothing
        connection.execute("pragma synchronous = extra")
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        migrate(connection)
    return connection


def put(path: Path) -> None:
    """Put the database there that was made beside it, closed and whole: a kill leaves one, or none."""
    sync(_beside(path))
    _beside(path).rename(path)
    sync(path.parent)


def unmake(path: Path) -> None:
    """Remove a database that was being made."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{_beside(path)}{suffix}").unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + MAKING)


def _shrinkable(connection: sqlite3.Connection, path: Path) -> None:
    """See to it that freed pages can be given back to the disk; a database made without that is written anew, once.

    One too large for that at a start stays as it is: it works, and does not shrink.
    """
    [mode] = connection.execute("pragma auto_vacuum").fetchone()
    if mode == INCREMENTAL:
        return
    size = path.stat().st_size
    if size > LARGEST_REWRITTEN or free_bytes(path.parent) < 3 * size:
        return
    connection.execute(f"pragma auto_vacuum = {INCREMENTAL}")
    connection.execute("vacuum")


def removed(path: Path) -> str:
    """What to tell of a database that is no longer where it was opened."""
    return f"{path} was removed or renamed while it was open; put it (and its folder) back, then start again"


def _no_room(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM_FOR_A_FILE or (disk.f_files > 0 and disk.f_favail == 0)


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    [application_id] = connection.execute("pragma application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise StoreBroken(f"{path} is a database of another program; choose another DATA_DIR or QUEUE_URL")


def look_through(path: Path) -> None:
    """Look for damage in an open database, on a connection of its own. Blocks, 2 s a gigabyte on a good disk.

    StoreBroken says what was found, and the next start looks before it does anything else.
    """
    where, pragmas = connect_path_for_reading(path)
    try:
        with closing(sqlite3.connect(where, uri=True)) as connection:
            for pragma in pragmas:
                connection.execute(pragma)
            _look_through(connection, path)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _checked_first(connection: sqlite3.Connection, path: Path) -> bool:
    suspect = path.with_name(path.name + SUSPECT)
    [version] = connection.execute("pragma user_version").fetchone()
    if path.stat().st_size > LARGEST_CHECKED_FIRST and version >= newest_schema() and not suspect.exists():
        return False
    _look_through(connection, path)
    suspect.unlink(missing_ok=True)
    return True


def _look_through(connection: sqlite3.Connection, path: Path) -> None:
    # Pages and rows, not the CHECKs: those were held at each write, and make three quarters of what this costs.
    connection.execute("pragma ignore_check_constraints = on")
    [verdict] = connection.execute("pragma quick_check(1)").fetchone()
    connection.execute("pragma ignore_check_constraints = off")
    if verdict != "ok":
        path.with_name(path.name + SUSPECT).touch()
        raise StoreBroken(
            f"{path} is damaged ({verdict.splitlines()[-1]}); it stays as it is: "
            "`secondunit restore BACKUP` puts a backup in its place"
        )
