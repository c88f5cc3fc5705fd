"""Every table that a store's migrations make goes along with a move, or is left behind for a reason."""

import re
import sqlite3
from contextlib import closing
from importlib import resources

import pytest

from secondunit.queue.stores import migrations
from secondunit.queue.stores.moving.tables import MOVED, NOT_MOVED
from secondunit.queue.stores.sqlite import connection as sqlite_connection

OF_SQLITE = ("sqlite_sequence", "sqlite_stat1")
POSTGRES = "secondunit.queue.stores.postgres"


def sqlite_tables() -> dict[str, set[str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        sqlite_connection.migrate(database)
        named = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        return {
            name: {row[1] for row in database.execute(f"pragma table_info({name})")}
            for name in named
            if name not in OF_SQLITE
        }


def postgres_tables() -> set[str]:
    scripts = "".join(text for _, text in migrations.pending(POSTGRES, 0))
    made = set(re.findall(r"create table (?:if not exists )?(\w+)", scripts))
    return made - set(re.findall(r"drop table (?:if exists )?(\w+)", scripts))


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_move_leaves_no_table_behind_without_a_reason(store: str) -> None:
    there = set(sqlite_tables()) if store == "sqlite" else postgres_tables()
    moved = {table.name for table in MOVED}
    assert moved <= there, "a table is moved that no migration makes"
    assert there <= moved | NOT_MOVED.keys(), "say in stores/moving/tables.py how it is moved, or why it is not"
    assert not moved & NOT_MOVED.keys() and all(NOT_MOVED.values())


def test_a_move_leaves_no_column_behind() -> None:
    there = sqlite_tables()
    for table in MOVED:
        assert set(table.columns) == there[table.name], table.name
        assert len(set(table.columns)) == len(table.columns) and set(table.key) <= set(table.columns), table.name


def test_what_the_second_store_has_is_read_from_its_migrations() -> None:
    assert {"jobs", "leases", "numbers"} <= postgres_tables()
    assert [*resources.files(POSTGRES).joinpath("migrations").iterdir()]
