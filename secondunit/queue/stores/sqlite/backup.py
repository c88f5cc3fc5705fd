"""SQLite backup and restore: copies taken while the database is in use, and the way back from one."""

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from secrets import token_hex

from secondunit.queue.durable_files import sync
from secondunit.queue.errors import StoreBroken
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.payloads.secret_fields import struck
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.stores.sqlite.connection import APPLICATION_ID, newest_schema, translated

EPOCHS_APART = 2**32
SIDE_FILES = ("-wal", "-shm")


def back_up(database: Path, target: Path, secrets: Mapping[str, Collection[str]]) -> Snapshot:
    """Copy the database at `database`, which may be in use, to `target`: checked, whole or not at all.

    Ended jobs have no `secrets` there (by type, the fields of a payload); those that are still to run keep theirs.
    Blocks; uses a connection of its own. Raises StoreBroken or StoreFull, and then leaves `target` as it was.
    """
    partial = target.with_name(f".{target.name}.{token_hex(4)}.partial")
    try:
        _copy(database, partial)
        _strike(partial, secrets)
        snapshot = check(partial)
        sync(partial)
        partial.rename(target)
        sync(target.parent)
    except sqlite3.Error as error:
        raise translated(error, target) from error
    finally:
        partial.unlink(missing_ok=True)
    return Snapshot(target, snapshot.size, snapshot.schema, snapshot.jobs)


def check(path: Path) -> Snapshot:
    """Look into a copy: StoreBroken says why it can't be restored."""
    if not path.is_file():
        raise StoreBroken(f"{path} is no file")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [application_id] = connection.execute("pragma application_id").fetchone()
            if application_id != APPLICATION_ID:
                raise StoreBroken(f"{path} is no backup of this program")
            [schema] = connection.execute("pragma user_version").fetchone()
            if schema > newest_schema():
                raise StoreBroken(
                    f"{path} has schema {schema}, this program knows {newest_schema()}: use the newer program"
                )
            [verdict] = connection.execute("pragma quick_check(1)").fetchone()
            if verdict != "ok":
                raise StoreBroken(f"{path} is damaged: {verdict}")
            [jobs] = connection.execute("select count(*) from jobs").fetchone()
    except sqlite3.Error as error:  # it may not be opened, too: another account's, or on a bad disk
        raise translated(error, path) from error
    return Snapshot(path, path.stat().st_size, schema, jobs)


def restore(copy: Path, database: Path, aside: Path) -> Snapshot:
    """Put a copy in the place of the database, which nobody may have open; what stood there is kept at `aside`.

    Epochs grow by 2^32 and event numbers begin a new generation, so that nothing from after the copy can write.
    """
    snapshot = check(copy)
    coming = database.with_name(f".{database.name}.restoring")
    coming.unlink(missing_ok=True)
    try:
        _copy(copy, coming)
        _begin_anew(coming)
        sync(coming)
        for suffix in ("", *SIDE_FILES):
            standing = database.with_name(database.name + suffix)
            if standing.exists():
                standing.rename(aside.with_name(aside.name + suffix))
        coming.rename(database)
        sync(database.parent)
    except sqlite3.Error as error:
        raise translated(error, database) from error
    finally:
        coming.unlink(missing_ok=True)
    return snapshot


def _copy(source: Path, target: Path) -> None:
    connection = sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute("vacuum into ?", (str(target),))
    finally:
        connection.close()


def _strike(path: Path, secrets: Mapping[str, Collection[str]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("pragma journal_mode = memory")
        connection.execute("pragma secure_delete = on")  # what was there leaves no byte in the file
        connection.execute("begin immediate")
        for type, fields in secrets.items():
            ended = "select seq, payload from jobs where type = ? and status not in ('queued', 'running')"
            for seq, text in connection.execute(ended, (type,)).fetchall():
                payload = load(text)
                if (without := struck(payload, fields)) != payload:
                    connection.execute("update jobs set payload = ? where seq = ?", (dump(without), seq))
        connection.execute("commit")
    finally:
        connection.close()


def _begin_anew(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("begin immediate")
        connection.execute("update jobs set epoch = epoch + ?", (EPOCHS_APART,))
        connection.execute("insert or replace into meta values ('generation', ?)", (token_hex(4),))
        connection.execute("commit")
    finally:
        connection.close()
