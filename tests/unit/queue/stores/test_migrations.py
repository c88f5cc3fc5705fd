"""Migration scripts: each database gets those that it has not seen, in order, and a newer one none."""

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.stores import migrations

STORES = ("secondunit.queue.stores.sqlite", "secondunit.queue.stores.postgres")


@pytest.mark.parametrize("store", STORES)
def test_a_new_database_gets_all_and_one_that_is_up_to_date_none(store: str) -> None:
    numbers = [number for number, script in migrations.pending(store, 0) if script.strip()]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1 and numbers[-1] == migrations.newest(store)
    assert [number for number, _ in migrations.pending(store, numbers[-1] - 1)] == numbers[-1:]
    assert migrations.pending(store, numbers[-1]) == []


@pytest.mark.parametrize("store", STORES)
def test_a_newer_programs_database_is_refused(store: str) -> None:
    with pytest.raises(StoreBroken, match="newer version; install that one again"):
        migrations.pending(store, migrations.newest(store) + 1)
