"""Forecast of starts: the line of waiting jobs run through the slots, as claims will do it, by estimates. Pure."""

import heapq
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from secondunit.queue.model import JobId
from secondunit.queue.sight.estimates import Span
from secondunit.queue.sight.room import Load
from secondunit.queue.value import Value

NOW = Span(0.0, 0.0)


class Turn(Value, frozen=True):
    """A job of the line, in the order of claims, with how long its run will take if that is known."""

    job_id: JobId
    type: str
    takes: Span | None


def starts(load: Load, running: Sequence[tuple[str, Span | None]], line: Sequence[Turn]) -> Mapping[JobId, Span]:
    """When each job of the line starts from now on; those are left out of which it can't be told.

    `running` are the types of what runs, each with how long it goes on; who goes on for an unknown time keeps its slot.
    """
    free = Counter(load.limits)
    free.subtract(type for type, _ in running)
    ends = [(left.seconds, left.error, type) for type, left in running if left]
    heapq.heapify(ends)
    unused, found = load.most - len(running), dict[JobId, Span]()
    lines: dict[str, deque[tuple[int, Turn]]] = {}
    for place, turn in enumerate(line):
        lines.setdefault(turn.type, deque()).append((place, turn))
    now = NOW
    while lines:
        heads = [type for type in lines if free[type] > 0]
        if heads and unused > 0:
            type = min(heads, key=lambda type: lines[type][0][0])
            _, turn = lines[type].popleft()
            if not lines[type]:
                del lines[type]
            found[turn.job_id] = now
            unused, free[type] = unused - 1, free[type] - 1
            if turn.takes:
                end = turn.takes.after(now)
                heapq.heappush(ends, (end.seconds, end.error, type))
        elif ends:
            seconds, error, type = heapq.heappop(ends)
            now = Span(max(seconds, now.seconds), error)
            unused, free[type] = unused + 1, free[type] + 1
        else:
            break
    return found


def behind(
    load: Load, type: str, last: Span, rest: Mapping[str, int], usually: Mapping[str, Span | None]
) -> Span | None:
    """When a job of this type starts with `rest` jobs before it that stand behind those who start by `last`.

    By what jobs of each type take `usually`; None where that is not known.
    """
    waits = [(n, usually.get(other)) for other, n in rest.items() if n]
    if any(span is None for _, span in waits):
        return None
    own = usually.get(type)
    lanes = [(sum((n * span.seconds for n, span in waits if span), 0.0) / max(load.most, 1))]
    if own and rest.get(type):
        lanes.append(rest[type] * own.seconds / max(load.limits.get(type, 1), 1))
    seconds = max(lanes)
    share = max((span.error / span.seconds for _, span in waits if span and span.seconds), default=0.0)
    return Span(seconds, share * seconds).after(last)
