"""Guard of MEDIA_ROOTS: none may reach the daemon's own files, whatever links and mounts lead there. Blocking.

One folder lies in another if that is met on the way up from it, by device and inode, or if both are of one file system
and the one's place there is within the other's: so a bind mount shows from both its sides.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from secondunit.queue.value import Value

MOUNTS = Path("/proc/self/mountinfo")
ESCAPED = re.compile(r"\\([0-7]{3})")


def misplaced(
    roots: Sequence[Path], data_dir: Path, media: Path, database: Path, mounts: Path = MOUNTS
) -> Iterator[str]:
    """What is wrong with each root; `media` is the one folder of DATA_DIR that may be one, with what lies in it."""
    table = _mounts(mounts)
    remedy = f"name {media}, or a folder beside {data_dir}"
    for root in roots:
        if _within(data_dir, root, table):
            yield f"MEDIA_ROOTS: {root} contains DATA_DIR ({data_dir}): a job could replace the queue itself; {remedy}"
        elif _within(root, data_dir, table) and not _within(root, media, table):
            yield f"MEDIA_ROOTS: {root} lies in DATA_DIR ({data_dir}), where jobs have no business; {remedy}"
        elif _within(database.parent, root, table):
            yield f"MEDIA_ROOTS: {root} contains the database of QUEUE_URL ({database}); move one of them"


class _Mount(Value, frozen=True):
    """Where part of a file system is mounted: `top` is the part, `at` the mount point."""

    device: str
    top: Path
    at: Path


def _within(inner: Path, outer: Path, mounts: Sequence[_Mount]) -> bool:
    """Whether it does, or would once it is made: what is not there yet lies where the folders above it do."""
    try:
        full = inner.resolve()
        if full.is_relative_to(outer.resolve()):
            return True
        wanted, real = outer.stat(), next(path for path in (full, *full.parents) if path.exists())
        ways = (real, *real.parents)
        if any(os.path.samestat(wanted, way.stat()) for way in ways):
            return True
        place, whole = _place(real, mounts), _place(outer.resolve(strict=True), mounts)
    except (OSError, RuntimeError):  # what can't be reached, or is a loop of links, is found when it is opened
        return False
    return place is not None and whole is not None and place[0] == whole[0] and place[1].is_relative_to(whole[1])


def _place(path: Path, mounts: Sequence[_Mount]) -> tuple[str, Path] | None:
    """The device of a path without links, and its place in the device's file system."""
    above = [mount for mount in mounts if path.is_relative_to(mount.at)]
    if not above:
        return None
    mount = max(reversed(above), key=lambda mount: len(mount.at.parts))  # of two at one point the later is seen
    return mount.device, mount.top / path.relative_to(mount.at)


def _mounts(table: Path) -> Sequence[_Mount]:
    """What is mounted where (proc_pid_mountinfo(5)); nothing where that can't be seen."""
    try:
        lines = table.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ()
    return [_Mount(device, _unescaped(top), _unescaped(at)) for _, _, device, top, at, *_ in map(str.split, lines)]


def _unescaped(text: str) -> Path:
    return Path(ESCAPED.sub(lambda found: chr(int(found[1], 8)), text))
