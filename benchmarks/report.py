"""The page and the JSON that tell what was found."""

from collections.abc import Iterator, Sequence

import targets
from figures import Found, table

MEANS = """
- FULL: a commit is on disk before anybody is told, and survives a power cut (SQLite's `synchronous=FULL`; plainjob is
  set so against its own default; huey's `fsync=True`).
- NORMAL: commits since the last checkpoint may be lost in a power cut, none by a kill (`synchronous=NORMAL`).
- fsync always, fsync each second: Redis with `appendonly yes` and `appendfsync always` or `everysec`; by the latter a
  second's commits may be lost.
- All run no-op jobs, ten at a time (the bare loop one): ours with validation, events and metrics, end to end by 64
  callers, over HTTP also with a key. huey and plainjob are called in the process that runs the jobs, as ours is where a
  line does not say HTTP; BullMQ's 64 callers and its worker share a process beside Redis.
- The HLS ladder is an `hls` job of the daemon: the CPU is that of the daemon and of all that it started meanwhile.
"""


def page(about: Sequence[str], found: Found, verdicts: Sequence[targets.Verdict]) -> Iterator[str]:
    """Markdown, line by line."""
    yield from ("# Benchmarks", "", *(f"- {line}" for line in about), "")
    yield from ("## Targets", "", "Medians; ratios are taken in the same round.", "", *targets.lines(verdicts), "")
    yield from ("## Figures", "", *MEANS.strip().splitlines(), "", *table(found.values))
    if found.missing:
        yield from ("", "## Not measured", "", *(f"- {name}: {why}" for name, why in found.missing.items()))


def values(about: Sequence[str], found: Found, verdicts: Sequence[targets.Verdict]) -> dict[str, object]:
    """All of it for programs."""
    judged = [
        {"says": one.target.says, one.target.bound: one.target.want, "have": one.have, "met": one.met}
        for one in verdicts
    ]  # fmt: skip
    figures = [{**key._asdict(), "rounds": list(rounds.values())} for key, rounds in found.values.items()]
    return {"machine": list(about), "targets": judged, "figures": figures, "missing": dict(found.missing)}
