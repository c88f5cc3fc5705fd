"""What holds for every test: nothing of ours blocks an event loop."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

pytest.register_assert_rewrite("secondunit.testing")  # its assertions explain themselves as a test module's do


def pytest_configure() -> None:
    gc.disable()  # a quarter of the collection went into looking through what the imports make


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share them, file by file: slow ones first, then large ones, so that all workers end together."""
    if hasattr(config, "workerinput"):
        many = Counter(item.path for item in items)
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: (item.path not in slow, -many[item.path]))


def pytest_collection_finish() -> None:
    """The thousands of tests that were found stay to the end: nobody looks through them again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _a_blocked_loop_is_an_error() -> Iterator[None]:
    with blockbuster_ctx("secondunit") as blocking:
        for call in ("os.mkdir", "os.stat"):
            blocking.functions[call].can_block_in("secondunit/handlers/tools/storage/workspace.py", "_made")
        yield


def pytest_sessionfinish() -> None:
    """No server outlives its tests, not even where the process then ends without its exit handlers, as a fork does."""
    if servers := sys.modules.get("tests.postgres_server"):
        servers.end_all()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested here, a line for each reason: hundreds of tests may have the same."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {count}: {reason}")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The path of each file and folder that was brought to the disk, in order, under the name that it then had."""
    seen: list[str] = []

    def note(call: Callable[[int], None]) -> Callable[[int], None]:
        def noting(fd: int) -> None:
            call(fd)
            seen.append(str(Path(f"/proc/self/fd/{fd}").readlink()))

        return noting

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, note(getattr(os, name)))
    return seen
