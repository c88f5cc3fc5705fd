import os
from pathlib import Path

import pytest

from secondunit.handlers.tools.storage.staging import staged_leases, sweep_staging


def test_the_sweep_removes_what_dead_leases_left(root: Path, tmp_path: Path) -> None:
    for lease in ("job_1-1", "job_2-5"):
        (root / ".secondunit" / lease / "1").mkdir(parents=True)
    (tmp_path / "never-used").mkdir()
    sweep_staging([root, tmp_path / "never-used"], keep={"job_2-5"})

    assert [path.name for path in (root / ".secondunit").iterdir()] == ["job_2-5"]


def test_the_sweep_does_not_follow_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "precious" / "photos" / "1").mkdir(parents=True)
    (root / ".secondunit").symlink_to(tmp_path / "precious")
    sweep_staging([root])
    assert staged_leases([root]) == set()
    (root / ".secondunit").unlink()
    (root / ".secondunit").mkdir()
    for link in ("job_1-1", "job_2-1/1"):
        (root / ".secondunit" / link).parent.mkdir(exist_ok=True)
        (root / ".secondunit" / link).symlink_to(tmp_path / "precious")
    sweep_staging([root])

    assert (tmp_path / "precious" / "photos" / "1").exists()


def test_the_sweep_leaves_alone_what_is_not_our_own(root: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    (root / ".secondunit" / "job_1-1" / "1" / "theirs").mkdir(parents=True)
    os.chown(root / ".secondunit" / "job_1-1" / "1", 65534, 65534)
    sweep_staging([root])

    assert (root / ".secondunit" / "job_1-1" / "1" / "theirs").exists()
