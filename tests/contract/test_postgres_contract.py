"""The PostgreSQL store keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from secondunit.queue.store import Store
from secondunit.testing.store_contract import StoreContract
from tests.postgres_server import shared_server


class TestPostgresStore(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        server = shared_server()
        from secondunit.queue.stores.postgres.store import open_store

        store = await open_store(server.emptied())
        yield store
        await store.close()
