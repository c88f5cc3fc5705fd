"""yt-dlp worker: the library in a program of its own: a wish as JSON on stdin, progress and one answer as JSON lines.

The wish: {url, proxy, most_bytes, format, sort, container, headers, cookies, ffmpeg, deno, film, subtitles}. `film`
says whether the video itself is wanted; it goes to the working folder. `subtitles` is null or {language, file,
most_bytes, seconds}; with a film they are an extra that never costs it, and what went wrong with them stands in `done`.
Lines: {progress: {bytes, total, fraction, speed}}, then {done: {...}} or {fault: {...}}. An audit hook that nothing can
take away holds this process to the proxy, and the programs it starts to ffmpeg on local files and deno.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from http.cookiejar import Cookie
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp import YoutubeDL  # noqa: TID253 - this program is the place where it is loaded
from yt_dlp.networking.exceptions import RequestError  # noqa: TID253

from secondunit.handlers.tools.fetching.ytdlp.jail import DownloadRefused, Jail
from secondunit.handlers.tools.fetching.ytdlp.resume import Resumption
from secondunit.handlers.tools.fetching.ytdlp.subtitles import DAMAGE, fetch_subtitles, within

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,mp3,wav,flac,aac,ac3,webvtt,srt"
REPORT_EVERY = 0.25
LONGEST = 10_000  # characters of a title or a description
LIVE = ("is_live", "is_upcoming")
MOST_FORMATS = 3_000  # yt-dlp takes 3 ms for each


class Meter:
    """A progress hook: reports, and ends the download once all files together exceed `most` bytes."""

    def __init__(self, most: int) -> None:
        self.begin(most, told=True)

    def begin(self, most: int, *, told: bool) -> None:
        """Count anew; `told` says whether it is reported."""
        self._most = most
        self._files: dict[str, int] = {}
        self._last = -REPORT_EVERY
        self._reports = told

    def __call__(self, state: Mapping[str, Any]) -> None:
        have = state.get("downloaded_bytes") or 0
        self._files[state["filename"]] = have
        others = sum(self._files.values()) - have
        total = state.get("total_bytes")
        if max(have, total or 0) + others > self._most:
            raise DownloadRefused("too_large", f"it is larger than the {self._most} bytes that are allowed")
        elapsed = state.get("elapsed") or 0.0
        if self._reports and (state["status"] == "finished" or not 0 <= elapsed - self._last < REPORT_EVERY):
            self._last = elapsed
            self._tell(state, have, others, total)

    def _tell(self, state: Mapping[str, Any], have: int, others: int, total: int | None) -> None:
        estimate = total or state.get("total_bytes_estimate")
        parts = len(state.get("info_dict", {}).get("requested_formats") or (1,))
        part = _share(have, estimate) or _share(state.get("fragment_index"), state.get("fragment_count"))
        done = sum(size > 0 for size in self._files.values()) - 1
        say(
            progress={
                "bytes": have + others,
                "total": int(estimate) + others if estimate and parts == 1 else None,
                "fraction": min((max(done, 0) + part) / parts, 1.0),
                "speed": state.get("speed"),
            }
        )


class Downloader(YoutubeDL):  # type: ignore[misc]  # yt-dlp has no types
    """yt-dlp that glues no two versions of a file, and without its own choice of subtitles, which knows only names."""

    def __init__(self, params: Mapping[str, Any], *, auto_init: bool) -> None:
        self._resumption = Resumption(super().urlopen)
        super().__init__(params, auto_init=auto_init)

    def dl(self, name: str, info: Mapping[str, Any], subtitle: bool = False, test: bool = False) -> Any:
        """As yt-dlp does it, but judged by `Resumption`."""
        with self._resumption.of(name, info):
            return super().dl(name, info, subtitle, test)

    def urlopen(self, req: Any) -> Any:
        """As yt-dlp does it, but judged by `Resumption`."""
        return self._resumption.send(req)

    def process_subtitles(self, *_: Any) -> dict[str, Any]:
        """None."""
        return {}

    def process_video_result(self, info_dict: Mapping[str, Any], download: bool = True) -> Any:
        """As yt-dlp does it, unless it would have no end: a live stream, or formats without number.

        Not by its `match_filter`: what that raises is raised again without its words.
        """
        if info_dict.get("is_live") or info_dict.get("live_status") in LIVE:
            raise DownloadRefused("unsupported_url", "this is a live stream; it can be fetched once it has ended")
        if (count := len(info_dict.get("formats") or ())) > MOST_FORMATS:
            many = f"it is offered in {count} formats, of which at most {MOST_FORMATS} are looked through"
            raise DownloadRefused("unsupported_url", many)
        return super().process_video_result(info_dict, download)


class Log:
    """yt-dlp's words, to stderr."""

    def debug(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")

    info = warning = error = debug


def main() -> None:
    """One wish, one answer."""
    wish = json.load(sys.stdin)
    ffmpeg = wish["ffmpeg"]
    sys.addaudithook(Jail(wish["proxy"], [*_ffmpeg_programs(ffmpeg), *filter(None, [wish["deno"]])]))
    try:
        say(done=fetch(wish))
    except SubtitlesFailed as error:
        say(fault=fault(error.why), subtitles=True)
    except DAMAGE as error:
        say(fault=fault(error))


class SubtitlesFailed(Exception):
    """Of a video of which only the subtitles are wanted, these did not come: it is not the video that is to blame."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(str(why))
        self.why = why


def fetch(wish: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is wanted of one video: the film in the working folder, the subtitles in their file; and its facts."""
    meter = Meter(wish["most_bytes"])
    with Downloader(options(wish, meter), auto_init=True) as ydl:
        for cookie in cookies(wish["url"], wish["cookies"] or ""):
            ydl.cookiejar.set_cookie(cookie)
        found = ydl.extract_info(wish["url"], download=wish["film"])
        video = next(iter(found.get("entries") or ()), None) if "entries" in (found or {}) else found
        made = (video or {}).get("requested_downloads") or []
        if not video or (wish["film"] and not made):
            raise DownloadRefused("unsupported_url", "no video was found there")
        return {
            "name": Path(made[0]["filepath"]).name if wish["film"] else None,
            "title": _short(video.get("title")),
            "url": video.get("webpage_url") or wish["url"],
            "duration": video.get("duration"),
            "description": _short(video.get("description")),
            "extractor": video.get("extractor_key"),
            "id": video.get("id"),
            "subtitles": subtitles(ydl, video, wish, meter),
        }


def subtitles(
    ydl: YoutubeDL, video: Mapping[str, Any], wish: Mapping[str, Any], meter: Meter
) -> Mapping[str, Any] | None:
    """The subtitles' language and kind, or {fault: {...}}; None when there are none, or none are wanted."""
    wanted = wish["subtitles"]
    if not wanted:
        return None
    meter.begin(wanted["most_bytes"], told=not wish["film"])
    try:
        with within(wanted["seconds"]):
            return fetch_subtitles(ydl, video, wanted["language"], Path(wanted["file"]))
    except DAMAGE as error:
        if not wish["film"]:
            raise SubtitlesFailed(error) from error
        Log().warning(f"the film's subtitles did not come: {error}")
        return {"fault": fault(error)}


def options(wish: Mapping[str, Any], meter: Meter) -> dict[str, Any]:
    """What yt-dlp is told; nothing comes from a configuration file, a cache or a plug-in."""
    return {
        "proxy": wish["proxy"],
        "format": wish["format"],
        "format_sort": wish["sort"],
        "merge_output_format": wish["container"],
        "postprocessors": _remux(wish["container"]) if wish["ffmpeg"] else [],
        "postprocessor_args": {"ffmpeg_i": ["-protocol_whitelist", "file", "-format_whitelist", FORMATS]},
        "postprocessor_hooks": [lambda state: say(step=state["postprocessor"])],
        "progress_hooks": [meter],
        "writesubtitles": bool(wish["subtitles"]),  # some sites are asked for their lists only then
        "writeautomaticsub": bool(wish["subtitles"]),
        "http_headers": wish["headers"],
        "ffmpeg_location": wish["ffmpeg"] or "/nonexistent",
        "fixup": "detect_or_warn" if wish["ffmpeg"] else "never",
        "js_runtimes": {"deno": {"path": wish["deno"]}} if wish["deno"] else {},
        "remote_components": [],
        # Which format it is stands in the name, so that a download never goes on in the bytes of another format.
        "outtmpl": {"default": "video.%(format_id)s.%(ext)s"},
        "restrictfilenames": True,
        "trim_file_name": 100,
        "noplaylist": True,
        "playlist_items": "1",
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "skip_unavailable_fragments": False,
        "retries": 1,
        "fragment_retries": 1,
        "extractor_retries": 1,
        "file_access_retries": 1,
        "socket_timeout": 30,
        "continuedl": True,
        "cachedir": False,
        "usenetrc": False,
        "enable_file_urls": False,
        "geo_bypass": False,
        "updatetime": False,
        "logger": Log(),
        "quiet": True,
        "noprogress": True,
        "color": {"stdout": "never", "stderr": "never"},
    }


def cookies(url: str, header: str) -> Iterator[Cookie]:
    """A Cookie header's cookies, for this host only, and no less safe a connection than this URL's."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    domain = host if "." in host or ":" in host else f"{host}.local"  # as http.cookiejar calls dotless names
    for name, morsel in SimpleCookie(header).items():
        yield Cookie(
            0, name, morsel.coded_value, None, False, domain, False, False, "/", True, parts.scheme == "https",
            None, True, None, None, {},
        )  # fmt: skip


def fault(error: BaseException) -> Mapping[str, Any]:
    """What went wrong, as facts to be judged elsewhere."""
    chain = list(_chain(error))
    response: Any = next(filter(None, (getattr(link, "response", None) for link in chain)), None)
    refused = next((link for link in chain if isinstance(link, DownloadRefused)), None)
    return {
        "names": [type(link).__name__ for link in chain],
        "message": str(refused or error),
        "refused": refused.type if refused else None,
        "status": getattr(response, "status", None),
        "retry_after": response.headers.get("Retry-After") if response is not None else None,
        # a network's exception makes yt-dlp call whatever it was in an expected one
        "expected": any(getattr(link, "expected", False) for link in chain)
        and not any(isinstance(link, RequestError | OSError) for link in chain),
        "errno": next((link.errno for link in chain if isinstance(link, OSError) and link.errno), None),
    }


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, each once."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in seen:
            seen.append(link)
            yield link
            raised = (getattr(link, "exc_info", None) or (None, None))[1]
            waiting += [raised, getattr(link, "cause", None), link.__cause__, link.__context__]


def say(**line: Any) -> None:
    """Print one line for the daemon."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _remux(container: str | None) -> list[Mapping[str, str]]:
    return [{"key": "FFmpegVideoRemuxer", "preferedformat": container}] if container else []


def _ffmpeg_programs(ffmpeg: str | None) -> list[str]:
    """ffmpeg and the ffprobe beside it, as yt-dlp derives one path from the other."""
    if not ffmpeg:
        return []
    path = Path(ffmpeg)
    return [ffmpeg, str(path.with_name(path.name.replace("ffmpeg", "ffprobe")))]


def _short(text: str | None) -> str | None:
    return text and text[:LONGEST]


def _share(have: float | None, of: float | None) -> float:
    return min(have / of, 1.0) if have and of else 0.0


if __name__ == "__main__":
    main()
