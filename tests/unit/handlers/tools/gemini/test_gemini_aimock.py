"""The questions for a recipe, by Google's client, to a stand-in that others wrote: npm's @copilotkit/aimock."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from secondunit.daemon.wiring.caches import CachedSpending
from secondunit.handlers.analyze.extraction import ExtractedRecipe, FilmExcerpt, ask_for_recipe
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.responses import Usage
from secondunit.handlers.tools.gemini.transport import GoogleTransport
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import SteadyRandom
from tests.ports import free_port

pytestmark = pytest.mark.slow
NODE = Path(__file__).parents[4] / "node"
FIXTURES = Path(__file__).parent / "aimock.json"
JPEG = bytes.fromhex("ffd8ffe0") + b"a picture"


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    """The base URL of a server of its own."""
    program = NODE / "node_modules" / ".bin" / "llmock"
    if not program.exists():
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(argv, cwd=NODE, check=True, timeout=50, capture_output=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"NO INDEPENDENT GEMINI: npm ci failed: {getattr(error, 'stderr', None) or error}")
    port = free_port()
    argv = [shutil.which("node") or "node", str(program), "-p", str(port), "-f", str(FIXTURES), "--log-level", "silent"]
    with subprocess.Popen(argv) as server:
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while True:
        assert server.poll() is None, "it does not start"
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)


@pytest.fixture
async def talk(aimock: str, tmp_path: Path) -> AsyncIterator[Any]:
    """Asks for the recipe of a film with this title; what came of it, and the run."""
    clock, made = ManualClock(), []

    async def ask(title: str, limit: float = 20) -> tuple[ExtractedRecipe, FakeContext]:
        transport = GoogleTransport("key", "gemini-2.5-flash", clock, base_url=aimock, limit=timedelta(seconds=limit))
        spending = CachedSpending(MemoryStore().cache)
        made.append(Gemini(transport, "gemini-2.5-flash", clock=clock, random=SteadyRandom(), spending=spending))
        picture = tmp_path / "frame.jpg"
        await asyncio.to_thread(picture.write_bytes, JPEG)
        ctx = await FakeContext.open(tmp_path / title)
        film = FilmExcerpt({"title": title, "duration": 12.0}, [(1.0, picture), (5.0, picture)])
        return await ask_for_recipe(made[-1], clock, ctx, film, None), ctx

    yield ask
    for gemini in made:
        await gemini.close()


async def test_a_structured_answer(talk: Any, aimock: str) -> None:
    found, ctx = await talk("a soup")
    assert found.recipe["name"] == "Soup"
    assert found.recipe["ingredients"] == [{"name": "water", "amount": 0.5, "unit": "l"}]
    assert (found.usage, ctx.ran) == (Usage(900, 60, 0, 960), ["gemini"])
    async with ClientSession() as session, session.get(f"{aimock}/__aimock/journal") as response:
        asked = await response.json()
    assert asked[-1]["path"] == "/v1beta/models/gemini-2.5-flash:generateContent"


async def test_a_rate_limit_with_a_delay(talk: Any) -> None:
    with pytest.raises(Postponed) as caught:
        await talk("too many")
    assert caught.value.delay == timedelta(seconds=7)


async def test_a_failure(talk: Any) -> None:
    with pytest.raises(Transient) as caught:
        await talk("a failure")
    assert type(caught.value) is Transient and caught.value.type == "gemini_unavailable"


@pytest.mark.parametrize(
    ("title", "type"), [("a fight", "blocked"), ("a long one", "answer_too_long"), ("half a recipe", "bad_answer")]
)
async def test_answers_without_a_recipe(talk: Any, title: str, type: str) -> None:
    with pytest.raises(Deterministic) as caught:
        await talk(title)
    assert caught.value.type == type


async def test_garbage_with_status_200(talk: Any) -> None:
    with pytest.raises(Deterministic) as caught:
        await talk("garbage")
    assert caught.value.type == "bad_answer"


@pytest.mark.parametrize(("title", "limit"), [("a broken line", 20), ("a silence", 0.5)])
async def test_no_answer(talk: Any, title: str, limit: float) -> None:
    with pytest.raises(Unanswered):
        await talk(title, limit)
