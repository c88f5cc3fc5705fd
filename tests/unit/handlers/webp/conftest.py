"""The webp job over a temporary root."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.webp import handler as webp
from secondunit.queue.handler import HandlerSpec
from secondunit.testing.clock import ManualClock
from tests.unit.handlers.webp.made import Converter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture
def spec(root: Path) -> Iterator[HandlerSpec]:
    files = LocalFiles([root])
    yield webp.build(
        Tools(
            clock=ManualClock(),
            programs=ProcessRunner(sys.executable, sandbox=available()),
            files=files,
            media=MediaMissing("not needed"),
            python=sys.executable,
        )
    )
    files.close()


@pytest.fixture
async def convert(spec: HandlerSpec, root: Path) -> AsyncIterator[Converter]:
    yield Converter(spec, root)
    assert list((root / ".secondunit").glob("*")) == []
