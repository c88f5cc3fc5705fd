"""Kinds of conditions: each known word, what to do about it, what is true once it is over, and how it is found.

A new one is an entry in KINDS and the function that finds it.
"""

from collections.abc import Iterator

from secondunit.daemon.formats import instant
from secondunit.daemon.monitoring.inspection import Finding, Inspection, Kind, Provider
from secondunit.daemon.monitoring.notes import joined, paid_types
from secondunit.handlers.tools.media.ffmpeg import REMEDY, MediaMissing
from secondunit.queue.sentences import say

SHOWN = 5


def _store(seen: Inspection) -> Iterator[Finding]:
    if seen.fault is not None:
        yield Finding(say("the database can't be used: {why}", why=seen.fault))


def _plugins(seen: Inspection) -> Iterator[Finding]:
    for broken in seen.box.broken:
        yield Finding(say("{what} can't be used: {why}", what=broken.source, why=broken.why), broken.source)


def _ffmpeg(seen: Inspection) -> Iterator[Finding]:
    wanted = [spec for spec in seen.types.values() if "ffmpeg" in spec.programs]
    if isinstance(seen.box.media, MediaMissing) and any(seen.box.gemini or not spec.paid for spec in wanted):
        yield Finding(seen.box.media.why)


def _gemini_key(seen: Inspection) -> Iterator[Finding]:
    if seen.box.gemini:
        return
    queued = seen.queue.counts.queued if seen.queue else {}
    waiting = [
        say("{n} queued {type} jobs can't run", n=queued[type], type=type)
        for type in paid_types(seen)
        if queued.get(type)
    ]
    without = [say("nothing is polled")] * (seen.box.mode == "active") + waiting
    if without:
        yield Finding(say("without a key for Gemini {what}", what=joined(without)))


def _unknown_types(seen: Inspection) -> Iterator[Finding]:
    queued = seen.queue.counts.queued if seen.queue else {}
    elsewhere = {type for box in seen.boxes for type in box.limits}
    unknown = sorted(type for type, number in queued.items() if number and type not in {*seen.types, *elsewhere})
    if unknown:
        yield Finding(say("queued jobs of types that nothing here serves: {types}", types=unknown))


def _box_gone(seen: Inspection) -> Iterator[Finding]:
    queued = seen.queue.counts.queued if seen.queue else {}
    served = {*seen.types, *(type for box in seen.boxes if box.state != "gone" for type in box.limits)}
    for box in seen.boxes:
        if box.state != "gone":
            continue
        at, n, since = instant(box.row.seen_at), sum(box.running.values()), box.row.seen_at
        if box.waiting:
            template = "the box {box} was last seen at {at}, and jobs wait for it whose inputs are files there: {n}"
            yield Finding(say(template, box=box.name, at=at, n=box.waiting), box.name, since)
        elif n:
            told = say("the box {box} was last seen at {at}; jobs run under its leases: {n}", box=box.name, at=at, n=n)
            yield Finding(told, box.name, since, passing=True)
        elif waiting := sorted(type for type in box.limits if queued.get(type) and type not in served):
            template = "the box {box} was last seen at {at}, and no other serves queued jobs of {types}"
            yield Finding(say(template, box=box.name, at=at, types=waiting), box.name, since)


def _stuck_jobs(seen: Inspection) -> Iterator[Finding]:
    stuck = seen.queue.stuck if seen.queue else ()
    if stuck:
        yield Finding(say("{n} running jobs do not move: {jobs}", n=len(stuck), jobs=stuck[:SHOWN]))


def _poison_jobs(seen: Inspection) -> Iterator[Finding]:
    poisoned = seen.parts.poisoned.recent()
    if poisoned:
        yield Finding(say("the daemon died again and again under {jobs}", jobs=poisoned[:SHOWN]))


def _dead_deliveries(seen: Inspection) -> Iterator[Finding]:
    if seen.queue and (dead := seen.queue.deliveries.get("dead", 0)):
        yield Finding(say("{n} deliveries were given up, of {jobs}", n=dead, jobs=seen.queue.given_up))


def _disk_full(seen: Inspection) -> Iterator[Finding]:
    if seen.parts.disk.closed:
        yield Finding(say("{room}: no new jobs are taken", room=_room(seen)))


def _disk_low(seen: Inspection) -> Iterator[Finding]:
    if seen.free < seen.box.least_free and not seen.parts.disk.closed:
        yield Finding(_room(seen))


def _room(seen: Inspection) -> str:
    return say("{n} MiB are free on the disk of {disk}", n=seen.free >> 20, disk="DATA_DIR")


def _media_full(seen: Inspection) -> Iterator[Finding]:
    for root, disk in seen.parts.media.seen.items():
        if disk.lacking is not None:
            told = say("on the disk of {disk} {lacking}: jobs that write there wait", disk=root, lacking=disk.lacking)
            yield Finding(told, str(root))


def _media_low(seen: Inspection) -> Iterator[Finding]:
    for root, disk in seen.parts.media.seen.items():
        if disk.free is not None and disk.free < seen.box.least_free and not (disk.shared or disk.lacking):
            yield Finding(say("{n} MiB are free on the disk of {disk}", n=disk.free >> 20, disk=root), str(root))


def _media_unreachable(seen: Inspection) -> Iterator[Finding]:
    for root, disk in seen.parts.media.seen.items():
        if disk.fault is not None:
            yield Finding(say("{what} can't be looked at: {why}", what=root, why=disk.fault), str(root))


def _bucket_trouble(seen: Inspection) -> Iterator[Finding]:
    for bucket, trouble in seen.parts.buckets.recent().items():
        told = say("{what} can't be used: {why}", what=f"s3://{bucket}", why=trouble.text)
        yield Finding(told, bucket, passing=trouble.passing)


def _log_lost(seen: Inspection) -> Iterator[Finding]:
    if seen.parts.log.losing:
        yield Finding(
            say("{n} lines of the log were lost: nobody takes what is written to stderr", n=seen.parts.log.lost)
        )


def _failed_jobs(seen: Inspection) -> Iterator[Finding]:
    listed = seen.parts.poller.state.found if seen.parts.poller else 0
    if listed > seen.box.failed_jobs:
        yield Finding(say("the backend lists {n} failed jobs, more than {most}", n=listed, most=seen.box.failed_jobs))


def _backend_down(seen: Inspection) -> Iterator[Finding]:
    return _backend(seen, refused=False)


def _backend_refused(seen: Inspection) -> Iterator[Finding]:
    return _backend(seen, refused=True)


def _backend(seen: Inspection, *, refused: bool) -> Iterator[Finding]:
    polling = seen.parts.poller.state if seen.parts.poller else None
    if polling and polling.down_since is not None and polling.refused == refused:
        template, since = "the backend has given no list since {at}: {why}", polling.down_since
        yield Finding(say(template, at=instant(since), why=polling.trouble), since=since, passing=True)


def _gemini_trouble(seen: Inspection) -> Iterator[Finding]:
    return _trouble(seen.parts.gemini)


def _budget_used_up(seen: Inspection) -> Iterator[Finding]:
    if seen.queue and seen.queue.used_up is not None:
        yield Finding(say("{why}; jobs that need Gemini wait", why=seen.queue.used_up))


def _geocoder_trouble(seen: Inspection) -> Iterator[Finding]:
    return _trouble(seen.parts.geocoder, "{why}; jobs that need it wait")


def _trouble(provider: Provider | None, template: str = "{why}") -> Iterator[Finding]:
    if provider is not None and provider.trouble is not None:
        yield Finding(say(template, why=provider.trouble), passing=not provider.refused)


def _schedule_stopped(seen: Inspection) -> Iterator[Finding]:
    for name, why in seen.parts.schedules.stopped.items():
        yield Finding(say("the schedule {name} comes no more: {why}", name=name, why=why), name)


KINDS = (
    Kind(
        "store_broken",
        "see to the disk of DATA_DIR; the daemon ends and starts again by itself",
        "the database can be used again",
        _store,
    ),
    Kind("plugin_broken", "mend it or uninstall it, and restart", "{subject} can be used again", _plugins),
    Kind("ffmpeg_missing", f"{REMEDY}, and restart", "ffmpeg is there", _ffmpeg),
    Kind("gemini_key_missing", "set GEMINI_API_KEY and restart", "there is a key for Gemini", _gemini_key),
    Kind(
        "unknown_type",
        "install what serves them, or cancel them with `secondunit jobs cancel`",
        "no queued job is of a type that nothing here serves",
        _unknown_types,
    ),
    Kind(
        "box_gone",
        "see to that box, or start a daemon under its BOX; `secondunit boxes` lists all. What waits for its files"
        " can also be cancelled and submitted where they are",
        "nothing waits for the box {subject} any more",
        _box_gone,
    ),
    Kind(
        "stuck_jobs",
        "`secondunit recover` stops their runs and queues them again",
        "all running jobs move again",
        _stuck_jobs,
    ),
    Kind(
        "poison_jobs",
        "look into their logs before you retry them; they stay failed until then",
        "for an hour the daemon has died under no job",
        _poison_jobs,
    ),
    Kind(
        "dead_deliveries",
        "`secondunit jobs deliveries JOB` says why; --retry sends them again",
        "no delivery is given up any more",
        _dead_deliveries,
    ),
    Kind(
        "disk_full",
        "free some space, it goes on by itself",
        "there is room on the disk of DATA_DIR, new jobs are taken",
        _disk_full,
    ),
    Kind("disk_low", "free some space", "there is room enough on the disk of DATA_DIR", _disk_low),
    Kind(
        "media_full",
        "free some space there, they go on by themselves",
        "there is room on the disk of {subject}, jobs write there",
        _media_full,
    ),
    Kind("media_low", "free some space there", "there is room enough on the disk of {subject}", _media_low),
    Kind(
        "media_unreachable",
        "see to the disk or the mount of that entry of MEDIA_ROOTS",
        "{subject} can be looked at again",
        _media_unreachable,
    ),
    Kind(
        "bucket_trouble",
        "see to the bucket, its quota, and the AWS_* settings",
        "s3://{subject} was used without trouble, or for an hour not at all",
        _bucket_trouble,
    ),
    Kind(
        "log_lost",
        "restart what reads the log; jobs go on without it",
        "what is written to stderr is taken again",
        _log_lost,
    ),
    Kind(
        "schedule_stopped",
        "see why, then `secondunit schedule resume NAME`",
        "the schedule {subject} comes again",
        _schedule_stopped,
    ),
    Kind(
        "failed_jobs",
        "see what keeps them from being analysed online",
        "the backend lists no more than ALERT_FAILED_JOBS failed jobs",
        _failed_jobs,
    ),
    Kind(
        "backend_refused",
        "set INTERNAL_API_KEY to the key that the backend knows, and restart",
        "the backend takes INTERNAL_API_KEY",
        _backend_refused,
    ),
    Kind(
        "backend_down",
        "see to the backend, or to BACKEND_API_URL; polling goes on by itself",
        "the backend gives its list again",
        _backend_down,
    ),
    Kind(
        "gemini_trouble",
        "see to GEMINI_API_KEY and GEMINI_MODEL; it is asked again by itself",
        "nothing is known to keep Gemini from being asked",
        _gemini_trouble,
    ),
    Kind(
        "budget_used_up",
        "raise GEMINI_DAILY_TOKENS and restart, or let them wait",
        "there are tokens left of GEMINI_DAILY_TOKENS",
        _budget_used_up,
    ),
    Kind(
        "geocoder_trouble",
        "see to GEOCODER_URL; it is asked again by itself",
        "nothing is known to keep the geocoder from being asked",
        _geocoder_trouble,
    ),
)
