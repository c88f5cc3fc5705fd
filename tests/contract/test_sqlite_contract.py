"""The SQLite store keeps the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(tmp_path / "queue.db")
        yield store
        await store.close()
