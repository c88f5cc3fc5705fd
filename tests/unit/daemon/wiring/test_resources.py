"""What the daemon's parts stand on: also where an installation is just being replaced."""

from importlib.metadata import version
from pathlib import Path

import pytest

from secondunit.daemon.wiring.resources import UNREADABLE, VERSION, installed_version


def test_a_daemon_knows_its_version() -> None:
    assert version("secondunit") == VERSION


@pytest.mark.parametrize("metadata", [None, "", "Metadata-Version: 2.1\nName: half-there\n"])
def test_a_version_that_can_not_be_read_just_now_is_a_word_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str | None
) -> None:
    info = tmp_path / "half_there-1.0.dist-info"
    info.mkdir()
    if metadata is not None:
        (info / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_version("half-there") == UNREADABLE
    assert installed_version("not-there-at-all") == UNREADABLE
