"""What a failed ffmpeg or ffprobe means for its job: as for any program, and whether the file is to blame."""

import re
from dataclasses import replace

from secondunit.handlers.tools.ports import Finished, Source
from secondunit.handlers.tools.programs import failures
from secondunit.queue.outcome import Deterministic, Transient

UNREADABLE = re.compile(
    r"Invalid data found|moov atom not found|not on whitelist|Protocol .* not (?:found|on whitelist)"
    r"|[Dd]ecoder .*not found|no decoder found|[Uu]nknown decoder|Could not find codec parameters"
    r"|Decode error rate|does not contain any stream|Picture size .* is invalid|[Uu]nsupported codec|max_pixels"
    r"|End of file|Error opening input"
)


def failure(program: str, finished: Finished, source: Source, attempt: int) -> Transient | Deterministic:
    """The exception to raise, its message naming the user's file and not our descriptor of it."""
    said = finished.stderr.replace(f"file:{source.path}", source.name).replace(str(source.path), source.name)
    named = replace(finished, stderr=said)
    error = failures.failure(f"{program} on {source.name}", named, attempt)
    if error.type == failures.UNKNOWN and UNREADABLE.search(said):
        return Deterministic(f"{source.name} can't be read as media: {failures.last_words(named)}", type="unreadable")
    return error
