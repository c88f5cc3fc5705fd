"""A daemon's API on a real socket, over the reference store, with a clock that tests move."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from secondunit.daemon.dashboard.front import Dashboard
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.server import build_app
from secondunit.daemon.http.transport.connections import HttpRunner
from secondunit.daemon.http.transport.reaper import Reaper
from secondunit.daemon.http.transport.short_way import express
from tests.http.harness import ApiHarness, Build


class Server(TestServer):
    """Serves as the daemon does: a handler whose caller left is not cancelled, but has to notice."""

    def __init__(self, api: Api, front: Dashboard | None) -> None:
        super().__init__(build_app(api, front))
        self._api = api

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        options |= {"handler_cancellation": False, "lingering_time": 0.1}
        api = self._api
        self.reaper = Reaper("api", api.settings.connections, api.settings.trusted_proxies, api.clock, api.emit)
        return HttpRunner(self.app, self.reaper, api.clock, api.emit, **options)


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Opens harnesses with settings of their own, and closes them."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> ApiHarness:
            harness = ApiHarness(**settings)
            server = Server(harness.api, harness.front)
            harness.client = await stack.enter_async_context(TestClient(server, cookie_jar=aiohttp.DummyCookieJar()))
            express(cast(web.AppRunner, server.runner))
            harness.reaper = server.reaper
            stack.callback(harness.stopping.set)
            return harness

        yield opened


@pytest.fixture
async def harness(build: Build) -> ApiHarness:
    """A daemon without a key."""
    return await build()
