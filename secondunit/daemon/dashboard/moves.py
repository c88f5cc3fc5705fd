"""Moves for many jobs: the sentence that says how many were moved, how many not, and why."""

from collections import Counter

from secondunit.daemon.dashboard.texts import Texts
from secondunit.queue.graph.bulk import Bulk


def told(texts: Texts, do: str, moved: Bulk) -> str:
    """What was done, and what not, with each reason and how often it was given."""
    sentence = texts(f"jobs.did.{do}", n=len(moved.done))
    if not moved.refused:
        return texts("frame.stop", sentence=sentence)
    whys = Counter(texts.said(why) for _, why in moved.refused)
    reasons = texts("frame.semicolon").join(
        f"{why} ({number})" if len(whys) > 1 else why for why, number in whys.most_common(3)
    )
    return texts("jobs.some_refused", done=sentence, refused=texts("jobs.refused", n=len(moved.refused)), why=reasons)
