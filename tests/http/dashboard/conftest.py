"""Browsers on daemons of their own."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.http.dashboard.browser import Browser

Visit = Callable[..., Awaitable[Browser]]


@pytest.fixture
def visit(build: Any) -> Visit:
    """Opens a browser on a daemon of its own."""

    async def opened(language: str = "en", **settings: Any) -> Browser:
        return Browser(await build(pages=True, **settings), language)

    return opened
