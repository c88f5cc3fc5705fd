"""What holds for every test: nothing of ours blocks an event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(scope="session", autouse=True)
def _a_blocked_loop_is_an_error() -> Iterator[None]:
    with blockbuster_ctx("secondunit"):
        yield
