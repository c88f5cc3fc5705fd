"""Captions codec: a video's captions as the result of a step, which has a bound, and back; pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from secondunit.handlers.tools.fetching.ports import Captions
from secondunit.handlers.tools.subtitles.cue import MOST_CUES, Cue

# A step's result may have 4 MiB of JSON; 3 of them hold some 30 hours of speech.
MOST = 3 << 20
LONGEST_TITLE, LONGEST_DESCRIPTION = 1_000, 10_000


def kept(captions: Captions) -> Mapping[str, Any]:
    """What of the captions a search for places needs; `cut` says from which second on they were too many."""
    size, cut = 0, None
    cues: list[list[Any]] = []
    for cue in captions.cues:
        line = [round(cue.start, 3), round(cue.end, 3), cue.text]
        size += len(json.dumps(line)) + 2
        if size > MOST or len(cues) >= MOST_CUES:
            cut = cue.start
            break
        cues.append(line)
    return {
        "title": captions.title and captions.title[:LONGEST_TITLE],
        "description": captions.description and captions.description[:LONGEST_DESCRIPTION],
        "duration": captions.duration,
        "language": captions.language,
        "kind": captions.kind,
        "cues": cues,
        "cut": cut,
    }


def cues_of(known: Mapping[str, Any]) -> Sequence[Cue]:
    """The cues that were kept."""
    return [Cue(start, end, text) for start, end, text in known["cues"]]
