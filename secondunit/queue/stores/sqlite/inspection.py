"""SQLite database inspection: one bounded, read-only look, for whoever asks how it is while it may be in use."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.engine import DatabaseLook
from secondunit.queue.stores.sqlite.connection import APPLICATION_ID, BUSY_TIMEOUT_MS, newest_schema, translated

STEPS_BETWEEN_LOOKS = 10_000
WITH_KEYS = 5
LAST_BACKUP = "select target from audit where action = 'backup' and target is not null order by seq desc limit 1"


def inspect(path: Path, over: Callable[[], bool]) -> DatabaseLook:
    """What can be seen without writing until `over` says that the time is up. Blocks.

    StoreBroken says what is wrong with it, PermissionError that it is not for this account.
    """
    if not path.exists():
        gone = path.with_name(f"{path.name}.exists").exists()
        raise StoreBroken(f"{path} is gone, though there was one") if gone else FileNotFoundError(str(path))
    path.open("rb").close()  # PermissionError, where SQLite would say less
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
            return _looked(connection, path, over)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _looked(connection: sqlite3.Connection, path: Path, over: Callable[[], bool]) -> DatabaseLook:
    [application_id] = connection.execute("pragma application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise StoreBroken(f"{path} is a database of another program")
    [schema] = connection.execute("pragma user_version").fetchone()
    if schema > newest_schema():
        raise StoreBroken(f"{path} has schema {schema}, this program knows {newest_schema()}: it is a newer one's")
    keys, backup = 0, None
    if schema >= WITH_KEYS:
        [keys] = connection.execute("select count(*) from access_keys").fetchone()
        backup = connection.execute(LAST_BACKUP).fetchone()
    connection.set_progress_handler(over, STEPS_BETWEEN_LOOKS)
    try:
        [verdict] = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        verdict = None
    if verdict not in (None, "ok"):
        raise StoreBroken(f"{path} is damaged: {verdict}")
    return DatabaseLook(
        whole=verdict is not None,
        schema=schema,
        keys=keys,
        size=path.stat().st_size,
        last_backup=Path(backup[0]) if backup else None,
    )
