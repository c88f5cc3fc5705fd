"""What the program beside the browser decides, without a browser."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the extra browser is not installed")
from secondunit.handlers.tools.fetching.browser import child as browser_child


def answer(status: int, kind: str) -> Any:
    return SimpleNamespace(status=status, headers={"content-type": kind, "retry-after": "7"})


@pytest.mark.parametrize(
    ("status", "kind", "ends"),
    [
        (200, "text/plain", False),
        (403, "text/html; charset=utf-8", False),
        (403, "text/plain; charset=utf-8", True),
        (404, "text/html", True),
    ],
)
def test_only_a_refusal_with_scripts_is_waited_for(status: int, kind: str, ends: bool) -> None:
    fault = {"type": "status", "message": str(status), "retry_after": "7"}
    found = browser_child.refused(answer(status, kind), browser_child.MAY_PASS)
    assert found == ({"fault": fault} if ends else None)


def test_cookies_are_set_for_every_path_of_the_host() -> None:
    assert browser_child.cookies("https://site.example", "...; a=b; c=d=e") == [
        {"name": "a", "value": "b", "url": "https://site.example/"},
        {"name": "c", "value": "d=e", "url": "https://site.example/"},
    ]


async def test_busy_frames_do_not_prolong_the_wait() -> None:
    async def busy(_: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    context: Any = SimpleNamespace(pages=[SimpleNamespace(frames=[SimpleNamespace(evaluate=busy)] * 1000)])
    watch: Any = SimpleNamespace(download=asyncio.get_running_loop().create_future())
    async with asyncio.timeout(30):
        await browser_child.wait({"waits": 0.05}, context, watch)
    assert not watch.download.done() and len(asyncio.all_tasks()) == 1, (
        "what was asked of the frames is not left behind"
    )
