"""Place lookup: each place of a video on the map, and a second try for those that got no answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, Missing, PlaceQuery
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Postponed, Transient

# A pause up to this long is waited for by the run; for a longer one it gives its room to another job.
LONGEST_PAUSE = timedelta(seconds=5)
ANSWERS_WITHIN = timedelta(minutes=1)  # its turn, and an answer that is waited for 10 s

LookupAnswer = GeocodingHit | Missing | Literal["unavailable"]
OnAnswer = Callable[[int, LookupAnswer], Awaitable[None]]


@dataclass(slots=True)
class PlaceLookup:
    """One round. `done` of the phase is done; `since` as in `Geocoder.find`."""

    geocoder: Geocoder
    clock: Clock
    ctx: JobContext
    language: str | None
    since: datetime | None = None
    done: float = 0.0

    async def look(self, wanted: Mapping[int, PlaceQuery], told: OnAnswer, *, have: int) -> Mapping[int, LookupAnswer]:
        """Where each of them is, or why it is nowhere; `told` of each, `have` are found already.

        Postponed while the geocoder is left alone and some were never asked for, or nothing was found at all;
        Transient when nothing was found because it failed.
        """
        answers: dict[int, LookupAnswer | None] = {}
        for n, place in wanted.items():
            answers[n] = await self._told(n, await self._find(place), told)
        for n in [n for n, answer in answers.items() if answer is None]:
            try:
                answers[n] = await self._told(n, await self._find(wanted[n]), told)
            except Postponed:
                if not have and not _any_found(answers):
                    raise
                break
        failed = [n for n, answer in answers.items() if answer is None]
        if failed and not have and not _any_found(answers):
            self.geocoder.admit()
            raise Transient(
                f"none of {len(answers)} places was found, the geocoder failed for {len(failed)} of them",
                type="geocoder_unavailable",
            )
        for n in failed:
            await told(n, "unavailable")
        return {n: answer or "unavailable" for n, answer in answers.items()}

    async def _told(
        self, n: int, answer: GeocodingHit | Missing | None, told: OnAnswer
    ) -> GeocodingHit | Missing | None:
        if answer is not None:
            await told(n, answer)
        return answer

    async def _find(self, wanted: PlaceQuery) -> GeocodingHit | Missing | None:
        """The geocoder's answer, after pauses that are short; None when it failed."""
        with self.ctx.quiet(ANSWERS_WITHIN, "the geocoder is asked"):
            while True:
                try:
                    return await self.geocoder.find(wanted, self.language, since=self.since)
                except Transient:
                    return None
                except Postponed as closed:
                    if closed.delay > LONGEST_PAUSE:
                        raise
                    await self.ctx.progress(self.done, str(closed))
                    await self.clock.sleep(closed.delay.total_seconds())


def _any_found(answers: Mapping[int, LookupAnswer | None]) -> bool:
    return any(isinstance(answer, GeocodingHit) for answer in answers.values())
