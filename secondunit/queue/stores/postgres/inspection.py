"""PostgreSQL database inspection: one read-only look, for whoever asks how it is while it may be in use."""

from pathlib import Path

import psycopg

from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.engine import DatabaseLook
from secondunit.queue.stores.postgres.connection import closed, known_schema, newest_schema, translated
from secondunit.queue.stores.postgres.failover.servers import Servers

LOOK = "select (select count(*) from access_keys), pg_database_size(current_database())"


def inspect(url: str, note: Path | None = None) -> DatabaseLook:
    """What can be seen without writing. Whether its files are whole its server watches over. Blocks.

    FileNotFoundError: no daemon has made its tables yet, but one can. StoreBroken says what is wrong.
    """
    try:
        with Servers(url, note).connect() as connection:
            schema = known_schema(connection)
            if schema > newest_schema():
                raise StoreBroken(f"it has schema {schema}, this program knows {newest_schema()}: it is a newer one's")
            if not schema:
                raise closed(connection) or FileNotFoundError
            [keys, size] = connection.execute(LOOK).fetchone() or (0, 0)
    except psycopg.Error as error:
        raise translated(error) from error
    return DatabaseLook(whole=True, schema=schema, keys=keys, size=size, last_backup=None)
