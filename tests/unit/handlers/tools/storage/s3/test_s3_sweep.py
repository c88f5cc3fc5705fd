"""What a stream in a bucket replaced goes when nothing leads to it any more, without a server to ask."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from secondunit.handlers.tools.storage.s3.client import S3, ObjectInfo
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.handlers.tools.storage.s3.folder import MARK
from secondunit.handlers.tools.storage.s3.urls import S3Path
from secondunit.queue.outcome import Transient
from secondunit.queue.ports.folders import Replaced
from secondunit.testing.folder_log import folder_log
from secondunit.testing.jobs import NOW

OLD = ["v-job_a-1/1080p/0.m4s", "v-job_a-1/manifest.json"]
NOTE = Replaced("s3://films/out/film", "v-job_a-1", ["v-job_a-1"], NOW)


class Objects(S3):
    """A bucket in memory, with one stream in it; its master says what it is marked with, and what it leads to."""

    def __init__(self, mark: str | None, text: str) -> None:
        super().__init__({"AWS_ACCESS_KEY_ID": "a"})
        self.master = None if mark is None else ObjectInfo(len(text), "1", {MARK: mark})
        self.text = text
        self.names = [*OLD, "v-job_b-1/1080p/0.m4s"]

    async def find(self, s3_path: S3Path) -> ObjectInfo | None:
        assert s3_path.key == "out/film/master.m3u8"
        return self.master

    async def read(self, s3_path: S3Path, etag: str, start: int = 0) -> Any:
        yield self.text.encode()

    async def beneath(self, s3_path: S3Path) -> AsyncIterator[tuple[str, int]]:
        top = s3_path.key.removeprefix("out/film/") + "/"
        for name in [name for name in self.names if name.startswith(top)]:
            yield name.removeprefix(top), 1

    async def remove(self, s3_paths: Sequence[S3Path]) -> None:
        self.names = [name for name in self.names if name not in [p.key.removeprefix("out/film/") for p in s3_paths]]


@pytest.mark.parametrize(
    ("mark", "text", "goes"),
    [
        ("v-job_b-1", "v-job_b-1/1080p/index.m3u8", True),
        (None, "", True),
        ("v-job_a-1", "v-job_a-1/1080p/index.m3u8", False),
        ("v-job_a-1", "", False),
        ("", "v-job_a-1/1080p/index.m3u8", False),
        ("v-job_b-1", "v-job_a-1/audio/index.m3u8", False),
    ],
    ids=[
        "replaced",
        "the master is gone",
        "it stands again",
        "marked alone",
        "a copy of its master",
        "another's words",
    ],
)
async def test_a_generation_goes_unless_a_master_leads_to_it(mark: str | None, text: str, goes: bool) -> None:
    objects = Objects(mark, text)
    await Buckets(objects, ["films/out"], 1, folder_log()).sweep(NOTE)
    assert objects.names == ([] if goes else OLD) + ["v-job_b-1/1080p/0.m4s"]


async def test_while_the_master_is_too_large_to_be_read_nothing_goes() -> None:
    objects = Objects("v-job_b-1", "")
    objects.master = ObjectInfo(1 << 30, "1", {MARK: "v-job_b-1"})
    with pytest.raises(Transient):
        await Buckets(objects, ["films/out"], 1, folder_log()).sweep(NOTE)
    assert len(objects.names) == 3


@pytest.mark.parametrize("path", ["s3://films/elsewhere", "s3://other/out/film", "/media/film"])
async def test_what_is_no_place_of_ours_any_more_is_left_alone(path: str) -> None:
    objects = Objects("v-job_b-1", "")
    await Buckets(objects, ["films/out"], 1, folder_log()).sweep(Replaced(path, "v-job_a-1", ["v-job_a-1"], NOW))
    assert len(objects.names) == 3


async def test_nothing_but_generations_goes() -> None:
    objects = Objects("v-job_b-1", "")
    objects.names = ["photos/a.jpg", "a.jpg"]
    note = Replaced("s3://films/out/film", "photos", ["photos", "", "../film", "v-mine"], NOW)
    await Buckets(objects, ["films/out"], 1, folder_log()).sweep(note)
    assert objects.names == ["photos/a.jpg", "a.jpg"]
