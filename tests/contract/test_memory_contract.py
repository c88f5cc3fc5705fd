"""The reference store keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from secondunit.queue.store import Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        yield store
        await store.close()
