"""Video endpoints for TrailTag's clients: places asked for, read from what is stored, and what failed tried again."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.http.context import Api, Locations
from secondunit.daemon.http.contract import requests, trailtag
from secondunit.daemon.http.contract.video_requests import LocationsRequest, VideoAsk, located
from secondunit.daemon.http.traces import note_made, traced
from secondunit.daemon.http.transport.admission import count_jobs
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.auth import caller_of, is_seen
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import PROBLEM_TYPES, NoSuchLocations, problem
from secondunit.daemon.http.transport.replies import reply
from secondunit.handlers.locations.strategy import (
    asked_key,
    last_asked_key,
    latest,
    latest_key,
    latest_strategy,
    location_strategy,
    locations_key,
    video_id,
)
from secondunit.queue.errors import BadPayload, FieldError, JobNotFound, NotAllowed, StoreFull, TypeUnavailable
from secondunit.queue.model import Job, Status, Submission
from secondunit.queue.validation import validated

TYPE = "locations"
NO_JOB = ""
Stored = tuple[Mapping[str, Any], str]


async def analyze(api: Api, request: web.Request) -> web.Response:
    """Find the places of the video at `url` (or `video_url`), or of each of up to 100 `urls`.

    200 with `cached: true` when they are known: `status` is `done`, or `partial` when some could not be placed. Else
    202 with the job that looks for them, which is shared by all who ask for the same meanwhile. `urls` are answered in
    their order under `videos`, with 200 when all are known; when one of them is refused, nothing is done for any.
    """
    desk, caller = _desk(api), caller_of(request)
    caller.check_types([TYPE])
    ask = requests.taken(VideoAsk, await read_object(request, api.settings.max_body))
    wanted = _named(desk, located(ask), caller)
    known = {video.key: stored for video in wanted if (stored := await _known(api, desk, video))}
    missing = [video for video in wanted if video.key not in known]
    _judge(api, missing)
    jobs = await _submitted(api, request, missing)
    for video in wanted:
        await _note_asked(desk, video, jobs.get(video.key))
    answers = [trailtag.submitted(jobs[v.key]) if v.key in jobs else trailtag.known(*known[v.key]) for v in wanted]
    status = 202 if jobs else 200
    if ask.urls is not None:
        return reply(trailtag.several(answers), status)
    [answer] = answers
    return reply(answer, status, {"Location": f"/api/jobs/{answer.job_id}"} if jobs else None)


async def locations(api: Api, request: web.Request) -> web.Response:
    """The places of a video, in the order of their time codes; of a partial result also those that failed.

    By the strategy that is named; else by that of the last analyze in `language`, or, where none is named, of the last
    one without a language, or else the one in use now, or the latest. 404 while they are looked for, with the job.
    """
    found = await _stored(api, request)
    return _under_way(found) if isinstance(found, Job) else reply(trailtag.visualization(found[0]))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Look again for the places that failed, and only for those; the job that made the result does so."""
    api.queue.registry[TYPE]
    caller_of(request).check_types([TYPE])
    found = await _stored(api, request)
    if isinstance(found, Job):
        return _under_way(found)
    result, maker = found
    if not trailtag.anything_failed(result):
        raise NotAllowed(maker, "no place failed; there is nothing to be tried again")
    job = await _requeued(api, await api.queue.get(maker))  # which is there: a result that is kept keeps its job
    note(request, job.id, job.type)
    return reply(trailtag.looking_again(job, result), 202, {"Location": f"/api/jobs/{job.id}"})


class _Wanted(NamedTuple):
    """A video whose places are wanted, and how they are to be found."""

    request: LocationsRequest
    video: str
    strategy: str
    caller: Caller

    @property
    def key(self) -> str:
        return locations_key(self.video, self.strategy)

    @property
    def submission(self) -> Submission:
        labels = {trailtag.VIDEO: self.video, trailtag.STRATEGY: self.strategy}
        key = self.caller.own(_dedupe_key(self.video, self.strategy))
        return Submission(
            TYPE, self.request.payload, dedupe_key=key, source=trailtag.SOURCE, labels=labels,
            submitted_by=self.caller.name, owner=self.caller.prefix,
        )  # fmt: skip


def _named(desk: Locations, asked: Sequence[LocationsRequest], by: Caller) -> Sequence[_Wanted]:
    """The name of each video, and that of how its places are found; or what is wrong with the addresses."""
    named, faults = list[_Wanted](), list[FieldError]()
    for one in asked:
        try:
            named.append(_Wanted(one, video_id(one.url), location_strategy(one.model(desk.model), one.language), by))
        except ValueError as error:
            faults.append(FieldError(one.field, f"is no address: {error}"))
    if faults:
        raise BadPayload(*faults)
    return named


async def _known(api: Api, desk: Locations, wanted: _Wanted) -> Stored | None:
    """The result that is there, if the caller may know of the job that made it."""
    stored = await desk.results.get(wanted.key)
    return stored if stored and await is_seen(api, wanted.caller, stored[1]) else None


def _judge(api: Api, wanted: Sequence[_Wanted]) -> None:
    """Refuse what can't be done, each fault under the name that the caller wrote."""
    faults: dict[str, FieldError] = {}
    for one in wanted:
        try:
            validated(api.queue.registry[TYPE], one.request.payload)
        except BadPayload as error:
            told = [one.request.fault(fault) for fault in error.errors]
            faults |= {fault.field: fault for fault in told}
    if faults:
        raise BadPayload(*faults.values())


async def _submitted(api: Api, request: web.Request, wanted: Sequence[_Wanted]) -> Mapping[str, Job]:
    """The jobs that look for these, all or none; one for those that are the same."""
    asked = {one.key: one.submission for one in wanted}
    count_jobs(request, len(asked))
    stored = await api.queue.submit_all(traced(request, list(asked.values()))) if asked else []
    note_made(request, stored)
    return {key: job for key, (job, _) in zip(asked, stored, strict=True)}


async def _note_asked(desk: Locations, wanted: _Wanted, job: Job | None) -> None:
    """Remember that this is what was last asked of the video, and the job where that alone answers for the video."""
    own = wanted.caller.own
    with suppress(StoreFull):  # what is known is told on a full disk, too
        for key in (asked_key(wanted.video, wanted.request.language), last_asked_key(wanted.video)):
            if await _kept(desk, own(key)) != wanted.strategy:
                await desk.asked.put(own(key), latest(wanted.strategy), NO_JOB)
        if job is not None and (wanted.caller.tenant is not None or not desk.keeps_results):
            await desk.asked.put(own(_job_key(wanted.key)), {}, job.id)


async def _requeued(api: Api, maker: Job) -> Job:
    """The job, queued again, or as it stands when it is at it already."""
    try:
        return await api.queue.retry(maker.id)
    except NotAllowed:  # it, or another job for the same work, is live
        twin = await api.queue.live_twin(maker.dedupe_key) if maker.dedupe_key else None
        return twin or await api.queue.get(maker.id)


async def _stored(api: Api, request: web.Request) -> Stored | Job:
    """The result that a request means and the job that made it, or the job that looks for it."""
    desk, video, caller = _desk(api), request.match_info["video_id"], caller_of(request)
    ask = requests.query(requests.StrategyQuery, request.query)
    async for strategy in _meant(desk, video, ask, caller):
        key = locations_key(video, strategy)
        if (found := await desk.results.get(key)) and await is_seen(api, caller, found[1]):
            return found
        if live := await api.queue.live_twin(caller.own(_dedupe_key(video, strategy))):
            return live
        if own := await _own(api, desk, caller, key):
            return own
    raise NoSuchLocations(video, ask.strategy)


async def _own(api: Api, desk: Locations, caller: Caller, key: str) -> Stored | Job | None:
    """What the job has to say of a video that this caller asked for; to a tenant who else asked is not told."""
    if not (noted := await desk.asked.get(caller.own(_job_key(key)))):
        return None
    try:
        job = caller.seen(await api.queue.get(noted[1]))
    except JobNotFound:
        return None
    if job.status in (Status.COMPLETED, Status.PARTIAL):
        return job.result, job.id
    return None if job.status.ended else job


async def _meant(desk: Locations, video: str, ask: requests.StrategyQuery, caller: Caller) -> AsyncIterator[str]:
    """The strategies that a request may mean, best first."""
    if ask.strategy is not None:
        yield ask.strategy
        return
    if last := await _kept(desk, caller.own(asked_key(video, ask.language))):
        yield last
    yield location_strategy(desk.model, ask.language)
    for key in () if ask.language else (caller.own(last_asked_key(video)), latest_key(video)):
        if last := await _kept(desk, key):
            yield last


async def _kept(desk: Locations, key: str) -> str | None:
    kept = await desk.asked.get(key) or await desk.results.get(key)
    return latest_strategy(kept[0]) if kept else None


def _under_way(job: Job) -> web.Response:
    return problem(PROBLEM_TYPES[NoSuchLocations], trailtag.not_yet(job), more=trailtag.under_way(job))


def _dedupe_key(video: str, strategy: str) -> str:
    return f"asked {locations_key(video, strategy)}"


def _job_key(key: str) -> str:
    """Where the job is kept that was asked for this result."""
    return f"job of {key}"


def _desk(api: Api) -> Locations:
    if api.locations is None:
        raise TypeUnavailable(TYPE, "this daemon was built without a result cache")
    return api.locations
