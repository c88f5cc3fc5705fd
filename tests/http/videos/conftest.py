"""A daemon whose maps are made by a stand-in."""

from typing import Any

import pytest

from tests.http.videos.guide import Guide


@pytest.fixture
async def guide(build: Any) -> Guide:
    guide = Guide()
    guide.harness = await build(specs=[guide.spec])
    return guide
