"""Paid sends that a daemon remembers: should the database lose their intents, it is told that they are in doubt.

Without that a run on a database that went back would send, and pay, again, and nobody would see it.
"""

from collections import OrderedDict
from typing import Any

import psycopg

from secondunit.queue.model import JobId
from secondunit.queue.store import Step
from secondunit.queue.stores.rows import micros

MOST = 1000
SHOWN = 5
# A result that was kept stands; of sends there were as many as either knows.
IN_DOUBT = """
insert into steps (job, name, done, result, sends, at)
select seq, %s, 0, null, %s, %s
from jobs
where id = %s
on conflict (job, name) do update
set sends = greatest(steps.sends, excluded.sends)
where steps.done = 0
returning 1"""
KEPT = "select 1 from jobs where id = %s"
# A standby that is behind lacks seconds, maybe minutes.
SINCE = "select (extract(epoch from now() - interval '1 hour') * 1000000)::bigint"


class PaidSends:
    """The latest intents of paid steps that this daemon stored; the event loop notes, the writer's thread reads."""

    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[JobId, str], Step] = OrderedDict()

    def note(self, step: Step) -> None:
        """A paid call is about to be sent."""
        self._sent[step.job_id, step.name] = step
        self._sent.move_to_end((step.job_id, step.name))
        if len(self._sent) > MOST:
            self._sent.popitem(last=False)

    def withdraw(self, job_id: JobId, name: str) -> None:
        """The latest one was not charged."""
        self._sent.pop((job_id, name), None)

    def put_in_doubt(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Have the database know of all; sentences of those that it did not."""
        marked, gone = list[str](), list[str]()
        [since] = connection.execute(SINCE).fetchone() or (0,)
        for step in [step for step in list(self._sent.values()) if micros(step.at) >= since]:
            values = (step.name, step.sends, micros(step.at), step.job_id)
            if not connection.execute(KEPT, (step.job_id,)).fetchone():
                gone.append(f"{step.job_id} {step.name}")
            elif connection.execute(IN_DOUBT, values).fetchone():
                marked.append(f"{step.job_id} {step.name}")
        return [
            *_sentence(marked, "paid steps were sent whose answers it does not have; they are in doubt now"),
            *_sentence(gone, "paid steps were sent for jobs that it does not have; submitted again they cost again"),
        ]


def _sentence(steps: list[str], what: str) -> list[str]:
    more = f" and {len(steps) - SHOWN} more" if len(steps) > SHOWN else ""
    return [f"{len(steps)} {what} ({', '.join(steps[:SHOWN])}{more})"] if steps else []
