"""A colour of the source comes back in pictures, stills and streams, whatever its matrix, range or primaries were.

Measured in Chromium's canvas too, beside a true tagged file: it shows BT.601 in the primaries of BT.709, and converts
those of BT.2020.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.media.ffmpeg import Media
from tests.media.flash_and_beep import colours, table

pytestmark = pytest.mark.media
TRUE = (192, 48, 32)
AT_MOST = 4  # of 255, in any channel
TAGGED = "709.mp4"
SOLID = "-f lavfi -i color=0xC03020:s={size}:r=10:d=0.5,format=gbrp"
X264 = "-c:v libx264 -preset ultrafast -qp 8"
# Y, Cb and Cr of the same colour in ten bits, as zimg makes them; PQ and HLG with white at 203 cd/m2.
DEEP = (
    "-f lavfi -i nullsrc=s=160x90:r=10:d=0.5,format=yuv420p10,geq=lum={0}:cb={1}:cr={2},"
    "setparams=range=tv:color_primaries=bt2020:colorspace=bt2020nc:color_trc={3} -c:v ffv1 "
    "-color_range tv -color_primaries bt2020 -colorspace bt2020nc -color_trc {3}"  # 5.1 does not hear of them otherwise
)

ALPHA = "-vf scale=out_color_matrix={}:out_range=tv,format=yuva420p -c:v libvpx-vp9 -b:v 1M -deadline realtime"


def solid(matrix: str, size: str = "160x90", range: str = "tv", tags: str = "") -> tuple[str, ...]:
    made = f"scale=out_color_matrix={matrix}:out_range={range},format=yuv420p,setparams=range={range}{tags}"
    return SOLID.format(size=size), f"-vf {made}", X264


def all_of(tag: str) -> str:
    return f":colorspace={tag}:color_primaries={tag}:color_trc={tag}"


FILMS: dict[str, tuple[str, ...]] = {
    "601.mkv": solid("bt601", tags=all_of("smpte170m")),
    "709.mkv": solid("bt709", tags=all_of("bt709")),
    "untagged sd.mkv": solid("bt601"),
    "untagged hd.mkv": solid("bt709", "160x720"),
    "full range.mkv": solid("bt709", range="pc", tags=all_of("bt709")),
    "untagged full hd.mkv": solid("bt709", "160x720", "pc"),
    "rgb sd.mov": (SOLID.format(size="160x90"), "-pix_fmt rgb24 -c:v qtrle"),
    "rgb hd.mov": (SOLID.format(size="160x720"), "-pix_fmt rgb24 -c:v qtrle"),
    "bgr hd.avi": (SOLID.format(size="160x720"), "-pix_fmt bgr24 -c:v rawvideo"),
    "png hd.mkv": (SOLID.format(size="160x720"), "-pix_fmt rgb24 -c:v png"),
    "palette hd.gif": (SOLID.format(size="160x720"), "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse"),
    "vp9 alpha sd.webm": (SOLID.format(size="160x90"), ALPHA.format("bt601")),
    "vp9 alpha hd.webm": (SOLID.format(size="160x720"), ALPHA.format("bt709")),
    "2020.mkv": (DEEP.format(390, 420, 666, "bt2020-10"),),
}
HDR: dict[str, tuple[str, ...]] = {
    "pq.mkv": (DEEP.format(363, 454, 588, "smpte2084"),),
    "hlg.mkv": (DEEP.format(353, 430, 647, "arib-std-b67"),),
}


def encodable(media: Media, name: str) -> bool:
    """The wheel's ffmpeg has no zlib, and so no PNG."""
    return "png" not in name or "png" in media.encoders


@pytest.fixture
def film(media: Media, tmp_path: Path) -> Callable[[str], Path]:
    def made(name: str) -> Path:
        if not encodable(media, name):
            pytest.skip(f"{media.ffmpeg} was built without PNG")
        words = [word for part in (FILMS | HDR | {TAGGED: FILMS["709.mkv"]})[name] for word in part.split()]
        path = tmp_path / name
        subprocess.run([media.ffmpeg, "-v", "error", "-nostdin", *words, str(path)], check=True, timeout=50)
        return path

    return made


@pytest.fixture
def played(media: Media, look: Callable[[Path], dict[str, Any]]) -> Callable[[dict[str, Any]], tuple[int, ...]]:
    """The colour in the middle of a stream, read as BT.709 in limited range, as which it must be tagged."""

    def colour(result: dict[str, Any]) -> tuple[int, ...]:
        path = Path(result["renditions"][0]["path"])
        tags = look(path)
        assert [tags.get(f"color_{tag}") for tag in ("space", "primaries", "transfer", "range")] == ["bt709"] * 3 + [
            "tv"
        ]
        read = "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int,format=rgb24"
        argv = [media.ffmpeg, "-v", "error", "-nostdin", "-i", str(path), "-vf", read, "-frames:v", "1"]
        said = subprocess.run([*argv, "-f", "rawvideo", "-"], check=True, timeout=50, capture_output=True)
        middle = 3 * (tags["height"] // 2 * tags["width"] + tags["width"] // 2)
        return tuple(said.stdout[middle : middle + 3])

    return colour


def shown(path: object) -> tuple[int, ...]:
    from PIL import Image

    with Image.open(str(path)) as image:
        pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def apart(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


OFTEN = (
    "601.mkv",
    "untagged sd.mkv",
    "untagged hd.mkv",
    "full range.mkv",
    "rgb hd.mov",
    "vp9 alpha hd.webm",
    "2020.mkv",
)


@pytest.mark.parametrize("name", [n if n in OFTEN else pytest.param(n, marks=pytest.mark.long) for n in FILMS])
async def test_a_colour_comes_back(studio: Any, film: Any, played: Any, name: str) -> None:
    clip = film(name)
    picture = await studio.thumbnail(clip, timestamp=0)
    assert apart(shown(picture["outputPath"]), TRUE) <= 4
    assert apart(played(await studio.hls(clip)), TRUE) <= 4


@pytest.mark.parametrize("name", ["rgb hd.mov", pytest.param("2020.mkv", marks=pytest.mark.long)])
async def test_a_still_for_a_model_has_the_colour(studio: Any, film: Any, name: str) -> None:
    [still] = await studio.stills(film(name), 1)
    assert apart(shown(still.path), TRUE) <= 4


@pytest.mark.parametrize("name", ["pq.mkv", pytest.param("hlg.mkv", marks=pytest.mark.long)])
async def test_hdr_looks_the_same_in_a_picture_and_in_a_stream(studio: Any, film: Any, played: Any, name: str) -> None:
    clip = film(name)
    picture = shown((await studio.thumbnail(clip, timestamp=0))["outputPath"])
    assert apart(played(await studio.hls(clip)), picture) <= 4
    assert picture[0] > 2 * picture[1] > picture[2]


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_browser_shows_the_colour(
    studio: Any, media: Media, film: Any, node: Path, browser: str, report: Callable[[str, str], None]
) -> None:
    names, seen = [name for name in [*FILMS, *HDR] if encodable(media, name)], [("none", film(TAGGED))]
    for number, name in enumerate(names):
        clip = film(name)
        picture = await studio.thumbnail(clip, to=f"{number}.png", timestamp=0)
        stream = await studio.hls(clip, to=str(number))
        [still] = await studio.stills(clip, 1)
        kept = still.path.rename(studio.root / f"{number}.jpg")
        seen += [("img", Path(picture["outputPath"])), ("hls.js", Path(stream["masterPath"])), ("img", kept)]
    true, *shown = colours(node, browser, seen)
    rows = {name: shown[3 * number :][:3] for number, name in enumerate(names)}
    head = ["source", "`thumbnail`", "`hls`", "`analyze`"]
    lines = [[name.rpartition(".")[0], *map(str, found)] for name, found in rows.items()]
    report("colours", table(head, [["a true tagged file", "", str(true), ""], *lines]))
    # A picture is what it says; a player has faults of its own, which it also has with a true tagged file.
    wanted = (TRUE, true, TRUE)
    wrong = [name for name in names if name in FILMS and max(map(apart, rows[name], wanted)) > AT_MOST]
    wrong += [name for name in HDR if max(apart(rows[name][0], one) for one in rows[name]) > 2 * AT_MOST]
    assert wrong == []
