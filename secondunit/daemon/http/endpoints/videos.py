"""Video endpoints for TrailTag's clients: places asked for, read from what is stored, and what failed tried again."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from secondunit.daemon.http.context import Api, Locations
from secondunit.daemon.http.contract import requests, trailtag
from secondunit.daemon.http.contract.video_requests import LocationsRequest, located
from secondunit.daemon.http.transport.json_bodies import read_object
from secondunit.daemon.http.transport.problems import NoSuchLocations
from secondunit.daemon.http.transport.replies import reply
from secondunit.handlers.locations.strategy import (
    latest_key,
    latest_strategy,
    location_strategy,
    locations_key,
    video_id,
)
from secondunit.queue.errors import BadPayload, FieldError, NotAllowed, TypeUnavailable
from secondunit.queue.model import Job, Submission

TYPE = "locations"


async def analyze(api: Api, request: web.Request) -> web.Response:
    """Find the places of the video at `url` (or `video_url`).

    200 with `cached: true` when they are known: `status` is `done`, or `partial` when some could not be placed. Else
    202 with the job that looks for them, which is shared by all who ask for the same meanwhile.
    """
    desk = _desk(api)
    ask = requests.taken(requests.VideoAsk, await read_object(request, api.settings.max_body))
    wanted = located(ask)
    video, strategy = _named(desk, wanted)
    key = locations_key(video, strategy)
    if stored := await desk.results.get(key):
        result, maker = stored
        return reply(trailtag.known(maker, result))
    labels = {trailtag.VIDEO: video, trailtag.STRATEGY: strategy}
    asked = Submission(TYPE, wanted.payload, dedupe_key=f"asked {key}", source=trailtag.SOURCE, labels=labels)
    try:
        job, _ = await api.queue.submit(asked)
    except BadPayload as error:
        raise BadPayload(*(wanted.fault(fault) for fault in error.errors)) from None
    return reply(trailtag.submitted(job), 202, {"Location": f"/api/jobs/{job.id}"})


async def locations(api: Api, request: web.Request) -> web.Response:
    """The places of a video, in the order of their time codes; of a partial result also those that failed.

    By the strategy that is named; else by the one that is in use now, or, before it has a result, the latest that has.
    """
    result, _ = await _stored(_desk(api), request)
    return reply(trailtag.visualization(result))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Look again for the places that failed, and only for those; the job that made the result does so."""
    api.queue.registry[TYPE]
    result, maker = await _stored(_desk(api), request)
    if not trailtag.anything_failed(result):
        raise NotAllowed(maker, "no place failed; there is nothing to be tried again")
    job = await _requeued(api, await api.queue.get(maker))  # which is there: a result that is kept keeps its job
    return reply(trailtag.moved(job), 202, {"Location": f"/api/jobs/{job.id}"})


async def _requeued(api: Api, maker: Job) -> Job:
    """The job, queued again, or as it stands when it is at it already."""
    try:
        return await api.queue.retry(maker.id)
    except NotAllowed:  # it, or another job for the same work, is live
        twin = await api.queue.live_twin(maker.dedupe_key) if maker.dedupe_key else None
        return twin or await api.queue.get(maker.id)


async def _stored(desk: Locations, request: web.Request) -> tuple[Mapping[str, Any], str]:
    """The result that a request means, and the job that made it."""
    video = request.match_info["video_id"]
    named = requests.query(requests.StrategyQuery, request.query).strategy
    found = await desk.results.get(locations_key(video, named or location_strategy(desk.model, None)))
    if found is None and named is None and (latest := await desk.results.get(latest_key(video))):
        found = await desk.results.get(locations_key(video, latest_strategy(latest[0])))
    if found is None:
        raise NoSuchLocations(video, named)
    return found


def _named(desk: Locations, wanted: LocationsRequest) -> tuple[str, str]:
    """The video's name, and that of how its places are found."""
    try:
        video = video_id(wanted.url)
    except ValueError as error:
        raise BadPayload(FieldError(wanted.field, f"is no address: {error}")) from None
    return video, location_strategy(wanted.model(desk.model), wanted.language)


def _desk(api: Api) -> Locations:
    if api.locations is None:
        raise TypeUnavailable(TYPE, "this daemon was built without a result cache")
    return api.locations
