"""Random histories, applied to the reference store and to another: whatever one answers, the other answers too."""

import pytest
from hypothesis import settings

from secondunit.queue.store import Store
from tests.postgres_server import shared_server
from tests.property.both_stores import QUICK, Stores


class TestStoresAgree(Stores.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    settings = QUICK


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestStoresAgreeInManyHistories(Stores.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(QUICK, max_examples=20, derandomize=False)


class PostgresStores(Stores):
    """The reference and PostgreSQL."""

    async def opened(self) -> Store:
        from secondunit.queue.stores.postgres.store import open_store as open_postgres

        return await open_postgres(shared_server().emptied())


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestPostgresAgrees(PostgresStores.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(QUICK, max_examples=6)
