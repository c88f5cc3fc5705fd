"""Rungs that the source is already: copied where that is certain, encoded where anything is doubtful."""

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.programs.ports import Finished, Programs
from tests.media.beats import joined

pytestmark = pytest.mark.media
FILM = "-f lavfi -i testsrc2=s=320x180:r=25:d=14"
SOUND = "-f lavfi -i sine=d=14 -c:a aac -ac 2 -ar 48000"
CODEC = "-c:v libx264 -preset ultrafast -crf 30 -pix_fmt yuv420p -bf 2"
TAGS = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
H264 = f"{CODEC} {TAGS}"
TWO = "-g 50 -keyint_min 50 -sc_threshold 0"
PLAIN = f"{FILM} {SOUND} {H264} {TWO} film.mp4"
SURE = {
    "mp4": PLAIN,
    "ts": f"{FILM} {SOUND} {H264} {TWO} film.ts",
    "mkv": f"{FILM} {SOUND} {H264} {TWO} film.mkv",
    "no B-frames": f"{FILM} {SOUND} {H264} {TWO} -bf 0 -crf 34 film.ts",
    "uneven groups": f"{FILM} {SOUND} {H264} -g 137 -sc_threshold 0 film.mp4",
    "no sound": f"{FILM} {H264} {TWO} film.mp4",
    "60 a second": f"{FILM.replace('r=25', 'r=60')} {SOUND} {H264} -g 240 -crf 36 film.mp4",
    "a film's rate in mkv": f"{FILM.replace('r=25', 'r=24000/1001')} {SOUND} {H264} {TWO} film.mkv",
}
DOUBTFUL = {
    "long groups": (f"{FILM} {H264} -g 200 -keyint_min 200 -sc_threshold 0 film.mp4", "between key frames"),
    "open groups": (f"{FILM} {H264} {TWO} -x264-params open-gop=1 film.mp4", "open GOP"),
    "a high rate": (f"{FILM} -vf noise=alls=60:allf=t {H264} {TWO} -crf 1 film.mp4", "kbit/s"),
    "interlaced": (f"{FILM} {H264} {TWO} -x264-params tff=1 -flags +ildct film.mp4", "interlaced"),
    "uneven pictures": (f"{FILM} -vf select=not(eq(n\\,70)) -fps_mode vfr {H264} {TWO} film.mp4", "uneven"),
    "a late picture": (f"-itsoffset 2 {FILM} {SOUND} {H264} {TWO} film.mkv", "after the sound"),
}
long = pytest.mark.long


@pytest.fixture
def film(media: Media, tmp_path: Path) -> Callable[[str], Path]:
    """A film that ffmpeg makes by these arguments, the last of which is its name."""

    def made(arguments: str) -> Path:
        *words, name = arguments.split()
        argv = [media.ffmpeg, "-y", "-v", "error", "-nostdin", *words, name]
        subprocess.run(argv, cwd=tmp_path, check=True, timeout=50)
        return tmp_path / name

    return made


@pytest.fixture
def pictures(media: Media) -> Callable[[Path], list[str]]:
    """A digest of each picture of a file or a playlist, in the order of showing."""

    def digests(path: Path) -> list[str]:
        argv = [media.ffmpeg, "-v", "error", "-nostdin", "-i", path.name, "-map", "0:v", "-f", "framemd5", "-"]
        said = subprocess.run(argv, cwd=path.parent, check=True, timeout=50, capture_output=True, text=True).stdout
        return [line.split(",")[-1].strip() for line in said.splitlines() if not line.startswith("#")]

    return digests


@pytest.fixture
def packets(media: Media) -> Callable[[Path], bytes]:
    """What the sound of a file or a playlist holds, as it is."""

    def held(path: Path) -> bytes:
        argv = [media.ffmpeg, "-v", "error", "-nostdin", "-i", path.name, "-map", "0:a", "-c", "copy"]
        return subprocess.run([*argv, "-f", "adts", "-"], cwd=path.parent, check=True, capture_output=True).stdout

    return held


def copied(result: Any) -> list[bool]:
    return [rung["copied"] for rung in result["renditions"]]


@pytest.mark.parametrize(
    ("name", "segments"),
    [
        ("a film's rate in mkv", "fmp4"),
        ("no B-frames", "ts"),
        *(pytest.param(name, "fmp4", marks=long) for name in list(SURE)[:-1]),
    ],
)
async def test_the_native_rung_is_the_source_and_the_others_are_cut_where_it_is(
    studio: Any, film: Any, pictures: Any, judge: Callable[..., Any], name: str, segments: str
) -> None:
    source = film(SURE[name])
    ctx = studio.context()
    result = await studio.hls(source, ctx=ctx, qualities=["720p", "180p", "144p"], segmentType=segments)
    assert ctx.reports[0][1] == "180p is copied"
    rungs = sorted(result["renditions"], key=lambda rung: -rung["height"])
    assert [rung["copied"] for rung in rungs] == [True, False]
    cuts = judge(result)["variants"][0]["durations"]
    assert len(cuts) in (2, 3) and sum(cuts) == pytest.approx(14, abs=0.1)
    native, other = (pictures(Path(rung["path"])) for rung in rungs)
    assert native == pictures(source) and len(other) == len(native)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "open groups" else long) for name in DOUBTFUL])
async def test_what_is_doubtful_is_encoded(studio: Any, film: Any, name: str) -> None:
    arguments, why = DOUBTFUL[name]
    ctx = studio.context()
    result = await studio.hls(film(arguments), ctx=ctx, qualities=["720p"])
    assert not any(copied(result))
    assert why in ctx.reports[0][1]


async def test_a_rung_alone_is_copied_with_its_sound_unless_that_is_not_wanted(
    studio: Any, film: Any, packets: Any
) -> None:
    source = film(PLAIN)
    assert copied(await studio.hls(source, qualities=["720p"], copy="never")) == [False]
    ctx = studio.context()
    result = await studio.hls(source, ctx=ctx, qualities=["720p"])  # another wish than the one before
    assert copied(result) == [True] and 5 <= ctx.figures["maxCpuSeconds"] <= 10
    sound = packets(next(Path(result["masterPath"]).parent.rglob("audio/index.m3u8")))
    # The encoder's priming, which players would play, is left out.
    assert packets(source).endswith(sound) and 0 < len(packets(source)) - len(sound) < 1000


async def test_colours_that_a_copied_picture_does_not_tell_are_told(studio: Any, film: Any, look: Any) -> None:
    high = f"{CODEC} -preset veryfast"  # the profile of most films; ultrafast makes another
    result = await studio.hls(film(f"-f lavfi -i testsrc2=s=1280x720:r=25:d=2 {high} film.mp4"), qualities=["720p"])
    shown = look(Path(result["renditions"][0]["path"]))
    assert copied(result) == [True]
    tags = ("color_space", "color_primaries", "color_transfer", "color_range")
    assert [shown[tag] for tag in tags] == ["bt709", "bt709", "bt709", "tv"]


@pytest.mark.long
async def test_parameters_that_change_within_are_not_copied(studio: Any, film: Any, tmp_path: Path) -> None:
    parts = [film(f"{FILM} {H264} {TWO} {more}.ts") for more in ("one", "-x264-params ref=4:cabac=0 two")]
    ctx = studio.context()
    result = await studio.hls(joined(tmp_path / "joined.ts", *parts), ctx=ctx, qualities=["720p"])
    assert copied(result) == [False]


@dataclass
class Spoiled:
    """Programs of which the first encode is spoiled, or says something; how many there were."""

    programs: Programs
    spoil: Callable[[Path], None]
    says: str = ""
    encodes: int = 0

    async def run(self, argv: Sequence[str], *, cwd: Path, **options: Any) -> Finished:
        finished = await self.programs.run(argv, cwd=cwd, **options)
        if "hls" not in argv:
            return finished
        self.encodes += 1
        if self.encodes > 1:
            return finished
        await asyncio.to_thread(self.spoil, cwd)
        if self.says:
            options["on_error"](self.says)
        return finished


def cut_otherwise(folder: Path) -> None:
    playlist = folder / "144p" / "index.m3u8"
    playlist.write_text(playlist.read_text().replace("#EXTINF:6.0", "#EXTINF:6.1"))


@pytest.mark.parametrize(
    ("spoil", "says"), [(cut_otherwise, ""), (lambda _: None, "[h264 @ 0x55] error while decoding MB 5 3")]
)
async def test_a_copy_that_came_out_badly_is_made_again_by_encoding(
    studio: Any, film: Any, spoil: Any, says: str
) -> None:
    programs: Any = Spoiled(studio.tools.programs, spoil, says)
    again = replace(studio, tools=replace(studio.tools, programs=programs))
    ctx = studio.context()
    result = await again.hls(film(f"{FILM} {H264} {TWO} film.mp4"), ctx=ctx, qualities=["180p", "144p"])
    assert copied(result) == [False, False] and programs.encodes == 2
    done = [fraction for fraction, _ in ctx.reports]
    assert done == sorted(done) and done[-1] > 0.8
    assert result["renditions"][0]["reason"].startswith("the copy came out badly: ")
    log = ctx.workspace.log.read_text()
    assert log.index("180p: copied") < log.index("180p: encoded (the copy came out badly: ")
