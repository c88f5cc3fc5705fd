"""Tables that a move takes along: their columns, from the stores' own column tables, and those it leaves, with reasons.

Rows have one form, whichever store they are of: that of the SQLite store, where a lease is two columns of its job.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from secondunit.queue.stores.columns import Column, names
from secondunit.queue.stores.port_rows import ACCESS_KEY, AUDIT, BATCH, CACHE, SCHEDULE
from secondunit.queue.stores.rows import DELIVERY, EVENT, FIXED, MOVING, STEP
from secondunit.queue.stores.series_table import TALLY


class MovedTable(NamedTuple):
    """A table: its columns, those of them that name a row, and `wide` ones, that may hold more than 64 bits."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]
    wide: Sequence[str] = ()

    @property
    def listed(self) -> str:
        """The columns, as SQL."""
        return ", ".join(self.columns)


def _table(name: str, key: str, *parts: str | Sequence[Column], wide: str = "") -> MovedTable:
    columns = chain.from_iterable(part.replace(",", " ").split() if isinstance(part, str) else names(part)
                                  for part in parts)  # fmt: skip
    return MovedTable(name, tuple(columns), tuple(key.split()), tuple(wide.split()))


# Whom others refer to comes first.
MOVED = (
    _table("jobs", "id", "seq", FIXED, MOVING, "rank"),
    _table("events", "seq", "job", EVENT),
    _table("steps", "job name", "job", STEP),
    _table("deliveries", "id", "seq job kind address", DELIVERY),
    _table("parents", "parent child", "parent child"),
    _table("untold", "parent", "parent told"),
    _table("batches", "id", "first last", BATCH),
    _table("cache", "key", CACHE),
    _table("idempotency", "key", "key job_id digest expires_at"),
    _table("access_keys", "prefix", ACCESS_KEY),
    _table("audit", "seq", "seq", AUDIT),
    _table("schedules", "name", SCHEDULE),
    _table("folders", "path manifest_at", "path manifest_at inode job_id epoch at", wide="inode"),
    _table("replaced", "path part", "path part files at"),
    _table("paused", "type", "type"),
    _table("type_limits", "type", "type concurrency"),
    _table("counts", "type status", "type status n"),
    _table("series", "step at type", "step at type", TALLY),
    _table("run_samples", "type", "type samples"),
    _table("meta", "key", "key value"),
)
BY_NAME = {table.name: table for table in MOVED}
OF_EVERY_QUEUE = ("counts", "meta")  # a queue without a job may have rows of these: a move puts others in their place

NOT_MOVED: Mapping[str, str] = {
    "leases": "moved as columns of their jobs",
    "numbers": "moved as counters",
    "writers": "the connections that write to one PostgreSQL database",
    "boxes": "the daemons of one database: each enters itself when it starts",
    "duties": "who of several daemons polls, schedules and delivers: taken anew by the first that starts",
}
