"""A disk that loses power: what a program wrote and synced, recorded by strace, and what of it a cut may leave.

The model is a strict one. What was synced stays; of each write since then all, nothing, or any of its sectors may have
reached the platter, whatever came before or after it. A name is there once its folder was synced.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

SECTOR = 512
CALLS = "openat,write,pwrite64,ftruncate,unlink,rename,fsync,fdatasync"
# PID CALL(FD<path>, "data", size, offset) = result; with -xx every path and buffer is a row of \xNN.
TRACED = re.compile(r"^\d+ +(\w+)\((.*)\) += (\d+)")
NAMED = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happened to a file: `at` is an offset, or the size that it was cut to; a move's `data` whereto."""

    kind: Literal["write", "cut", "make", "remove", "move", "sync", "note"]
    path: str
    at: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Surface:
    """One file: what is on the platter, what is on its way there."""

    kept: bytearray = field(default_factory=bytearray)
    waiting: list[Act] = field(default_factory=list)
    named: bool = False


def record(
    argv: Sequence[str], database: Path, notes: Path, environ: Mapping[str, str], also: Sequence[Path] = ()
) -> list[Act]:
    """Run a program to its end; what it did to its database and `also`, and what it noted in `notes`, in order."""
    suffixes = ("", "-wal", "-journal", ".making", ".making-journal")
    paths = [database.parent, *(Path(f"{database}{suffix}") for suffix in suffixes), notes, *also]
    watched = [word for path in paths for word in ("-P", str(path))]
    log = notes.with_name("strace.log")
    trace = ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={CALLS}", "-e", "signal=none"]
    subprocess.run([*trace, "-o", log, *watched, *argv], env=environ, check=True, timeout=50)
    return list(_acts(log.read_text().splitlines(), str(notes)))


def after_cut(acts: Sequence[Act], chance: Random) -> Mapping[str, bytes]:
    """The files that are found when the power failed after these acts."""
    files: dict[str, Surface] = {}
    for act in acts:
        if act.kind == "note":
            continue
        if act.kind == "sync" and act.path not in files:  # a folder: its names are there now
            for surface in files.values():
                surface.named = True
            continue
        surface = files.setdefault(act.path, Surface())
        match act.kind:
            case "sync":
                for waiting in surface.waiting:
                    _apply(surface.kept, waiting)
                surface.waiting.clear()
            case "remove":
                del files[act.path]
            case "move":
                files[act.data.decode()] = moved = files.pop(act.path)
                moved.named = False
            case "write" | "cut":
                surface.waiting.append(act)
    luck = chance.choice((0.0, 0.5, 0.9, 1.0))
    named = {path: surface for path, surface in files.items() if surface.named or chance.random() < luck}
    return {path: _found(surface, luck, chance) for path, surface in named.items()}


def _found(surface: Surface, luck: float, chance: Random) -> bytes:
    content = bytearray(surface.kept)
    for act in surface.waiting:
        if chance.random() < luck:
            _apply(content, act)
        elif act.kind == "write" and chance.random() < 0.5:
            for start in range(0, len(act.data), SECTOR):
                if chance.random() < 0.5:
                    _apply(content, Act("write", act.path, act.at + start, act.data[start : start + SECTOR]))
    return bytes(content)


def _apply(content: bytearray, act: Act) -> None:
    if act.kind == "cut":
        del content[act.at :]
        content.extend(bytes(act.at - len(content)))
    else:
        content.extend(bytes(max(0, act.at - len(content))))
        content[act.at : act.at + len(act.data)] = act.data


def _acts(lines: Sequence[str], notes: str) -> Iterator[Act]:
    started: dict[str, str] = {}
    for line in lines:
        pid = line.split()[0]
        if line.endswith("<unfinished ...>"):  # another thread's call came between its begin and its end
            started[pid] = line.removesuffix("<unfinished ...>")
            continue
        whole = started.pop(pid) + line.partition("resumed>")[2] if "resumed>" in line else line
        if done := TRACED.match(whole):
            call, arguments, result = done.groups()
            if act := _act(call, arguments, int(result), notes):
                yield act


def _act(call: str, arguments: str, result: int, notes: str) -> Act | None:
    named, quoted = NAMED.search(arguments), QUOTED.search(arguments)
    path = _bytes(named[1]).decode() if named else ""
    data = _bytes(quoted[1]) if quoted else b""
    match call:
        case "write" if path == notes:
            return Act("note", path, data=data)
        case "pwrite64":
            assert len(data) == result, "a part of a write"
            return Act("write", path, int(arguments.rpartition(",")[2]), data)
        case "ftruncate":
            return Act("cut", path, int(arguments.rpartition(",")[2]))
        case "openat" if "O_CREAT" in arguments and data.decode() != notes:
            return Act("make", data.decode())
        case "unlink":
            return Act("remove", os.fsdecode(data))
        case "rename":
            old, new = QUOTED.findall(arguments)
            return Act("move", os.fsdecode(_bytes(old)), data=_bytes(new))
        case "fsync" | "fdatasync":
            return Act("sync", path)
    return None


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))
