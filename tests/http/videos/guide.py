"""A daemon whose maps are made by a stand-in."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from secondunit.handlers.locations.strategy import latest_key, location_strategy, locations_key
from secondunit.queue import state
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter
from secondunit.queue.outcome import Completed, Partial

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
VIDEO = "dQw4w9WgXcQ"
ANALYZE = "/api/videos/analyze"
PLACES = f"/api/videos/{VIDEO}/locations"
MODEL = "gemini-test"
NOW = location_strategy(MODEL, None)
HOW = {"strategy_version": NOW}
ROUTE = {
    "location": "Taipei 101",
    "coordinates": [121.5645, 25.0339],
    "description": "the view at night",
    "timecode": "00:05:12,000",
    "tags": ["landmark"],
    "marker": "poi",
}
SHILIN = {"raw": "Shilin Night", "reason": "not_found"}
STATS = {"tokens_in": 900, "tokens_out": 80, "locations_found": 1}
LAST_UPDATED = 1893456000


class Params(BaseModel):
    language: Annotated[str, Field(pattern="^[a-z-]{2,8}$")] | None = None
    model: str | None = None


class Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    video_url: str
    params: Params | None = None


class Guide:
    """A harness that serves `locations`, whose runs the tests make themselves."""

    def __init__(self) -> None:
        self.harness: Any = None
        self.missing: str | None = None

    @property
    def spec(self) -> HandlerSpec:
        return HandlerSpec("locations", Payload, self._run, check=self._check)

    def _check(self, payload: Payload) -> None:
        if self.missing:
            raise TypeUnavailable("locations", self.missing)
        if "10.0.0.1" in payload.video_url:
            raise BadPayload(FieldError("videoUrl", "10.0.0.1 is a private address (ALLOW_PRIVATE_ADDRESSES)"))

    async def _run(self, ctx: JobContext, payload: Payload) -> None:
        raise AssertionError("tests move jobs themselves")

    async def ask(self, status: int = 202, **body: Any) -> Any:
        """The answer to the question for a video's places."""
        return await self.harness.call("POST", ANALYZE, body or {"url": URL}, status=status)

    async def end(self, job_id: str, *failed: Mapping[str, Any], strategy: str = NOW) -> None:
        """Let the job end with one place found and these failed, its result stored as the job type does it."""
        result = {
            "video_id": VIDEO,
            "strategy_version": strategy,
            "routes": [ROUTE],
            "failed": list(failed),
            "retryable": bool(failed),
            "last_updated": LAST_UPDATED,
            "stats": STATS,
            "attribution": "OpenStreetMap contributors",
        }
        results = self.harness.api.locations.results
        lease = await self.harness.start(job_id)
        await results.put(locations_key(VIDEO, strategy), result, job_id)
        await results.put(latest_key(VIDEO), {"strategy": strategy}, job_id)
        now = self.harness.clock.now()
        await self.harness.store.change(job_id, lambda job: state.with_stats(job, STATS, now), lease=lease)
        await self.harness.settle(job_id, Partial(result, failed) if failed else Completed(result))

    async def jobs(self) -> int:
        """How many jobs there are."""
        return int((await self.harness.queue.find(Filter())).total)
