"""Job type `locations`: the places of a travel video, on the map."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from secondunit.handlers.locations import result as made
from secondunit.handlers.locations.captions import cues_of, kept
from secondunit.handlers.locations.compression import (
    Chunk,
    TranscriptSegment,
    commonness,
    condensed,
    packed,
    segments,
    share,
)
from secondunit.handlers.locations.places import (
    INSTRUCTIONS,
    MOST_NAMED,
    MOST_PLACES,
    SCHEMA,
    Place,
    merged,
    placed,
    places_from,
    prompt,
)
from secondunit.handlers.locations.search import LookupAnswer, PlaceLookup
from secondunit.handlers.locations.strategy import (
    TEMPERATURE,
    latest,
    latest_key,
    location_strategy,
    locations_key,
    video_id,
)
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.ports import Subtitled
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.conversation import OUTPUT, Conversation
from secondunit.handlers.tools.gemini.model_names import model_name
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.handlers.tools.payload import PAYLOAD, LanguageTag, payload_like
from secondunit.handlers.tools.ports import Results
from secondunit.handlers.tools.subtitles.timecodes import mm_ss
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.waiting import waiting
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext, no_inputs
from secondunit.queue.outcome import Partial
from secondunit.queue.value import Value

MODEL = r"(models/)?[A-Za-z0-9]([._-]?[A-Za-z0-9]){0,80}"
AT_ONCE = 50  # segments between two reports of progress
Json = Mapping[str, Any]


class LocationParams(BaseModel):
    """How to look: the language of subtitles and answers, and another model than the operator's."""

    model_config = PAYLOAD

    language: LanguageTag | None = Field(
        default=None, description="of the subtitles to prefer, and of the descriptions"
    )
    model: Annotated[str, Field(pattern=f"^{MODEL}$"), AfterValidator(model_name)] | None = Field(
        default=None, description="the model that is asked; default GEMINI_MODEL"
    )


class LocationsPayload(BaseModel):
    """What a client asks for."""

    model_config = payload_like(videoUrl="https://www.youtube.com/watch?v=dQw4w9WgXcQ", params={"language": "en"})

    video_url: str = Field(description="the video's public address")
    params: Annotated[LocationParams, Field(description="how to look")] = LocationParams()


class LocationTools(Value, frozen=True):
    """The tools that this can't do without."""

    gemini: Gemini
    geocoder: Geocoder
    results: Results
    subtitled: Subtitled


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: LocationsPayload) -> None:
        _required(tools).subtitled.check("videoUrl", payload.video_url)

    async def run(ctx: JobContext, payload: LocationsPayload) -> Json | Partial:
        return await Search(tools, _required(tools), ctx, payload).run()

    return HandlerSpec(
        type="locations",
        programs=("yt-dlp", "deno"),
        payload=LocationsPayload,
        run=run,
        check=check,
        inputs=no_inputs,
        concurrency=2,
        paid=True,
        retry_partial=made.passing,
        trouble=lambda: tools.geocoder.trouble if tools.geocoder else None,
    )


def _required(tools: Tools) -> LocationTools:
    if tools.gemini is None:
        raise TypeUnavailable("locations", "set GEMINI_API_KEY to a key for the Gemini API")
    if tools.geocoder is None or tools.results is None or tools.subtitled is None:
        raise TypeUnavailable("locations", "this daemon was built without a geocoder, a result cache or subtitles")
    return LocationTools(tools.gemini, tools.geocoder, tools.results, tools.subtitled)


@dataclass(slots=True)
class Search:
    """One run."""

    tools: Tools
    required: LocationTools
    ctx: JobContext
    payload: LocationsPayload
    notes: list[str] = field(default_factory=list)

    async def run(self) -> Json | Partial:
        """The result: one that was made before, what was missing of it, or a new one; two jobs never make the same."""
        video = video_id(self.payload.video_url)
        how = location_strategy(self.model, self.payload.params.language)
        key = locations_key(video, how)
        async with AsyncExitStack() as stack:
            async with waiting(self.ctx, self.tools.clock, "another job looks at this video; waiting for its result"):
                await stack.enter_async_context(self.required.results.alone(key))
            stored, maker = await self.required.results.get(key) or (None, "")
            if stored is not None and (maker != self.ctx.job_id or not stored["failed"]):
                return await self._taken(stored)
            result = await self._made(video, how, stored)
            await self.required.results.put(key, result, self.ctx.job_id)
            await self.required.results.put(latest_key(video), latest(how), self.ctx.job_id)
            return made.outcome(result)

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.payload.params.model or self.required.gemini.model

    async def _taken(self, stored: Json) -> Json | Partial:
        await self.ctx.stats(tokens_in=0, tokens_out=0, locations_found=len(stored["routes"]))
        await self.ctx.progress(1, "taken from another job, which looked at the same video")
        return made.outcome(stored)

    async def _made(self, video: str, how: str, stored: Json | None) -> Json:
        """A new result; of a `stored` one only what is missing is looked for on the map again."""
        conversation = Conversation(self.required.gemini, self.tools.clock, self.ctx)
        have = len(stored["routes"]) if stored else 0
        if stored is None:
            await self._tell(conversation, 0)
        async with self.ctx.phase("metadata", 0.10):
            known = await self.ctx.step("captions", self._captions)
        async with self.ctx.phase("compression", 0.25):
            chunks = [Chunk(*chunk) for chunk in await self.ctx.step("chunks", lambda: self._compressed(known))]
        async with self.ctx.phase("summary", 0.35):
            places = await self._places(conversation, how, known, chunks)
        await self._tell(conversation, have)
        routes = made.routes_of(stored, places)
        async with self.ctx.phase("geocode", 0.30):
            outcomes = await self._mapped(conversation, places, routes, made.missing_until(stored))
        return made.result(video, how, places, outcomes, conversation.usage, self.notes, self.tools.clock.now())

    async def _captions(self) -> Json:
        """Nothing is fetched while Gemini can't be asked anyway."""
        await self.required.gemini.admit(self.model)
        url, language = self.payload.video_url, self.payload.params.language
        return await in_thread(kept, await self.required.subtitled.captions(url, self.ctx, language=language))

    async def _compressed(self, known: Json) -> Sequence[Sequence[Any]]:
        whole = await in_thread(lambda: segments(cues_of(known), known["language"]))
        part, common = await in_thread(lambda: (share(whole), commonness(whole)))
        short: list[TranscriptSegment] = []
        while len(short) < len(whole):
            batch = whole[len(short) : len(short) + AT_ONCE]
            short += await in_thread(lambda batch: [condensed(segment, part, common) for segment in batch], batch)
            await self.ctx.progress(len(short) / len(whole), f"{len(short)} of {len(whole)} segments")
        return [[chunk.start, chunk.end, chunk.text] for chunk in await in_thread(packed, short)]

    async def _places(
        self, conversation: Conversation, how: str, known: Json, chunks: Sequence[Chunk]
    ) -> Sequence[Place]:
        language, model = self.payload.params.language, self.payload.params.model
        found: list[Place] = []
        for n, chunk in enumerate(chunks, 1):
            question = Question(INSTRUCTIONS, prompt(known, chunk, language), SCHEMA, OUTPUT, TEMPERATURE, model)
            named = await conversation.understand(f"gemini-{how}-{n}", question, places_from)
            found += [place for one in named[:MOST_NAMED] if (place := placed(one, chunk))]
            conversation.done = n / len(chunks)
            await self.ctx.progress(conversation.done, f"{n} of {len(chunks)} parts read, {len(found)} places named")
        places = merged(found)
        self._note(known, chunks, places)
        return places[:MOST_PLACES]

    def _note(self, known: Json, chunks: Sequence[Chunk], places: Sequence[Place]) -> None:
        if known["cut"] is not None:
            self.notes.append(f"the subtitles were read up to {mm_ss(known['cut'])} only; the rest is too long")
        if not chunks:
            self.notes.append("the subtitles hold no words")
        elif not places:
            self.notes.append("no places are named in this video")
        if len(places) > MOST_PLACES:
            self.notes.append(f"the first {MOST_PLACES} of {len(places)} places were looked for")

    async def _mapped(
        self,
        conversation: Conversation,
        places: Sequence[Place],
        routes: Mapping[int, made.Route],
        since: datetime | None,
    ) -> Mapping[int, made.Route | LookupAnswer]:
        """Each place's route or why it has none; `routes` are known already."""
        outcomes: dict[int, made.Route | LookupAnswer] = dict(routes)
        lookup = PlaceLookup(self.required.geocoder, self.tools.clock, self.ctx, self.payload.params.language, since)
        lookup.done = len(routes) / max(1, len(places))
        if routes:
            await self.ctx.partial({"locations": list(routes.values())})

        async def told(n: int, answer: LookupAnswer) -> None:
            if isinstance(answer, GeocodingHit):
                outcomes[n] = made.route(places[n], answer)
                await self.ctx.partial({"locations": [outcomes[n]]})
                await self._tell(conversation, sum(isinstance(found, Mapping) for found in outcomes.values()))
            else:
                outcomes[n] = answer
            lookup.done = len(outcomes) / len(places)
            await self.ctx.progress(lookup.done, f"{len(outcomes)} of {len(places)} places looked for")

        wanted = {n: place.wanted for n, place in enumerate(places) if n not in routes}
        await lookup.look(wanted, told, have=len(routes))
        return outcomes

    async def _tell(self, conversation: Conversation, found: int) -> None:
        usage = conversation.usage
        await self.ctx.stats(tokens_in=usage.prompt, tokens_out=usage.answered, locations_found=found)
