"""Sandbox of yt-dlp's program: an audit hook (PEP 578) that nothing can take away once it is set."""

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.utils import DownloadCancelled  # noqa: TID253 - loaded by the program only

SOCKETS = ("socket.connect", "socket.sendto", "socket.sendmsg")
STARTS = ("os.exec", "os.posix_spawn", "os.system", "os.spawn", "pty.spawn")


class DownloadRefused(DownloadCancelled):  # type: ignore[misc]  # yt-dlp has no types
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
            raise DownloadRefused("unsupported_url", "a live or unusually encrypted stream can't be fetched")
