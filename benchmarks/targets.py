"""What the figures should be, and what they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from figures import Found, Key, short

FULL, NORMAL, ALWAYS = "FULL", "NORMAL", "fsync always"
CLAIMS, LEASED, WAITING = "claims of one, as leases are", "leases of 8 workers", "200 idle long polls of leases"
LOST = 0.9


@dataclass(frozen=True, slots=True)
class Target:
    """`of`, or what it is of `over` in the same round, must be at least or at most `want`."""

    says: str
    of: Key
    bound: Literal["at least", "at most"]
    want: float
    over: Key | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target beside the median of what was found, None where it was not measured."""

    target: Target
    have: float | None

    @property
    def met(self) -> bool:
        """Whether it was measured and is good enough."""
        if self.have is None:
            return False
        return self.have >= self.target.want if self.target.bound == "at least" else self.have <= self.target.want

    @property
    def word(self) -> str:
        """The verdict as one reads it."""
        if self.have is None:
            return "not measured"
        off = abs(self.have / self.target.want - 1) * 100
        return "met" if self.met else f"MISSED by {off:.0f} %"


def judge(targets: Sequence[Target], found: Found) -> Sequence[Verdict]:
    """Each target's verdict."""
    verdicts = []
    for target in targets:
        rounds = found.ratio(target.of, target.over) if target.over else found.values.get(target.of, {})
        verdicts.append(Verdict(target, median(rounds.values()) if rounds else None))
    return verdicts


def lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The verdicts as a table."""
    yield "| target | want | have | verdict |"
    yield "| --- | ---: | ---: | --- |"
    for verdict in verdicts:
        want = f"{verdict.target.bound} {short(verdict.target.want)}"
        have = "-" if verdict.have is None else short(verdict.have)
        yield f"| {verdict.target.says} | {want} | {have} | {verdict.word} |"


def targets(crowd: str) -> Sequence[Target]:
    """All of them; `crowd` is what measurements over many ended rows have behind their name."""
    return [*_http(), *_queue(), *_leases(), *_boxes(), *_box(), *_crowded(crowd)]


def _http() -> Iterator[Target]:
    submit, bare = "HTTP submit, 64 connections", "bare aiohttp, 64 connections"
    yield Target(
        "HTTP submit FULL, 64 connections, of bare aiohttp",
        Key(submit, FULL, "requests/s"), "at least", 0.5, Key(bare, "", "requests/s"),
    )  # fmt: skip
    yield Target("HTTP submit FULL, 64 connections, p99 ms", Key(submit, FULL, "p99 ms"), "at most", 25)
    limited = Key("HTTP submit with all limits", FULL, "of unlimited")
    yield Target("HTTP submit FULL with all limits on, of all off", limited, "at least", LOST)
    yield Target("HTTP batches of 100 FULL, jobs/s", Key("HTTP batches of 100", FULL, "jobs/s"), "at least", 20_000)
    yield Target("pickup from HTTP, p50 ms", Key("pickup from HTTP", FULL, "p50 ms"), "at most", 3)
    yield Target("event loop's lag under full load, ms", Key("event loop under load", FULL, "lag ms"), "at most", 50)
    readers = "1,000 readers, 10 events/s"
    yield Target(f"{readers}: delivered %", Key(readers, FULL, "delivered %"), "at least", 100)
    yield Target(f"{readers}: p99 ms", Key(readers, FULL, "p99 ms"), "at most", 100)
    yield Target(f"{readers}: of a core %", Key(readers, FULL, "of a core %"), "at most", 25)


def _queue() -> Iterator[Target]:
    drain, both = Key("drain", FULL, "jobs/s"), Key("end to end", FULL, "jobs/s")
    yield Target("64 callers FULL, jobs/s", Key("enqueue by 64 callers", FULL, "jobs/s"), "at least", 25_000)
    yield Target("drain FULL, of plainjob's NORMAL", drain, "at least", 1, Key("plainjob", NORMAL, "drain/s"))
    for peer, durability, at_least in (("plainjob", FULL, 1.15), ("huey", FULL, 3), ("BullMQ", ALWAYS, 1.15)):
        for says, ours in (("drain", drain), ("end to end", both)):
            theirs = Key(peer, durability, f"{says}/s")
            yield Target(f"{says} FULL, of {peer}'s {durability}", ours, "at least", at_least, theirs)
    guarded = Key("drain, guards on", FULL, "jobs/s")
    yield Target("drain FULL with guards on, of all off", guarded, "at least", LOST, drain)
    yield Target("pickup in process, p50 ms", Key("pickup in process", FULL, "p50 ms"), "at most", 2)
    yield Target("claim beside 100k delayed, p50 ms", Key("claim beside 100k delayed", FULL, "p50 ms"), "at most", 0.1)


def _leases() -> Iterator[Target]:
    lease, claim = Key(LEASED, FULL, "lease, less bare HTTP, CPU us"), Key(CLAIMS, FULL, "CPU us a job")
    yield Target("CPU of a lease over HTTP less bare HTTP's, of a claim's in process", lease, "at most", 1, claim)
    yield Target(f"{WAITING}, of a core %", Key(WAITING, FULL, "of a core %"), "at most", 5)


def _boxes() -> Iterator[Target]:
    ours = Key("3 boxes, end to end", FULL, "jobs/s")
    for peer in ("PgQueuer", "Procrastinate"):
        theirs = Key(f"{peer}, 3 boxes", FULL, "jobs/s")
        yield Target(f"3 boxes on PostgreSQL, end to end, of {peer}'s", ours, "at least", 2, theirs)


def _box() -> Iterator[Target]:
    yield Target("start, to listening s", Key("start", FULL, "to listening s"), "at most", 1.0)
    yield Target("idle, CPU %", Key("idle, all on", FULL, "CPU %"), "at most", 0.1)
    yield Target("idle, RSS MiB", Key("idle, all on", FULL, "RSS MiB"), "at most", 60)
    for says, ours, bare, most in (
        ("HLS ladder's CPU", "HLS ladder", "bare ffmpeg, same graph", 1.05),
        ("HLS ladder's CPU with its 1080p copied", "HLS ladder, a rung copied", "bare ffmpeg, every rung encoded", 0.6),
        ("HLS of one rung, copied, CPU", "HLS, one rung, copied", "bare ffmpeg, one rung", 0.1),
    ):
        yield Target(f"{says}, of bare ffmpeg's", Key(ours, "", "CPU s"), "at most", most, Key(bare, "", "CPU s"))
    ten, one = Key("thumbnail, ten in one GOP", "", "CPU s"), Key("thumbnail, one", "", "CPU s")
    yield Target("CPU of ten thumbnails in one GOP, of one", ten, "at most", 1.3, one)


def _crowded(crowd: str) -> Iterator[Target]:
    for what, figure in (
        ("HTTP submit, 64 connections", "requests/s"),
        ("HTTP batches of 100", "jobs/s"),
        ("enqueue by 64 callers", "jobs/s"),
        ("drain", "jobs/s"),
        ("end to end", "jobs/s"),
    ):
        above, below = Key(f"{what}{crowd}", FULL, figure), Key(what, FULL, figure)
        yield Target(f"{what} FULL{crowd}, of that on an empty one", above, "at least", LOST, below)
    first = Key(f"start{crowd}", FULL, "to the first job's end s")
    yield Target(f"start{crowd}, to the first job's end s", first, "at most", 1.5)
    seen = f"pages and queries{crowd}"
    yield Target(f"{seen}: the slowest's p95 ms", Key(seen, FULL, "p95 ms of the slowest"), "at most", 200)
    for what in ("pickup in process", "claim beside 100k delayed"):
        above, below = Key(f"{what}{crowd}", FULL, "p50 ms"), Key(what, FULL, "p50 ms")
        yield Target(f"{what}{crowd}, p50 of that on an empty one", above, "at most", 1 / LOST, below)
