"""No root reaches the daemon's own files, neither by its name nor through a link or a mount."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondunit.daemon.config.media_root_guard import misplaced


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A box whose DATA_DIR is `var/data`."""
    for name in ("var/data/media/films", "var/data/work", "var/db", "srv/media"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def faults(box: Path, *roots: Path, database: str = "var/data/queue.db") -> list[str]:
    data = box / "var" / "data"
    return list(misplaced(roots, data, data / "media", box / database))


def test_its_media_folder_and_what_lies_elsewhere_may_be_roots(box: Path) -> None:
    data = box / "var" / "data"
    assert faults(box, data / "media", data / "media" / "films", box / "srv" / "media", box / "var" / "db") == []
    assert faults(box, box / "not-there") == [], "that is told when it is opened"


@pytest.mark.parametrize("link", [False, True], ids=["by its name", "through a link"])
def test_a_root_that_contains_data_dir_or_lies_in_it_is_refused(box: Path, link: bool) -> None:
    for name, said in {
        "var": "contains DATA_DIR",
        "var/data": "contains DATA_DIR",
        ".": "contains DATA_DIR",
        "var/data/work": "lies in DATA_DIR",
        "var/data/media/..": "contains DATA_DIR",
    }.items():
        root = box / name
        if link:
            (box / "srv" / "link").unlink(missing_ok=True)
            (box / "srv" / "link").symlink_to(root)
            root = box / "srv" / "link"
        [fault] = faults(box, root)
        assert said in fault and fault.startswith(f"MEDIA_ROOTS: {root} "), name
        assert f"name {box}/var/data/media" in fault, "what to do"


def test_a_root_that_contains_the_database_is_refused(box: Path) -> None:
    [fault] = faults(box, box / "srv" / "media", database="srv/media/queue.db")
    assert "QUEUE_URL" in fault
    assert faults(box, box / "srv" / "media", database="srv/queue.db") == []


def test_a_media_folder_that_is_a_link_into_data_dir_is_refused(box: Path) -> None:
    data = box / "var" / "data"
    (data / "media" / "films").rmdir()
    (data / "media").rmdir()
    (data / "media").symlink_to("..")
    [fault] = faults(box, data / "media")
    assert "contains DATA_DIR" in fault


PACKAGE = Path(misplaced.__code__.co_filename).parents[2]  # also where a copy of it is tried
LOOK = """
import sys
from pathlib import Path
from secondunit.daemon.config.media_root_guard import misplaced
root, data = map(Path, sys.argv[1:])
print(*misplaced([root], data, data / "media", data / "queue.db"))
"""


@pytest.mark.parametrize(
    ("mounts", "root", "data", "said"),
    [
        ("mount --bind var srv/media", "srv/media", "var/data", "contains DATA_DIR"),
        ("mount --bind var/data srv/media", "var", "srv/media", "contains DATA_DIR"),
        ("mount --bind var/data/work srv/media", "srv/media", "var/data", "lies in DATA_DIR"),
        ("mount --bind var/data/media srv/media", "srv/media", "var/data", ""),
        ("mount -t tmpfs none var/data", "var", "var/data", "contains DATA_DIR"),
        ("mkdir 'srv/a b' && mount --bind var 'srv/a b'", "srv/a b/data/work", "var/data", "lies in DATA_DIR"),
    ],
)
async def test_mounts_hide_nothing(box: Path, mounts: str, root: str, data: str, said: str) -> None:
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = f'cd "$1" && {mounts} && exec "$0" -c "$2" "$1/{root}" "$1/{data}"'
    ran = await asyncio.to_thread(
        subprocess.run,
        [*namespace, script, sys.executable, str(box), LOOK],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    if ran.returncode and "unshare" in ran.stderr:
        pytest.skip("needs a mount namespace")
    assert ran.returncode == 0 and (said in ran.stdout if said else not ran.stdout.strip()), ran
