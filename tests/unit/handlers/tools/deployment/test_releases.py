"""The folder of releases and its links."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondunit.handlers.tools.deployment.releases import Releases

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
READS, SWITCHES = 3000, 300
# A process of its own, so that it reads in the very moments of a switch.
READER = """
import os, sys
misses = reads = 0
pages = set()
while reads < int(sys.argv[1]) or not os.path.exists("enough"):
    reads += 1
    try:
        with open("current/page") as page:
            pages.add(page.read())
    except OSError:
        misses += 1
print(misses, reads, *sorted(pages))
"""


def made(releases: Releases, second: int) -> Path:
    unfinished = releases.begin(NOW + timedelta(seconds=second), COMMIT)
    (unfinished / "page").write_text(str(second))
    return releases.finish(unfinished)


def test_a_release_has_its_name_only_once_it_is_finished(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    unfinished = releases.begin(NOW, COMMIT)
    assert unfinished.name == "20300101T000000Z-0123456789ab.tmp"
    assert releases.finish(unfinished).name == "20300101T000000Z-0123456789ab"
    assert not unfinished.exists()


def test_a_second_build_within_a_second_gets_a_name_of_its_own(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    assert len({made(releases, 0).name for _ in range(3)}) == 3


def test_the_release_that_is_served_and_the_last_that_worked_are_never_removed(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    old, worked, *others = [made(releases, second) for second in range(6)]
    releases.healthy(worked)
    releases.serve(old)
    releases.prune(1)
    assert {path for path in (old, worked, *others) if path.exists()} == {old, worked, others[-1]}


def test_what_is_no_release_of_ours_stays(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    made(releases, 0)
    notes, upload = tmp_path / "releases" / "notes", tmp_path / "releases" / "upload.tmp"
    notes.mkdir()
    upload.mkdir()
    releases.begin(NOW, COMMIT)
    releases.prune(1)
    assert notes.is_dir() and upload.is_dir()


def test_a_link_that_a_crash_left_half_made_does_not_stop_the_next_one(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    release = made(releases, 0)
    (tmp_path / ".current.tmp").symlink_to("nowhere")
    releases.serve(release)
    assert str((tmp_path / "current").readlink()) == f"releases/{release.name}"


def test_readers_never_miss_while_releases_are_switched(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    pair = [made(releases, second) for second in range(2)]
    releases.serve(pair[0])
    reader = subprocess.Popen([sys.executable, "-S", "-c", READER, str(READS)], cwd=tmp_path, stdout=subprocess.PIPE)
    switches = 0
    while reader.poll() is None or switches < SWITCHES:
        releases.serve(pair[switches % 2])
        switches += 1
        if switches == SWITCHES:
            (tmp_path / "enough").touch()
    output, _ = reader.communicate()
    misses, reads, *pages = output.decode().split()
    assert int(misses) == 0 and int(reads) >= READS and pages == ["0", "1"]
