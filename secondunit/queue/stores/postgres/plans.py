"""Prepared statements: the server parses and plans what a writer does all day once, where its session is ours alone.

Planning took more than doing. Through a pooler, each transaction may have another session's, and none of this is done.
"""

from collections.abc import Sequence
from typing import Any

import psycopg

SEEN_BEFORE = 2  # times a statement was sent that the server is to know by name from now on
ALONE = ("begin isolation level read committed",)
# A daemon that is frozen within a transaction holds its locks no longer than this.
IDLE = "idle_in_transaction_session_timeout"
BEGIN = (*ALONE, f"set local {IDLE} = '3s'")
# One plan serves all values, and must serve the tables as they will be: none reads a whole one because that was small
# when it was made. No index is missing.
SETTINGS = f"""
select set_config(name, value, false)
from (values ('{IDLE}', '3s'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('jit', 'off'))
  as settings (name, value)"""
# What a session says that does not know a statement by its name, or knows it already: it is another one.
ANOTHER = ("26000", "42P05")


def keep_plans(connection: psycopg.Connection[Any]) -> Sequence[str]:
    """Have statements prepared where nobody stands between us and the session; with what a transaction is to begin.

    A pooler gives each of its clients a process number of its own, for cancelling by.
    """
    [pid] = connection.execute("select pg_backend_pid()").fetchone() or (0,)
    if pid != connection.info.backend_pid:
        return BEGIN
    connection.execute(SETTINGS)
    connection.prepare_threshold = SEEN_BEFORE
    return ALONE


def gave_up(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether the session turned out not to be ours alone; nothing is prepared from now on."""
    if error.sqlstate not in ANOTHER or connection.prepare_threshold is None:
        return False
    connection.prepare_threshold = None
    return True
