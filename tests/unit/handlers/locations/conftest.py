"""Journeys for tests of locations, each in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.handlers.locations.journey import Journey, made


@pytest.fixture
def journey(tmp_path: Path) -> Callable[..., Journey]:
    def make(*script: str | BaseException, **options: Any) -> Journey:
        return made(tmp_path, *script, **options)

    return make
