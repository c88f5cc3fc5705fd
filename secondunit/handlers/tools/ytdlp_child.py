"""Runs yt-dlp as a library in a program of its own: a wish as JSON on stdin, progress and one answer as JSON lines out.

The wish: {url, proxy, most_bytes, format, container, headers, cookies, ffmpeg, deno}. Files go to the working folder.
Lines: {progress: {bytes, total, fraction, speed}}, then {done: {...}} or {fault: {...}}. An audit hook that nothing can
take away holds this process to the proxy, and the programs it starts to ffmpeg on local files and deno.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import Cookie
from http.cookies import SimpleCookie
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp import YoutubeDL  # noqa: TID253 - this program is the place where it is loaded
from yt_dlp.utils import DownloadCancelled, YoutubeDLError  # noqa: TID253

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,mp3,wav,flac,aac,ac3,webvtt,srt"
REPORT_EVERY = 0.25
SOCKETS = ("socket.connect", "socket.sendto", "socket.sendmsg")
STARTS = ("os.exec", "os.posix_spawn", "os.system", "os.spawn", "pty.spawn")


class Refusal(DownloadCancelled):  # type: ignore[misc]  # yt-dlp has no types
    """What ends a download on our own account: a stable word and a message for a person."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


class Jail:
    """An audit hook: only the proxy may be connected to, only these programs may run, ffmpeg only on local files."""

    def __init__(self, proxy: str, programs: Sequence[str]) -> None:
        parts = urlsplit(proxy)
        self._proxy = (parts.hostname, parts.port)
        self._programs = frozenset(programs)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in SOCKETS and tuple(args[1])[:2] != self._proxy:
            raise PermissionError(f"{event} to {args[1]} goes around the proxy")
        if event == "socket.getaddrinfo" and args[0] != self._proxy[0]:
            raise PermissionError(f"{args[0]} is not looked up here")
        if event in STARTS:
            raise PermissionError(f"{event} is not for this program")
        if event == "subprocess.Popen":
            self._judge(list(args[1]))

    def _judge(self, argv: Sequence[Any]) -> None:
        words = [os.fsdecode(word) for word in argv]
        if words[0] not in self._programs:
            raise PermissionError(f"{words[0]} may not run")
        inputs = [after for before, after in pairwise(words) if before == "-i"]
        if not all(name.startswith("file:") for name in inputs):
            raise Refusal("unsupported_url", "a live or unusually encrypted stream can't be fetched")


class Meter:
    """A progress hook: reports, and ends the download once all files together exceed `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[str, int] = {}
        self._told = -REPORT_EVERY

    def __call__(self, state: Mapping[str, Any]) -> None:
        have = state.get("downloaded_bytes") or 0
        self._files[state["filename"]] = have
        others = sum(self._files.values()) - have
        total = state.get("total_bytes")
        if max(have, total or 0) + others > self._most:
            raise Refusal("too_large", f"the video is larger than the {self._most} bytes that are allowed")
        elapsed = state.get("elapsed") or 0.0
        if state["status"] == "finished" or not 0 <= elapsed - self._told < REPORT_EVERY:
            self._told = elapsed
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
    except (YoutubeDLError, OSError) as error:
        say(fault=fault(error))


def fetch(wish: Mapping[str, Any]) -> Mapping[str, Any]:
    """Download one video into the working folder; its facts."""
    with YoutubeDL(options(wish), auto_init=True) as ydl:
        for cookie in cookies(wish["url"], wish["cookies"] or ""):
            ydl.cookiejar.set_cookie(cookie)
        found = ydl.extract_info(wish["url"], download=True)
        video = next(iter(found.get("entries") or ()), None) if "entries" in (found or {}) else found
        made = (video or {}).get("requested_downloads") or ()
        if not video or not made:
            raise Refusal("unsupported_url", "no video was found there")
        return {
            "name": Path(made[0]["filepath"]).name,
            "title": video.get("title"),
            "url": video.get("webpage_url") or wish["url"],
            "duration": video.get("duration"),
            "extractor": video.get("extractor_key"),
            "id": video.get("id"),
        }


def options(wish: Mapping[str, Any]) -> dict[str, Any]:
    """What yt-dlp is told; nothing comes from a configuration file, a cache or a plug-in."""
    return {
        "proxy": wish["proxy"],
        "format": wish["format"],
        "merge_output_format": wish["container"],
        "postprocessors": _remux(wish["container"]) if wish["ffmpeg"] else [],
        "postprocessor_args": {"ffmpeg_i": ["-protocol_whitelist", "file", "-format_whitelist", FORMATS]},
        "postprocessor_hooks": [lambda state: say(step=state["postprocessor"])],
        "progress_hooks": [Meter(wish["most_bytes"])],
        "match_filter": _no_live,
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
    refused = next((link for link in chain if isinstance(link, Refusal)), None)
    return {
        "names": [type(link).__name__ for link in chain],
        "message": str(refused or error),
        "refused": refused.type if refused else None,
        "status": getattr(response, "status", None),
        "retry_after": response.headers.get("Retry-After") if response is not None else None,
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


def _no_live(info: Mapping[str, Any], *, incomplete: bool = False) -> None:  # noqa: ARG001 - yt-dlp's name for it
    if info.get("is_live") or info.get("live_status") == "is_upcoming":
        raise Refusal("unsupported_url", "this is a live stream; it can be fetched once it has ended")


def _remux(container: str | None) -> list[Mapping[str, str]]:
    return [{"key": "FFmpegVideoRemuxer", "preferedformat": container}] if container else []


def _ffmpeg_programs(ffmpeg: str | None) -> list[str]:
    """ffmpeg and the ffprobe beside it, as yt-dlp derives one path from the other."""
    if not ffmpeg:
        return []
    path = Path(ffmpeg)
    return [ffmpeg, str(path.with_name(path.name.replace("ffmpeg", "ffprobe")))]


def _share(have: float | None, of: float | None) -> float:
    return min(have / of, 1.0) if have and of else 0.0


if __name__ == "__main__":
    main()
