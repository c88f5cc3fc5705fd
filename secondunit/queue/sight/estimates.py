"""Runtime estimation from earlier runs of a type: the median of how long they took for the size of their inputs. Pure.

A size is a figure with a name: bytes of the input, or what a handler told of the work (seconds of film, CPU seconds at
most). The error is the median deviation of what would have been predicted for each run from the others: half of all
runs are nearer than that.
"""

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import median

from secondunit.queue.value import Value

KEPT = 20
RUNS = "runs"  # the basis where no size is known
SURELY = 0.1  # a progress below this tells nothing of the rest
DOUBTFUL = 0.5  # the share that a guess by progress alone may be off
CLEARLY = 0.5  # another basis is taken when its error is so small a part of the first one's

LONGEST = 10 * 365 * 86400.0  # seconds: what would take longer is not told

Sizes = Mapping[str, float]


class Sample(Value, frozen=True):
    """A run that ended well: seconds, CPU seconds of its programs (0: none ran), and the sizes that were known."""

    took: float
    cpu: float
    sizes: Sizes


class Span(Value, frozen=True):
    """So many seconds from now, and how far off that may be."""

    seconds: float
    error: float

    def after(self, other: "Span") -> "Span":
        """This one behind another; errors that know nothing of each other add up like the sides of a square."""
        return Span(self.seconds + other.seconds, hypot(self.error, other.error))


class Estimate(Value, frozen=True):
    """How long a whole run takes, and the CPU time of its programs if earlier ones had any.

    It is made from `runs` earlier ones, by their sizes of the name `basis`, or as the median of all ("runs").
    """

    span: Span
    cpu: float | None
    basis: str
    runs: int


class _Rate(Value, frozen=True):
    """Seconds and CPU seconds for one unit of `basis`, and the share that a prediction by it is off."""

    basis: str
    seconds: float
    cpu: float
    share: float
    runs: int


class Rates:
    """What the last runs of a type tell, worked out once for each size."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._known: dict[str, _Rate | None] = {}

    def estimated(self, sizes: Sizes) -> Estimate | None:
        """How long a run on an input of these sizes takes; None without earlier runs.

        Of several sizes the first counts, and any before none, unless another predicts the earlier runs clearly better.
        """
        sizes = {name: size for name, size in sizes.items() if size > 0}
        rates = [rate for name in (*sizes, RUNS) if (rate := self._rate(name))]
        if not rates:
            return None
        best = rates[0]
        for rate in rates[1:]:
            if rate.share < CLEARLY * best.share:
                best = rate
        size = sizes.get(best.basis, 1.0)
        seconds = best.seconds * size
        if not seconds < LONGEST:
            return None
        return Estimate(Span(seconds, best.share * seconds), best.cpu * size or None, best.basis, best.runs)

    def _rate(self, basis: str) -> _Rate | None:
        if basis not in self._known:
            self._known[basis] = _rate(self._samples, basis)
        return self._known[basis]


def left(estimate: Estimate | None, elapsed: float, progress: float) -> Span | None:
    """How long a run goes on that has come so far; None while nothing tells.

    What is known of earlier runs and what its progress says are weighed by the progress itself.
    """
    elapsed = max(elapsed, 0.0)
    known = None if estimate is None else _rest(estimate.span, elapsed)
    if progress <= SURELY or elapsed == 0.0:
        return known
    progress = min(progress, 1.0)
    seconds = min(elapsed * (1 - progress) / progress, LONGEST)
    if known is None:
        return Span(seconds, DOUBTFUL * seconds)
    both = progress * seconds + (1 - progress) * known.seconds
    return Span(both, max((1 - progress) * known.error, abs(seconds - known.seconds) * progress * (1 - progress)))


def _rest(whole: Span, elapsed: float) -> Span:
    """One that takes longer than was thought may end at any moment; how far off that is grows with the time."""
    rest = whole.seconds - elapsed
    return Span(rest, whole.error) if rest >= 0 else Span(0.0, max(whole.error, -rest))


def _rate(samples: Sequence[Sample], basis: str) -> _Rate | None:
    def size(sample: Sample) -> float:
        return 1.0 if basis == RUNS else sample.sizes.get(basis, 0.0)

    usable = [sample for sample in samples[-KEPT:] if size(sample) > 0]
    if not usable:
        return None
    seconds = [sample.took / size(sample) for sample in usable]
    cpu = median(sample.cpu / size(sample) for sample in usable)
    return _Rate(basis, median(seconds), cpu, _share(seconds), len(usable))


def _share(ratios: Sequence[float]) -> float:
    """The median deviation of each from the median of the others, as a share of that; 1 where there are no others."""
    if len(ratios) < 2:
        return 1.0
    apart = [median([*ratios[:place], *ratios[place + 1 :]]) for place in range(len(ratios))]
    return median(abs(ratio - other) / other if other else 1.0 for ratio, other in zip(ratios, apart, strict=True))
