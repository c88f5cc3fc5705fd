"""The scheduler over a queue."""

import pytest

from tests.unit.daemon.automation.scheduler.scene import Box


@pytest.fixture
def box() -> Box:
    return Box()
