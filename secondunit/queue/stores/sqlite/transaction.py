"""What a write function works with: the connection, what is known of the rows unasked, and the events it tells."""

import sqlite3
from collections import Counter

from secondunit.queue.model import Event, Job, JobId, Status, replace
from secondunit.queue.stores.sqlite.rows import EVENT_COLUMNS, event_values

LAST_EVENT = """
max(
  (select cast(value as integer) from meta where key = 'events_floor'),
  coalesce((select max(seq) from events), 0))"""
LAST_NUMBERS = f"select coalesce((select max(seq) from jobs), 0), {LAST_EVENT}"
INSERT_EVENT = f"""
insert into events (job, {EVENT_COLUMNS})
values ({", ".join("?" * (1 + len(EVENT_COLUMNS.split(", "))))})"""
COUNT = "insert into counts values (?1, ?2, max(?3, 0)) on conflict do update set n = n + ?3"


class Known:
    """What the one writer remembers from one transaction to the next, since nobody else writes.

    `running` holds running jobs as their rows are: who writes a row otherwise than `jobs.write` must take it out.
    """

    def __init__(self) -> None:
        self.running: dict[JobId, Job] = {}
        self.last_job: int | None = None
        self.last_event = 0

    def forget(self) -> None:
        """Something was undone: what is known may not be so."""
        self.running.clear()
        self.last_job = None


class Transaction:
    """One transaction of the writer.

    What it `tell`s and `count`s is written together, by `flush`: one call for all rows costs half of one for each.
    """

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.running = known.running
        self.events: list[Event] = []
        self._known = known
        self._untold: list[tuple[int, Event]] = []
        self._counted: Counter[tuple[str, Status]] = Counter()

    def number(self, jobs: int) -> int:
        """The last job's number so far; so many more are given out after it."""
        last = self._last_job()
        self._known.last_job = last + jobs
        return last

    def count(self, type: str, status: Status, n: int) -> None:
        """So many jobs more of a type have this status."""
        self._counted[type, status] += n

    def tell(self, job: Job, event: Event) -> None:
        """Store the event under the next number, and tell it to the listeners after the commit."""
        self._last_job()
        self._known.last_event += 1
        event = replace(event, seq=self._known.last_event)
        self.events.append(event)
        self._untold.append((job.seq, event))

    def flush(self) -> None:
        """Write what was told and counted."""
        if self._untold:
            self.executemany(INSERT_EVENT, [(job, *event_values(event)) for job, event in self._untold])
            self._untold = []
        if self._counted:
            self.executemany(COUNT, [(type, status.value, n) for (type, status), n in self._counted.items() if n])
            self._counted.clear()

    def take_back(self, events: int) -> None:
        """Forget all but the first so many events, and what is not written: what came after them was undone."""
        del self.events[events:]
        self._untold = []
        self._counted.clear()
        self._known.forget()

    def _last_job(self) -> int:
        if self._known.last_job is None:
            self._known.last_job, self._known.last_event = self.execute(LAST_NUMBERS).fetchone()
        return self._known.last_job
