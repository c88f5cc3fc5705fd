"""What a failed ffmpeg or ffprobe means for its job: trying again helps, or it does not."""

import re

from secondunit.handlers.tools.ports import Finished, Source
from secondunit.queue.outcome import Deterministic, Transient

DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")
NO_MEMORY = re.compile(r"Cannot allocate memory|Out of memory")
UNREADABLE = re.compile(
    r"Invalid data found|moov atom not found|not on whitelist|Protocol .* not (?:found|on whitelist)"
    r"|[Dd]ecoder .*not found|no decoder found|[Uu]nknown decoder|Could not find codec parameters"
    r"|Decode error rate|does not contain any stream|Picture size .* is invalid|[Uu]nsupported codec|max_pixels"
    r"|End of file|Error opening input"
)


def failure(program: str, finished: Finished, source: Source, attempt: int) -> Transient | Deterministic:
    """The exception that a program's failed end amounts to, its message naming the user's file.

    A crash or an OOM kill (signal 11 or 9) is worth one more attempt: the second says that it is the file.
    """
    what = f"{program} failed on {source.name}: {last_words(finished, source)}"
    if finished.returncode < 0:
        what = f"{program} was killed by signal {-finished.returncode} while working on {source.name}"
        repeated = finished.returncode in (-9, -11) and attempt > 1
        return Deterministic(what, type="killed") if repeated else Transient(what, type="killed")
    if DISK_FULL.search(finished.stderr):
        return Transient(what, type="disk_full")
    if NO_MEMORY.search(finished.stderr):
        return Transient(what, type="out_of_memory")
    if UNREADABLE.search(finished.stderr):
        return Deterministic(f"{source.name} can't be read as media: {last_words(finished, source)}", type="unreadable")
    return Transient(what, type=f"{program}_failed")


def last_words(finished: Finished, source: Source) -> str:
    """The last lines of what the program said, with the file's own name in place of its descriptor's."""
    lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
    text = " | ".join(lines[-3:]) or f"exit code {finished.returncode}"
    return text.replace(f"file:{source.path}", source.name).replace(str(source.path), source.name)[:600]
