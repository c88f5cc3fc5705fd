"""What a daemon's start brings into memory, and what it leaves out."""

import gc
import importlib
import subprocess
import sys

import pytest

from secondunit.daemon.hidden_modules import unseen
from secondunit.daemon.process import garbage_collector as garbage

UNUSED = (
    "click",
    "rich",
    "greenlet",
    "PIL",
    "google.genai",
    "yt_dlp",
    "geopy",
    "obstore",
    "playwright",
    "swagger_ui_bundle",
    "limits",
    "brotli",
    "frozenlist._frozenlist",
)
LATER = ("aiohttp", "prometheus_client", "aiosqlite", "secondunit.queue.service", "secondunit.daemon.app")
START = f"""
import sys
from secondunit.daemon.hidden_modules import HTTP, LOGGING, unseen
with unseen(*LOGGING):
    import secondunit.daemon.main
    print([name for name in {LATER!r} if name in sys.modules])
with unseen(*HTTP):
    import aiohttp
import secondunit.daemon.app
from secondunit.daemon.config.sources import ours
for source in ours():
    source.load()
print([name for name in {UNUSED!r} if name in sys.modules])
import rich
"""


@pytest.mark.slow
def test_a_start_imports_nothing_that_only_some_work_needs_and_asks_the_machine_before_most_of_it() -> None:
    told = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "[]\n[]\n"


def test_what_is_there_at_the_start_is_looked_at_no_more() -> None:
    before = gc.get_threshold()
    kept: list[list[int]] = [[] for _ in range(3)]
    gc.disable()
    try:
        garbage.settle()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert not any(one is kept for one in gc.get_objects())
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(*before)


def test_what_is_unseen_can_be_imported_afterwards_and_what_is_there_already_stays() -> None:
    with unseen("wave", "gc"):
        with pytest.raises(ImportError):
            importlib.import_module("wave")
        assert importlib.import_module("gc") is gc
    assert importlib.import_module("wave") is sys.modules["wave"]
