"""Home boxes: what is said of a job whose input is a file of another box, by how that box is. Pure."""

from datetime import datetime

from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sentences import Sentence, say


def home_of(box: str | None, home: BoxRow | None, now: datetime) -> Sentence:
    """Where the job runs, and what to do if that box is gone."""
    told = say("its input is a local file of the box {box}, so it runs only there", box=box)
    state = home.state(now) if home else "gone"
    if home and state == "up":
        template = "{told}; that box is up, and {address} tells its place in the line"
        return say(template, told=told, address=home.address)
    if state == "draining":
        return say("{told}; that box starts nothing more for now", told=told)
    last = say("that box was not seen yet")
    if home:
        last = say("that box is gone, last seen at {at}", at=f"{home.seen_at:%Y-%m-%dT%H:%M:%SZ}")
    remedy = say("start its daemon again (BOX={box}), or cancel the job and submit it where its input is", box=box)
    return say("{told}; {last}: {remedy}", told=told, last=last, remedy=remedy)
