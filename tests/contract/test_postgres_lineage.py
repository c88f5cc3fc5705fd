"""A PostgreSQL database that goes back to an earlier state: who had seen more ends, and no number is used twice."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from secondunit.daemon.config.settings import Database
from secondunit.daemon.wiring.database import store_of
from secondunit.queue import state
from secondunit.queue.errors import LeaseLost, StoreBroken
from secondunit.queue.model import Change
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.testing.jobs import ALL, NOW, by, claim, listened, start, submit
from tests.contract.conftest import Open
from tests.postgres_server import PostgresServer, rows

END = """
select pg_terminate_backend(pid)
from pg_stat_activity
where datname = '{}' and pid <> pg_backend_pid() and application_name like '{}'"""
GENERATION = "select value from meta where key = 'generation'"


def end_sessions(url: str, of: str = "%%") -> None:
    rows(url, END.format(name_of(url), of))


def name_of(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def copied(server: PostgresServer, url: str) -> str:
    """The URL of a copy of this database."""
    copy = f"{name_of(url)}_then"
    for _ in range(100):
        with suppress(psycopg.errors.ObjectInUse):
            server.say("postgres", END.format(name_of(url), "%"), f"create database {copy} template {name_of(url)}")
            return server.url(copy)
        time.sleep(0.02)
    raise AssertionError


def remembered(server: PostgresServer, url: str) -> Callable[[], None]:
    """What takes the database back to how it is now, as a failover to a standby does that has heard no more."""
    name = name_of(url)
    copied(server, url)
    return lambda: server.say(
        "postgres", f"drop database {name} with (force)", f"alter database {name}_then rename to {name}"
    )


async def ended(store: PostgresStore, saying: str = "went back to an earlier state") -> None:
    with pytest.raises(StoreBroken, match=saying):
        await submit(store, "too late")


async def test_who_lost_what_was_acknowledged_ends_and_nothing_that_was_given_out_is_given_out_again(
    opened: Open, server: PostgresServer, url: str
) -> None:
    a = await opened()
    await submit(a, "x")
    go_back = remembered(server, url)
    [job] = await claim(a)
    assert (job.id, job.epoch) == ("x", 1)
    go_back()
    await ended(a)
    b = await opened()
    assert b.generation != a.generation and [event.seq for event in await b.events(0, ALL, 9)] == [1]
    [again] = await claim(b)
    assert (again.id, again.attempt) == ("x", 1) and again.epoch > 2**32


@pytest.mark.parametrize(
    "lost",
    [
        "delete from events; update numbers set last_event = last_event - 1",
        "delete from events where seq = (select last_event from numbers)",
        "update events set at = at + 1 where seq = (select last_event from numbers)",
    ],
    ids=["fewer events", "an event that is missing", "another event under its number"],
)
async def test_who_told_of_others_events_that_are_lost_ends(opened: Open, url: str, lost: str) -> None:
    a, b = await opened(), await opened(f"{url}&application_name=other")
    heard = listened(a)
    await submit(b, "x", "y")
    while len(heard) < 2:
        await asyncio.sleep(0.05)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(lost)
    end_sessions(url, of="secondunit")
    await ended(a)
    [[generation]] = rows(url, GENERATION)
    assert generation != a.generation


async def test_a_server_that_was_away_and_lost_nothing_changes_nothing(opened: Open, url: str) -> None:
    a = await opened()
    await submit(a, "x")
    end_sessions(url)
    await submit(a, "y")
    rows(url, "with gone as (delete from events returning 1) update numbers set events_floor = last_event returning 1")
    end_sessions(url)
    await submit(a, "z")
    [[generation]] = rows(url, GENERATION)
    assert generation == a.generation and [event.seq for event in await a.events(0, ALL, 9)] == [3]


async def test_one_that_finds_the_loss_ends_all_before_they_write(opened: Open, url: str) -> None:
    a, b = await opened(f"{url}&application_name=loser"), await opened()
    lease = await start(b, "held", boot="b/1", type="webp")
    for n in range(9):  # so that it is the one with the most operations
        await submit(a, f"x{n}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update writers set op = op - 1 where op = (select max(op) from writers)")
    end_sessions(url, of="loser")
    await ended(a)
    with pytest.raises(LeaseLost):
        await b.change("held", by(state.progress, 0.5, "", None, NOW), lease=lease)
    await ended(b)
    c = await opened()
    assert c.generation not in (a.generation, b.generation)
    assert await c.extend([lease], NOW, NOW) == {}, "a token of before is good for nothing"


async def test_paid_sends_that_the_database_has_forgotten_are_in_doubt_in_it(
    opened: Open, server: PostgresServer, url: str
) -> None:
    a = await opened()
    await submit(a, "x")
    go_back = remembered(server, url)
    lease = (await claim(a))[0].lease
    assert lease
    for name in ("asked", "answered", "refused"):
        await a.steps.intend(lease, name, NOW)
    await a.steps.finish(lease, "answered", {"n": 1}, Change, NOW)
    await a.steps.forget(lease, "refused")
    gone = await start(a, "gone")
    await a.steps.intend(gone, "asked", NOW)
    go_back()
    await ended(a, r"2 paid steps were sent whose .* \(x asked, x answered\); 1 paid steps .* \(gone asked\)")
    b = await opened()
    assert [(step.name, step.done, step.sends) for step in await b.steps.of_job("x")] == [
        ("answered", False, 1),
        ("asked", False, 1),
    ]


async def test_no_job_is_charged_with_the_end_of_its_daemon_then(opened: Open, url: str) -> None:
    a = await opened()
    for name, boot in (("x", "lan/a/1"), ("y", "lan/a/1"), ("z", "b/1")):
        await start(a, name, boot=boot)
    rows(url, "update writers set op = op - 1 returning 1")
    end_sessions(url)
    await ended(a)
    b = await opened()
    assert [await b.was_stopping(boot) for boot in ("lan/a/1", "b/1", "b/2")] == [True, True, False]


async def stumbles_over_the_loss(url: str, folder: Path) -> None:
    """What a part of a daemon makes of a database that went back."""
    async with store_of(Database(folder / "queue", server=url)) as store:
        await submit(store, "x")
        rows(url, "update writers set op = op - 1 returning 1")
        end_sessions(url)
        raise KeyError("something that was there")


async def test_whoever_stumbles_over_what_is_lost_ends_of_the_loss(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="went back"):
        await stumbles_over_the_loss(url, tmp_path)


async def test_a_copy_begins_anew_once_and_the_original_goes_on(opened: Open, server: PostgresServer, url: str) -> None:
    a = await opened()
    lease = await start(a, "x")
    there = copied(server, url)
    b, c = await opened(there), await opened(there)
    assert b.generation == c.generation != a.generation
    assert (await c.get("x")).epoch == lease.epoch + 2**32
    again = await opened()
    assert again.generation == a.generation and (await again.get("x")).epoch == lease.epoch


async def test_a_daemon_that_has_been_up_for_months_is_known_all_the_same(opened: Open, url: str) -> None:
    a = await opened()
    rows(url, "update writers set opened_at = now() - interval '90 days' returning 1")
    await submit(a, "x")
    await opened()
    await submit(a, "y")
