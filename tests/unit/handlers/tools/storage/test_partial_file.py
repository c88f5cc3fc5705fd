"""A file in the middle of its download: a later run goes on only with bytes that it can trust."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.programs.ports import unwatched
from secondunit.handlers.tools.storage import partial_file
from secondunit.handlers.tools.storage.partial_file import STRONG_ETAG, Origin, PartialFile

URL = "https://films.test/a.mp4"
ORIGIN = Origin(URL, '"v1"', 10, "video/mp4")


@contextmanager
def opened(folder: Path) -> Iterator[PartialFile]:
    part = PartialFile(folder, "film")
    try:
        yield part
    finally:
        part.close()


def begun(folder: Path, origin: Origin = ORIGIN, content: bytes = b"12345") -> None:
    with opened(folder) as part:
        part.begin(origin)
        part.write(content)


def test_a_later_run_goes_on_where_the_first_stopped_with_the_digest_of_the_whole(tmp_path: Path) -> None:
    begun(tmp_path)
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) == ORIGIN and part.have == 5
        part.write(b"67890")
        assert part.sha256 == hashlib.sha256(b"1234567890").hexdigest()
    assert (tmp_path / "film.part").read_bytes() == b"1234567890"


@pytest.mark.parametrize("content", [b"", b"12345678901"], ids=["nothing came", "more than there is"])
def test_a_part_that_can_not_be_of_this_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    begun(tmp_path, content=content)
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) is None and part.have == 0
        part.write(b"x")
    assert (tmp_path / "film.part").read_bytes() == b"x" and not (tmp_path / "film.json").exists()


def test_a_file_of_unknown_length_may_be_gone_on_with(tmp_path: Path) -> None:
    begun(tmp_path, replace(ORIGIN, length=None))
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) == replace(ORIGIN, length=None)


def test_another_address_is_another_file(tmp_path: Path) -> None:
    begun(tmp_path)
    with opened(tmp_path) as part:
        assert part.resume(URL + "?b", unwatched) is None and part.have == 0


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "null", '{"origin": {}}', '{"boot": "x"}', '{"origin": {"odd": 1}, "boot": "x"}']
)
def test_a_note_that_can_not_be_read_is_no_note(tmp_path: Path, note: str) -> None:
    begun(tmp_path)
    (tmp_path / "film.json").write_text(note)
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) is None


def test_what_an_earlier_life_of_the_machine_left_is_not_trusted(tmp_path: Path) -> None:
    begun(tmp_path)
    note = json.loads((tmp_path / "film.json").read_text())
    (tmp_path / "film.json").write_text(json.dumps(note | {"boot": "an earlier one"}))
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) is None and part.have == 0


def test_what_was_begun_without_an_origin_is_not_gone_on_with(tmp_path: Path) -> None:
    begun(tmp_path)
    with opened(tmp_path) as part:
        part.begin(None)
        part.write(b"1")
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) is None


def test_reading_what_is_there_gives_signs_of_life(tmp_path: Path) -> None:
    with opened(tmp_path) as part:
        part.begin(replace(ORIGIN, length=None))
        part.write(bytes(3 * partial_file.PIECE))
    beats: list[None] = []
    with opened(tmp_path) as part:
        part.resume(URL, lambda: beats.append(None))
    assert len(beats) == 3


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "film.part").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=r"film\.part") as refused:
        PartialFile(tmp_path, "film")
    assert refused.value.errno == errno.ELOOP and (tmp_path / "precious").read_text() == "precious"


def test_a_link_in_the_place_of_the_note_is_no_note_and_not_written_through(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "film.json").rename(tmp_path / "precious")
    (tmp_path / "film.json").symlink_to(tmp_path / "precious")
    before = (tmp_path / "precious").read_bytes()
    with opened(tmp_path) as part:
        assert part.resume(URL, unwatched) is None and part.have == 0
        part.begin(ORIGIN)
    assert (tmp_path / "precious").read_bytes() == before and not (tmp_path / "film.json").is_symlink()


def test_a_disk_without_room_says_so_before_anything_comes(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    with opened(tmp_path) as part, pytest.raises(OSError, match="no room on the disk") as refused:
        part.reserve(disk.f_bavail * disk.f_frsize)
    assert refused.value.errno == errno.ENOSPC


def test_what_was_reserved_and_not_needed_is_given_back(tmp_path: Path) -> None:
    with opened(tmp_path) as part:
        part.begin(ORIGIN)
        part.write(b"1")
        part.reserve(4 << 20)
        assert (tmp_path / "film.part").stat().st_size == 1, "its size is that of what came"
    assert (tmp_path / "film.part").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize(
    ("etag", "strong"),
    [('"v1"', True), ('""', True), ('W/"v1"', False), ("v1", False), ('"a"b"', False), ('"a b"', False), ("", False)],
)
def test_only_a_strong_etag_promises_the_same_bytes(etag: str, strong: bool) -> None:
    assert bool(STRONG_ETAG.fullmatch(etag)) is strong


def test_a_machine_that_does_not_tell_its_boot_is_known_by_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(partial_file, "MACHINE_BOOT", tmp_path / "none")
    assert partial_file.machine_boot() == ""
