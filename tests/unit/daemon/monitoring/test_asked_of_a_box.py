"""/health is `ok` on a box that does only what it is asked: what none of its types needs may be missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.testing.rig import spec
from tests.unit.daemon.monitoring.watched import Watch, never

NO_FFMPEG = MediaMissing("no ffmpeg was found")


async def told(folder: Path, box: Mapping[str, Any], **fields: Any) -> tuple[str, list[str]]:
    watch = Watch(folder, spec("one", never, **fields))
    watch.box.update({"mode": "passive", **box})
    report = await watch.checkup()
    return report.status, [condition.word for condition in report.conditions]


@pytest.mark.parametrize("programs", [(), ("yt-dlp", "deno"), ("git",)])
async def test_ffmpeg_is_not_missed_where_no_type_calls_it(tmp_path: Path, programs: tuple[str, ...]) -> None:
    assert await told(tmp_path, {"media": NO_FFMPEG}, programs=programs) == ("ok", [])


async def test_ffmpeg_is_missed_where_a_type_calls_it(tmp_path: Path) -> None:
    assert await told(tmp_path, {"media": NO_FFMPEG}, programs=("ffmpeg",)) == ("degraded", ["ffmpeg_missing"])


@pytest.mark.parametrize(("gemini", "found"), [(False, []), (True, ["ffmpeg_missing"])])
async def test_ffmpeg_is_not_missed_by_a_type_that_is_refused_for_want_of_a_key(
    tmp_path: Path, gemini: bool, found: list[str]
) -> None:
    box = {"media": NO_FFMPEG, "gemini": gemini}
    assert (await told(tmp_path, box, programs=("ffmpeg",), paid=True))[1] == found


async def test_a_key_for_gemini_is_not_missed_where_nothing_asks_it(tmp_path: Path) -> None:
    assert await told(tmp_path, {"gemini": False}) == ("ok", [])


@pytest.mark.parametrize("missing", [{}, {"chromium": None}])
async def test_a_browser_is_nobodys_fault(tmp_path: Path, missing: Mapping[str, object]) -> None:
    assert await told(tmp_path, {"browser": missing}, programs=("yt-dlp", "deno", "git")) == ("ok", [])


async def test_a_geocoder_that_nobody_asked_is_no_fault(tmp_path: Path) -> None:
    watch = Watch(tmp_path, spec("one", never))
    report = await watch.checkup()
    assert report.status == "ok"
    watch.geocoder.trouble = "geocoder_down: the geocoder answers 500"
    assert [condition.word for condition in (await watch.checkup()).conditions] == ["geocoder_trouble"]
