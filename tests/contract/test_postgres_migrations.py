"""Databases that an older version made are brought up to date, and go on where they were."""

import asyncio

import psycopg

from secondunit.queue.model import Status
from secondunit.queue.outcome import Completed
from secondunit.queue.stores import migrations
from secondunit.queue.stores.postgres.connection import STORE
from secondunit.testing.jobs import ALL, end, submit
from tests.contract.conftest import Open

NUMBERED_BY_A_ROW = 19  # the last schema that numbered jobs by the row of `numbers`
SETTLED = "update meta set value = %s where key = 'schema'"


async def test_jobs_of_a_queue_that_is_brought_up_to_date_are_numbered_from_where_it_was(
    opened: Open, url: str
) -> None:
    store = await opened()
    await end(store, "a", Completed(1))
    await submit(store, "b", "c")
    last = (await store.event_bounds())[1]
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("drop sequence job_numbers")
        other.execute("alter table boxes drop column remote, drop column rules")
        other.execute("alter table numbers add column last_job bigint not null default 3")
        other.execute(SETTLED, (str(NUMBERED_BY_A_ROW),))
    again = await opened()
    [job] = await submit(again, "d")
    assert job.seq == 4 and (await again.event_bounds())[1] == last + 1
    assert [one.id for one in (await again.find(ALL, None, 9)).jobs] == ["d", "c", "b", "a"]
    assert (await again.get("a")).status is Status.COMPLETED


async def test_a_queue_of_the_older_schema_that_is_empty_begins_with_one(opened: Open, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        for number, script in await asyncio.to_thread(migrations.pending, STORE, 0):
            if number <= NUMBERED_BY_A_ROW:
                other.execute(script.encode())
        other.execute("insert into meta values ('schema', %s)", (str(NUMBERED_BY_A_ROW),))
    [job] = await submit(await opened(), "a")
    assert job.seq == 1
