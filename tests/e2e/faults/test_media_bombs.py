"""Media bombs: each ends as a job with the same error every time, and costs nobody else anything."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secondunit.testing.fakes.gemini import StandIn
from tests.e2e.conftest import Daemon, beside, served
from tests.e2e.faults import bombs, media_bombs
from tests.e2e.faults.bomb_bounds import held_to_bounds

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MOST_MEGABYTES = 16
HLS, DASH, VTT = "application/vnd.apple.mpegurl", "application/dash+xml", "text/vtt"
PACKED = "\r\nContent-Encoding: gzip"
VARIANT, ENTRY = b"#EXT-X-STREAM-INF:BANDWIDTH=%d\nentries.m3u8\n", b"#EXTINF:1,\nx.ts\n"


@dataclass(frozen=True)
class Bomb:
    """A job, and how it ends: with an error of this type and class that says these words; or well, if it has none."""

    type: str
    input: str
    error: str | None = None
    says: str = ""
    kind: str = "deterministic"


USUAL = [
    Bomb("webp", "canvas.webp", "image_too_large", "268402689 pixels"),
    Bomb("webp", "frames.webp", "image_too_large", "20000 frames of 16 x 16 are too many"),
    Bomb("webp", "canvas.gif", "image_too_large", "4225000000 pixels"),
    Bomb("webp", "frames.gif", "image_too_large", "10000 frames are possible"),
    Bomb("webp", "claims.avif", "unreadable", "the image is not in a format we know"),
    Bomb("webp", "text.png"),
    Bomb("thumbnail", "frames.webp", "not_a_video", "is a picture"),
    Bomb("thumbnail", "canvas.gif", "unreadable", "no video that can be decoded"),
    Bomb("download", "/packed.zip", "too_large", "16.0 MB that are allowed"),
    Bomb("download", "/live.m3u8", "unsupported_url", "this is a live stream"),
    Bomb("download", "/variants.m3u8", "unsupported_url", "at most 3000 are looked through"),
    Bomb("locations", "/long.vtt", "too_large", "larger than the 8388608 bytes"),
    Bomb("deploy", "tree", "file_too_large", "git needed more file size than it may have"),
]
RARE = [
    Bomb("download", "/laughs.mpd", "unsupported_url", "no video was found there"),
    Bomb("locations", "/many.vtt"),
    Bomb("webp", "large.avif"),
    Bomb("webp", "text.webp", "unreadable", "the image is not in a format we know"),
    Bomb("thumbnail", "frames.gif"),
    Bomb("thumbnail", "large.avif", "not_a_video", "is a picture"),
    Bomb("thumbnail", "text.png", "not_a_video", "is a picture"),
    Bomb("download", "/entries.m3u8", "not_found", "HTTP 404"),
    Bomb("download", "/again.mpd", "out_of_memory", "more memory than it may have", "transient"),
    Bomb("locations", "/one.vtt"),
    Bomb("locations", "/laughs.vtt", "bad_subtitles", "there is no line of times"),
    Bomb("locations", "/laughs.ttml", "no_subtitles", "has no subtitles"),
    Bomb("deploy", "blob", "file_too_large", "git needed more file size than it may have"),
]


def pictures() -> Mapping[str, bytes]:
    """What is to be made into something else, by name."""
    return {
        "canvas.webp": media_bombs.webp(1, (16383, 16383)),
        "frames.webp": media_bombs.webp(20_000),
        "canvas.gif": media_bombs.gif(2, 65_000),
        "frames.gif": media_bombs.gif(20_000, 16),
        "claims.avif": media_bombs.avif(30_000),
        "large.avif": media_bombs.avif(9_000),
        "text.png": media_bombs.png_with_text(64),
        "text.webp": media_bombs.packed(64),
    }


def answers() -> Mapping[str, bytes]:
    """What the web says, by path; the page to each subtitles is named after them."""
    subtitles = {
        "/many.vtt": bombs.answer(media_bombs.cues(60_000).encode(), VTT),
        "/one.vtt": bombs.answer(media_bombs.cues(1, "word " * 1_600_000).encode(), VTT),
        "/long.vtt": bombs.answer(media_bombs.packed(100, b"word "), VTT + PACKED),
        "/laughs.vtt": bombs.answer(media_bombs.BILLION_LAUGHS.encode(), VTT),
        "/laughs.ttml": bombs.answer(media_bombs.BILLION_LAUGHS.encode(), "application/ttml+xml"),
    }
    pages = {f"/page-of{path}": bombs.answer(media_bombs.page(path), "text/html") for path in subtitles}
    return {
        **subtitles,
        **pages,
        "/film.mp4": bombs.answer(b"", status="404 Not Found"),
        "/x.ts": bombs.answer(b"", status="404 Not Found"),
        "/packed.zip": bombs.answer(media_bombs.packed(100), "application/zip" + PACKED),
        "/live.m3u8": bombs.answer(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n", HLS),
        "/variants.m3u8": bombs.answer(b"#EXTM3U\n" + b"".join(VARIANT % n for n in range(50_000)), HLS),
        "/entries.m3u8": bombs.answer(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + ENTRY * 300_000 + b"#EXT-X-ENDLIST\n", HLS
        ),
        "/again.mpd": bombs.answer(media_bombs.dash(2_000_000_000), DASH),
        "/laughs.mpd": bombs.answer(media_bombs.dash(1, head=media_bombs.BILLION_LAUGHS, words="&l11;"), DASH),
    }


@pytest.fixture
def web() -> Iterator[str]:
    """Where the answers are."""
    speaker = bombs.Speaker(dict(answers()))
    with served(speaker):
        yield speaker.url


@pytest.fixture
def gemini() -> Iterator[str]:
    """A stand-in for Gemini, which no bomb gets any words from."""

    async def opened(stack: AsyncExitStack) -> str:
        return await stack.enter_async_context(StandIn().serving())

    with beside(opened) as url:
        yield url


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """A configuration whose projects are commits that unfold."""
    upstream = media_bombs.Upstream(tmp_path / "upstream")
    upstream.tree_bomb("tree")
    upstream.blob_bomb("blob", 2 * MOST_MEGABYTES)
    tables = [
        f'[deploy.{name}]\nrepo_url = "file://{upstream.path}"\nbranches = ["{name}"]\ndirectory = "{tmp_path / name}"'
        for name in ("tree", "blob")
    ]
    (tmp_path / "config.toml").write_text("\n".join(tables))
    return tmp_path / "config.toml"


def submitted(daemon: Daemon, bomb: Bomb, web: str) -> str:
    """The bomb's job."""
    folder = daemon.data / "media"
    made = str(folder / bomb.type / bomb.input.lstrip("/"))
    payloads: Mapping[str, Mapping[str, Any]] = {
        "webp": {"inputPath": str(folder / bomb.input), "outputPath": f"{made}.webp", "width": 100},
        "thumbnail": {"videoPath": str(folder / bomb.input), "outputPath": f"{made}.jpg"},
        "download": {"url": web + bomb.input, "outputPath": made, "mode": _mode(bomb.input)},
        "locations": {"videoUrl": f"{web}/page-of{bomb.input}"},
        "deploy": {"projectId": bomb.input},
    }
    body = {"type": bomb.type, "payload": payloads[bomb.type], "retryPolicy": {"maxRetries": 0}}
    answer = daemon.call("POST", "/api/jobs", body)
    assert answer.status == 201, answer
    return str(answer.body["jobId"])


def _mode(path: str) -> str:
    return "http" if path.endswith(".zip") else "ytdlp"


@pytest.mark.parametrize("thrown", [USUAL, pytest.param(RARE, marks=[pytest.mark.long, pytest.mark.timeout(400)])])
def test_media_bombs_end_as_they_should_and_cost_nobody_else_anything(
    start: Any, thrown: Sequence[Bomb], web: str, gemini: str, projects: Path
) -> None:
    daemon = start(
        ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8",
        RATE_LIMIT="off",
        MAX_DOWNLOAD_MB=str(MOST_MEGABYTES),
        SECONDUNIT_CONFIG=str(projects),
        GEMINI_API_KEY="no-key",
        GEMINI_BASE_URL=gemini,
        GEOCODER_URL=gemini,
    ).ready()
    for name, content in pictures().items():
        (daemon.data / "media" / name).write_bytes(content)
    with held_to_bounds(daemon):
        jobs = {submitted(daemon, bomb, web): bomb for bomb in thrown}
        ended = {bomb: daemon.until(job, "completed", "failed", within=300) for job, bomb in jobs.items()}
    assert {bomb: _end(job) for bomb, job in ended.items()} == {
        bomb: (bomb.error, bomb.kind if bomb.error else None) for bomb in thrown
    }
    for bomb, job in ended.items():
        assert bomb.says in ((job.get("error") or {}).get("message") or ""), job


def _end(job: Any) -> tuple[str | None, str | None]:
    error = job.get("error") or {}
    return error.get("type"), error.get("class")
