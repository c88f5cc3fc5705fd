"""What a PostgreSQL server does not let a daemon do is told with what helps, at its start and by doctor."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.stores.postgres.inspection import inspect
from secondunit.queue.stores.postgres.store import open_store
from tests.postgres_server import PostgresServer, rows

# What is set for the account, what happens then, and what helps.
SETTINGS = {
    "statement_timeout = '1ms'": "set statement_timeout = 0",
    "transaction_timeout = '1ms'": "set transaction_timeout = 0",
    "idle_session_timeout = '1ms'": "set idle_session_timeout = 0",
    "default_transaction_read_only = on": "target_session_attrs=read-write",
    "search_path = nowhere": "search_path names no schema",
}
IN_THE_WAY = {
    "numbers": "create table numbers (x int)",
    "numbers and meta": "create table numbers (x int); create table meta (y int)",
    "another": "create table parents (x int)",
}


@pytest.fixture
def account(server: PostgresServer) -> Iterator[str]:
    """An account that may do what everybody may."""
    server.say("postgres", "create role guest login")
    yield "guest"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        owned = "select datname from pg_database where datdba = 'guest'::regrole"
        for (name,) in connection.execute(owned).fetchall():
            connection.execute(f"drop database {name} with (force)")
        connection.execute("drop role guest")


def as_guest(url: str) -> str:
    """The same database for that account."""
    return url.replace("tester@", "guest@")


async def refusal(url: str) -> StoreBroken:
    """How the start of a daemon ends."""
    with pytest.raises(StoreBroken) as found:
        await open_store(url, patience=0.5)
    return found.value


async def looked(url: str) -> StoreBroken:
    """What doctor is told."""
    with pytest.raises(StoreBroken) as found:
        await asyncio.to_thread(inspect, url)
    return found.value


async def test_an_account_that_may_make_no_tables_is_told_what_it_needs(server: PostgresServer, account: str) -> None:
    url = as_guest(made := server.database())
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute("revoke create on schema public from public")  # as it is from PostgreSQL 15 on
    told = [await refusal(url), await looked(url)]
    assert all("schema public" in str(one) for one in told), told
    assert all(f"owner to {account.replace('guest', 'ACCOUNT')}" in one.remedy for one in told)


async def test_an_account_without_rights_on_the_tables_is_told_what_it_needs(
    server: PostgresServer, account: str
) -> None:
    url = server.database()
    await (await open_store(url)).close()
    told = [await refusal(as_guest(url)), await looked(as_guest(url))]
    assert account and all("owner to ACCOUNT" in one.remedy for one in told), told


@pytest.fixture
def slow_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two statements of a session lies more than a millisecond, on the fastest machine, too."""
    execute = psycopg.Cursor.execute

    def late(*given: Any, **named: Any) -> Any:
        time.sleep(0.005)
        return execute(*given, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", late)


@pytest.mark.usefixtures("slow_line")
@pytest.mark.parametrize("set_so", SETTINGS)
async def test_what_is_set_for_the_account_is_named(server: PostgresServer, account: str, set_so: str) -> None:
    url = server.database()
    setting = set_so.partition(" ")[0]
    if not rows(url, "select 1 from pg_settings where name = %s", (setting,)):
        pytest.skip(f"this server has no {setting}: PostgreSQL 17 or newer has")
    name = url.partition("/")[2].partition("?")[0].rpartition("/")[2]
    server.say("postgres", f"alter database {name} owner to {account}", f"alter role {account} set {set_so}")
    remedies = [(await refusal(as_guest(url))).remedy]
    while SETTINGS[set_so] not in remedies[-1] and len(remedies) < 20:  # a server that hangs up is not always heard out
        remedies.append((await refusal(as_guest(url))).remedy)
    assert SETTINGS[set_so] in remedies[-1], remedies


@pytest.mark.parametrize("kind", ["search_path = nowhere", "default_transaction_read_only = on"])
async def test_doctor_does_not_promise_tables_that_the_account_cant_make(
    server: PostgresServer, account: str, kind: str
) -> None:
    url = server.database()
    server.say("postgres", f"alter role {account} set {kind}")
    assert SETTINGS[kind] in (await looked(as_guest(url))).remedy


@pytest.mark.parametrize("kind", IN_THE_WAY)
async def test_tables_of_others_that_are_in_the_way_are_named(server: PostgresServer, kind: str) -> None:
    url = server.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(IN_THE_WAY[kind])
    assert "a database of its own" in (await refusal(url)).remedy


async def test_who_finds_no_connection_left_is_told_how_many_a_daemon_has(server: PostgresServer, account: str) -> None:
    url = server.database()
    server.say("postgres", f"alter role {account} connection limit 0")
    assert "five for each daemon" in (await refusal(as_guest(url))).remedy


async def test_a_word_of_the_url_that_the_driver_does_not_know_is_told(server: PostgresServer) -> None:
    told = await refusal(f"{server.database()}&pool_size=3")
    assert "pool_size" in str(told) and "sslmode" in told.remedy
