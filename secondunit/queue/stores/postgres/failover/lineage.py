"""Lineage of a database: whether it still is the one that acknowledged what this daemon knows, or went back to before.

After a failover to a standby that was behind, and in a backup that was put back, numbers that were given out are given
out again, to other things. Who finds that out begins anew: another generation of event ids, epochs that nobody had, and
no writer known, so that every daemon of the queue ends before it writes anything, and starts without such memories.
"""

import secrets
from typing import Any

import psycopg

from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Event
from secondunit.queue.stores.postgres.failover.sends import PaidSends
from secondunit.queue.stores.rows import micros

EPOCHS_APART = 2**32
GENERATION = "select value from meta where key = 'generation'"
FIRST_GENERATION = "insert into meta values ('generation', %s) on conflict do nothing"
# A copy is another database, though it says the same; a standby is its primary's twin.
HERE = """
select (select system_identifier from pg_control_system()) || '/' || oid
from pg_database
where datname = current_database()"""
HOME = "select value from meta where key = 'home' for update"
MOVE_IN = "insert into meta values ('home', %s) on conflict (key) do update set value = excluded.value"
STANDS = f"select last_event, events_floor, ({GENERATION}) from numbers"
MARK = "select e.name, e.at, j.id from events e join jobs j on j.seq = e.job where e.seq = %s"
# Only one does: who finds another generation is told so by it.
RENEW = "update meta set value = %s where key = 'generation' and value = %s returning 1"
ANEW = (
    f"update jobs set epoch = epoch + {EPOCHS_APART}",
    f"update leases set lease_epoch = lease_epoch + {EPOCHS_APART}",
    "delete from writers",
    # Who ends of the loss died of no job that it ran.
    """
insert into meta (key, value)
select distinct on (1) 'stopping ' || substring(boot from '^(.*/)?[^/]*$'), boot
from leases
where boot like '%/%'
order by 1, 2
on conflict (key) do update
set value = excluded.value""",
)
WENT_BACK = (
    "the database has lost what it had acknowledged: it went back to an earlier state, as after a failover to a "
    "standby that was behind or beside an old primary that took writes, or a restored backup; what this daemon ran is "
    "given up (see docs/boxes.md)"
)


class Lineage:
    """What this daemon knows of its database: its generation, and the last event that was told.

    `told` is that event's number. The generation is "" until `begin`.
    """

    def __init__(self, sends: PaidSends) -> None:
        self.told = 0
        self.generation = ""
        self._sends = sends
        self._mark: tuple[Any, ...] | None = None

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Know the database as it is now; one that is the copy of another begins anew first."""
        connection.execute(FIRST_GENERATION, (secrets.token_hex(4),))
        here = _here(connection)
        with connection.transaction():
            connection.execute(MOVE_IN.replace("update set value = excluded.value", "nothing"), (here,))
            [home] = connection.execute(HOME).fetchone() or (here,)
            if home != here:
                connection.execute(MOVE_IN, (here,))
                _begin_anew(connection, *connection.execute(GENERATION).fetchone() or ("",))
        [self.told, _, self.generation] = connection.execute(STANDS).fetchone() or (0, 0, "")
        self._mark = connection.execute(MARK, (self.told,)).fetchone()

    def heard(self, event: Event) -> None:
        """This is the last event that was told from now on."""
        self.told = event.seq
        self._mark = event.name, micros(event.at), event.job_id

    def lost(self, connection: psycopg.Connection[Any], known: bool) -> StoreBroken | None:
        """What to end with if the database went back; within a transaction, which is to be committed also then.

        `known` says whether it knows of all that this writer did.
        """
        last, floor, generation = connection.execute(STANDS).fetchone() or (0, 0, "")
        mark = connection.execute(MARK, (self.told,)).fetchone()
        pruned = mark is None and floor >= self.told
        if known and last >= self.told and (mark == self._mark or pruned) and generation == self.generation:
            return None
        if generation == self.generation:
            _begin_anew(connection, generation)
        told = self._sends.put_in_doubt(connection)
        return StoreBroken("; ".join([WENT_BACK, *told]))


def _begin_anew(connection: psycopg.Connection[Any], generation: str) -> None:
    if connection.execute(RENEW, (secrets.token_hex(4), generation)).fetchone():
        for statement in ANEW:
            connection.execute(statement)


def _here(connection: psycopg.Connection[Any]) -> str:
    [here] = connection.execute(HERE).fetchone() or ("",)
    return str(here)
