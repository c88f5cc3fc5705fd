"""What importing the client loads: the standard library and itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOADED = "import sys, json; before = set(sys.modules); {}; print(json.dumps(sorted(set(sys.modules) - before)))"


def loaded(statement: str) -> set[str]:
    argv = [sys.executable, "-c", LOADED.format(statement)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    return set(json.loads(done.stdout))


def test_importing_it_loads_nothing_of_the_daemon_and_no_other_library() -> None:
    found = loaded("from secondunit.client import AsyncClient, Client, Receiver")
    ours = {name for name in found if name.split(".")[0] == "secondunit"}
    assert ours and {name for name in ours if not name.startswith("secondunit.client")} == {"secondunit"}
    others = {name.split(".")[0] for name in found - ours} - sys.stdlib_module_names
    assert {name for name in others if not name.startswith("_")} == set()


@pytest.mark.slow
def test_the_async_client_loads_only_its_http_client_once_it_is_opened() -> None:
    opened = (
        "import asyncio; from secondunit.client import AsyncClient; asyncio.run(AsyncClient('http://x').__aenter__())"
    )
    found = loaded(opened)
    assert "aiohttp.client" in found
    ours = {name for name in found if name.startswith("secondunit.") and not name.startswith("secondunit.client")}
    assert ours == set() and found & {"pydantic", "structlog", "msgspec", "aiosqlite", "yt_dlp"} == set()
