"""What of a commit's archive is taken, and what no honest commit holds; made by hand, as no git would make it."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from secondunit.handlers.tools.deployment.archive_child import UnsafeTree, extract

Member = tuple[str, bytes, int, str, bytes]


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> Member:
    return name, tarfile.REGTYPE, mode, "", content


def folder(name: str) -> Member:
    return name, tarfile.DIRTYPE, 0o755, "", b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    return name, kind, 0o777, target, b""


Extract = Callable[..., Path]


@pytest.fixture
def extracted(tmp_path: Path) -> Extract:
    """Extract an archive of these members; the folder."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")

    def make(*members: Member) -> Path:
        with tarfile.open(tmp_path / "commit.tar", "w") as tar:
            for name, kind, mode, target, content in members:
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.linkname, member.size = kind, mode, target, len(content)
                tar.addfile(member, io.BytesIO(content))
        home = tmp_path / "release"
        home.mkdir()
        extract(tmp_path / "commit.tar", home)
        return home

    return make


def test_files_folders_and_links_stand_as_they_were_committed(extracted: Extract) -> None:
    home = extracted(
        folder("src/"),
        file("src/a.txt", b"content"),
        file("run", b"#!", 0o755),
        link("src/up", "../run"),
        folder("empty/"),
    )
    assert (home / "src" / "a.txt").read_bytes() == b"content"
    assert (home / "src" / "up").readlink() == Path("../run") and (home / "src" / "up").read_bytes() == b"#!"
    assert (home / "empty").is_dir()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_are_those_of_a_web_root_whatever_was_committed_and_whoever_runs(extracted: Extract, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = extracted(file("plain", mode=0o600), file("program", mode=0o6711), file("others", mode=0o645))
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in home.iterdir()}
    assert modes == {"plain": 0o644, "program": 0o755, "others": 0o644}


@pytest.mark.parametrize("name", ["../outside/new", "a/../../outside/new", "/etc/new", "..", "a/.."])
def test_a_name_that_leads_out_is_refused(extracted: Extract, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeTree) as refused:
        extracted(file(name))
    assert repr(name) in str(refused.value)
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["precious"]


@pytest.mark.parametrize(
    "members",
    [
        [link("out", "../outside"), file("out/precious", b"gone")],
        [file("out/precious", b"gone"), link("out", "../outside")],
        [link("out", "../outside/precious"), file("out", b"gone")],
        [file("a"), file("a")],
        [file("a"), file("a/b")],
        [link("a", "b"), link("a", "c")],
    ],
    ids=["through a link", "a link over a folder", "onto a link", "twice", "a file as a folder", "two links"],
)
def test_what_stands_in_a_commit_twice_is_refused_and_writes_nowhere_else(
    extracted: Extract, tmp_path: Path, members: list[Member]
) -> None:
    with pytest.raises(UnsafeTree, match="twice"):
        extracted(*members)
    assert (tmp_path / "outside" / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "target"),
    [("l", "/etc/passwd"), ("l", ".."), ("a/b/l", "../../.."), ("l", "../outside/precious"), ("l", "a/../../outside")],
)
def test_a_link_that_leads_out_is_refused_by_name_and_target(extracted: Extract, name: str, target: str) -> None:
    with pytest.raises(UnsafeTree, match="leads out") as refused:
        extracted(folder("a/b"), link(name, target))
    assert name in str(refused.value) and target in str(refused.value)


def test_links_that_only_together_lead_out_are_refused(extracted: Extract) -> None:
    with pytest.raises(UnsafeTree, match="leads out"):
        extracted(link("a/here", "."), link("b", "a/here/../../outside"))


@pytest.mark.parametrize("target", ["nowhere", "l", "a/l2"])
def test_a_link_to_nothing_within_the_repository_stays(extracted: Extract, target: str) -> None:
    home = extracted(link("l", target))
    assert (home / "l").readlink() == Path(target)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_what_is_no_file_folder_or_symbolic_link_is_refused(extracted: Extract, kind: bytes) -> None:
    with pytest.raises(UnsafeTree, match="odd is neither"):
        extracted(file("a"), link("odd", "a", kind))
