"""PostgreSQL connections: how they are opened, plans that they keep, what their errors mean, migrations."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import StrDumper

from secondunit.queue.errors import QueueError, StoreBroken, StoreFull
from secondunit.queue.stores import migrations

STORE = "secondunit.queue.stores.postgres"
OLDEST_SERVER = 140_000
CONNECT_TIMEOUT = 5
# A writer does the same statements all day, and planning them took its server more than doing them.
SEEN_BEFORE = 2  # times a statement was sent that the server is to know by name from now on
ALONE = ("begin isolation level read committed",)
# A daemon that is frozen within a transaction holds its locks no longer than this.
IDLE = "idle_in_transaction_session_timeout"
# What is set for accounts lest a person forgets a query would end a write that only waits for its turn.
UNLIMITED = ("statement_timeout", "lock_timeout", "transaction_timeout", "idle_session_timeout")
BEGIN = (
    *ALONE,
    f"""
select set_config('{IDLE}', '3s', true), set_config('statement_timeout', '0', true),
  set_config('lock_timeout', '0', true)""",
)
# One plan serves all values, and must serve the tables as they will be: none reads a whole one because that was small
# when it was made. No index is missing.
PLAN_ONCE = f"""
select set_config(name, value, false)
from (
  values ('{IDLE}', '3s'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('jit', 'off'),
    {", ".join(f"('{name}', '0')" for name in UNLIMITED)}) as settings (name, value)
join pg_settings using (name)"""
# What a session says that does not know a statement by its name, or knows it already: it is another one.
ANOTHER = ("26000", "42P05")
URL_WORDS = "postgresql://ACCOUNT:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE, with names of libpq's (sslmode, host ...)"
MAY_MAKE = """
select current_schema(), has_schema_privilege(current_schema(), 'create'),
  current_setting('transaction_read_only')::boolean"""
MIGRATING = 0x5EC0D001
# Serialization, deadlock, lock timeout; a key that somebody else took meanwhile.
AGAIN = ("40001", "40P01", "55P03", "23505")
FULL_CODES = ("53100",)
REACH_IT = (
    "see that the server runs, has this database, lets this account in (password, pg_hba.conf, sslmode) and has"
    " connections left: five for each daemon (max_connections, or a limit of the account or the database)"
)
ALTER = "`alter role ACCOUNT set {} = 0`, or of the database or the server"
RIGHTS = "let the account make tables there and use them: best, `alter database NAME owner to ACCOUNT`, tables included"
NO_SCHEMA = "its search_path names no schema that is there: make one, or `alter role ACCOUNT reset search_path`"
WRITABLE = (
    "name the server that takes writes (of several hosts `?target_session_attrs=read-write` finds it), or let the"
    " account write: `alter role ACCOUNT reset default_transaction_read_only`"
)
OTHERS = "tables of another program are in the way, or some of ours are gone: a database of its own, or the last backup"
REMEDIES = {
    "42501": RIGHTS,
    "3F000": NO_SCHEMA,
    "25006": WRITABLE,
    "57014": ALTER.format("statement_timeout"),
    "25P03": ALTER.format("idle_in_transaction_session_timeout"),
    "25P04": ALTER.format("transaction_timeout"),
    "57P05": ALTER.format("idle_session_timeout"),
    **dict.fromkeys(("42P01", "42P07", "42703", "42804"), OTHERS),
}
AWAY_CLASSES = ("08", "28", "3D", "57P")  # no connection, not let in, no such database, shut down
SETTINGS = {"connect_timeout": CONNECT_TIMEOUT, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 20_000, "application_name": "secondunit"}  # fmt: skip


class _WithoutNul(StrDumper):
    """Text columns take no NUL, which a program's message may hold; JSON spells it otherwise."""

    def dump(self, obj: str) -> Any:
        """As UTF-8."""
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def options(url: str) -> dict[str, Any]:
    """What to connect with: the URL's own words count before ours. StoreBroken where it says what nobody knows."""
    try:
        return {**SETTINGS, **conninfo_to_dict(url)}
    except psycopg.ProgrammingError as error:
        raise StoreBroken(f"its URL can't be read: {str(error).strip()}", URL_WORDS) from None


class Outdated(psycopg.OperationalError):
    """The server is of before a failover, and not the queue's any more; with what helps."""

    def __init__(self, told: str, remedy: str) -> None:
        super().__init__(told)
        self.remedy = remedy


def connect(url: str, **other: Any) -> psycopg.Connection[Any]:
    """A connection that keeps nothing in its session: through pgbouncer each transaction may have another server's."""
    connection = psycopg.Connection.connect(**options(url) | other, autocommit=True, prepare_threshold=None)
    connection.adapters.register_dumper(str, _WithoutNul)
    return connection


async def connect_reader(url: str, **other: Any) -> psycopg.AsyncConnection[Any]:
    """The same, for the event loop."""
    connection = await psycopg.AsyncConnection.connect(**options(url) | other, autocommit=True, prepare_threshold=None)
    connection.adapters.register_dumper(str, _WithoutNul)
    return connection


def keep_plans(connection: psycopg.Connection[Any]) -> Sequence[str]:
    """Have statements prepared where nobody stands between us and the session; with what a transaction is to begin.

    A pooler gives each of its clients a process number of its own, for cancelling by.
    """
    [pid] = connection.execute("select pg_backend_pid()").fetchone() or (0,)
    if pid != connection.info.backend_pid:
        return BEGIN
    connection.execute(PLAN_ONCE)
    connection.prepare_threshold = SEEN_BEFORE
    return ALONE


def gave_up(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether the session turned out not to be ours alone; nothing is prepared from now on."""
    if error.sqlstate not in ANOTHER or connection.prepare_threshold is None:
        return False
    connection.prepare_threshold = None
    return True


def translated(error: psycopg.Error, server: str = "PostgreSQL") -> QueueError:
    """The queue's error for that of a server: a full disk, or a store that can't be trusted or reached."""
    words = str(error).strip().splitlines()
    said = words[0] if words else type(error).__name__
    if error.sqlstate in FULL_CODES:
        return StoreFull(f"{server}: {said}; free some space on its disk, nothing was stored")
    if isinstance(error, Outdated):
        return StoreBroken(f"{server}: {said}", error.remedy)
    told = f"{server}: {said} ({error.sqlstate or type(error).__name__})"
    return StoreBroken(told, REMEDIES.get(error.sqlstate or "") or (REACH_IT if _away(error) else ""))


def _away(error: psycopg.Error) -> bool:
    code = error.sqlstate or ""
    return code.startswith(AWAY_CLASSES) if code else isinstance(error, psycopg.OperationalError)


def unfit(connection: psycopg.Connection[Any]) -> str | None:
    """Why no queue can be in this database."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding == "UTF8":
        return None
    return (
        f"has the encoding {encoding}, which can't hold every text: make one with UTF8"
        " (`createdb --encoding=UTF8 --template=template0`)"
    )


def closed(connection: psycopg.Connection[Any]) -> StoreBroken | None:
    """Why this account can make no tables in a database that has none."""
    if why := unfit(connection):
        return StoreBroken(f"the database {why}")
    schema, may, read_only = connection.execute(MAY_MAKE).fetchone() or (None, None, False)
    if read_only:
        return StoreBroken("it can only be read", WRITABLE)
    if schema is None:
        return StoreBroken("no schema is there to make tables in", NO_SCHEMA)
    return None if may else StoreBroken(f"the account may make no tables in the schema {schema}", RIGHTS)


def migrate(connection: psycopg.Connection[Any]) -> None:
    """Apply each migration that the database has not seen, one daemon at a time; forward only."""
    if connection.info.server_version < OLDEST_SERVER:
        raise StoreBroken(f"PostgreSQL {connection.info.server_version // 10_000} is too old; 14 or newer is needed")
    if why := unfit(connection):
        raise StoreBroken(f"the database {why}")
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATING,))
        for number, script in migrations.pending(STORE, known_schema(connection)):
            connection.execute(script)
            connection.execute(
                "insert into meta values ('schema', %s) on conflict (key) do update set value = excluded.value",
                (str(number),),
            )


def newest_schema() -> int:
    """The schema that this program's migrations lead to."""
    return migrations.newest(STORE)


def known_schema(connection: psycopg.Connection[Any]) -> int:
    """The last migration that the database has seen; StoreBroken for tables that are not ours."""
    ours, others = connection.execute(
        "select to_regclass('numbers') is not null, to_regclass('jobs') is not null"
    ).fetchone() or (False, False)
    if ours:
        row = connection.execute("select value from meta where key = 'schema'").fetchone()
        return int(row[0]) if row else 0
    if others:
        raise StoreBroken("the database has a table `jobs` that is not ours; give the queue a database of its own")
    return 0
