"""PostgreSQL stores, several on one database, each as another daemon would open it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from secondunit.queue.stores.postgres.store import PostgresStore, open_store
from tests.postgres_server import PostgresServer, shared_server

Open = Callable[..., Awaitable[PostgresStore]]


@pytest.fixture
def server() -> PostgresServer:
    return shared_server()


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.database()


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Open]:
    """Opens stores on one database, each as another daemon would."""
    async with AsyncExitStack() as stack:

        async def open_one(at: str = url, **options: Any) -> PostgresStore:
            store = await open_store(at, **options)
            stack.push_async_callback(store.close)
            return store

        yield open_one
