"""What holds for every test: nothing of ours blocks an event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(scope="session", autouse=True)
def _a_blocked_loop_is_an_error() -> Iterator[None]:
    with blockbuster_ctx("secondunit") as blocking:
        for call in ("os.mkdir", "os.stat"):
            blocking.functions[call].can_block_in("secondunit/handlers/tools/storage/workspace.py", "_made")
        yield
