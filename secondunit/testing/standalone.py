"""Standalone runner of a stand-in, as a program of its own."""

import argparse
import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager


def serve_standalone(about: str | None, serving: Callable[[int], AbstractAsyncContextManager[str]], says: str) -> None:
    """Serve on the `--port` that is asked for until interrupted; `says` has a place for the URL."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(serving, parser.parse_args().port, says))


async def _serve(serving: Callable[[int], AbstractAsyncContextManager[str]], port: int, says: str) -> None:
    async with serving(port) as url:
        print(says.format(url=url), flush=True)  # noqa: T201
        await asyncio.Event().wait()
