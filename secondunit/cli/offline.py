"""Offline access to the queue where no daemon runs: under the database's lock, through the store, as the API would."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

from secondunit.cli import output
from secondunit.cli.client import DaemonRefused
from secondunit.cli.config import how_to_start
from secondunit.cli.host.account import act_as_owner, not_yours
from secondunit.daemon.access.keyring import Keyring
from secondunit.daemon.config.settings import Database, Settings
from secondunit.daemon.config.sources import installed
from secondunit.daemon.files.backups import take
from secondunit.daemon.http.contract import access, requests, serialize
from secondunit.daemon.http.contract.sight import answers
from secondunit.daemon.http.contract.sight.requests import StatsQuery
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.lock import Locked
from secondunit.daemon.sight.errors import ErrorGroups
from secondunit.daemon.sight.stats import QueueStatistics
from secondunit.daemon.wiring.database import locked, missing, store_of
from secondunit.handlers import download
from secondunit.queue import state
from secondunit.queue.errors import BadPayload, JobNotFound, NotAllowed, QueueError
from secondunit.queue.follow import each
from secondunit.queue.graph import bulk
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.ids import ran_on
from secondunit.queue.model import Change, Filter, Job, Status
from secondunit.queue.payloads.secret_fields import check_whole, without_secrets
from secondunit.queue.ports.access import AuditEntry
from secondunit.queue.sight.query import searched
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.queue.value import replace

# Secret fields of our own types, as the daemon knows them. What a plugin's are nothing says while it is not loaded, so
# nothing of its payloads is shown.
SECRETS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("analyze", "deploy", "hls", "locations", "thumbnail", "webp"), ()),
    "download": download.SECRETS,
}
UNKNOWN_SECRETS = "the payload is struck out: which fields of {} are secret is known while a daemon runs"
ADDRESS = "command line, no daemon"
RUNNING = Filter([Status.RUNNING])


async def find(
    database: Database, statuses: Sequence[str], types: Sequence[str], q: str | None, cursor: int | None, limit: int
) -> Any:
    """What GET /api/jobs answers, but of a plugin's payloads nothing."""
    async with opened(database) as store:
        named = Filter([Status(word) for word in statuses], types)
        asked = searched(named, q, SystemClock().now(), SECRETS)
        page = await store.find(asked, cursor, limit)
        while page.next_cursor is not None and len(page.jobs) < limit and not page.truncated:
            rest = await store.find(asked, page.next_cursor, limit - len(page.jobs))
            page = replace(rest, jobs=[*page.jobs, *rest.jobs])
        return serialize.plain(serialize.page(page, await store.counts(), _own_types(), await store.paused()))


async def show(database: Database, job_id: str) -> Any:
    """What GET /api/jobs/{id} answers, but of a plugin's payload nothing."""
    async with opened(database) as store:
        job, paused = await store.get(job_id), await store.paused()
    if job.type not in SECRETS:
        output.say(UNKNOWN_SECRETS.format(job.type), err=True)
    return serialize.plain(serialize.detail(job, _own_types(), paused))


async def errors(database: Database, window: str, types: Sequence[str]) -> Any:
    """What GET /api/errors answers."""
    ask = _looked_back(window, types)
    async with opened(database) as store:
        return serialize.plain(answers.errors(*await ErrorGroups(store, SystemClock())(ask.span, ask.type)))


async def stats(database: Database, window: str, types: Sequence[str]) -> Any:
    """What GET /api/stats answers; of what a daemon that was killed had not yet counted, nothing."""
    ask = _looked_back(window, types)
    async with opened(database) as store:
        return serialize.plain(
            answers.stats(ask.window, await QueueStatistics(store, SystemClock())(ask.span, ask.type))
        )


async def cancel(settings: Settings, job_id: str) -> Any:
    """What DELETE /api/jobs/{id} answers. What runs elsewhere is asked to stop, and is running still."""
    async with opened(settings.database) as store:
        job = await _cancelled(store, settings, job_id)
        await noted(store, "cancel", job.id, job.type)
    return serialize.plain(serialize.moved(job))


async def retry(settings: Settings, job_id: str) -> Any:
    """What POST /api/jobs/{id}/retry answers."""
    async with opened(settings.database) as store:
        job = await _retried(store, settings, job_id)
        await noted(store, "retry", job.id, job.type)
    return serialize.plain(serialize.moved(job))


async def move_all(settings: Settings, move: str, statuses: Sequence[str], types: Sequence[str], q: str | None) -> Any:
    """What POST /api/jobs/cancel and /retry answer."""
    async with opened(settings.database) as store:
        named = Filter([Status(word) for word in statuses], types)
        jobs = each(store, searched(named, q, SystemClock().now(), SECRETS))
        if move == "cancel":
            moved = await bulk.cancelled(jobs, partial(_cancelled, store, settings))
        else:
            moved = await bulk.retried(jobs, partial(_retried, store, settings), store.get)
        meant = " ".join([*statuses, *types, *([f"q={q}"] if q else [])])
        if moved.done:
            told = f"{meant}: {len(moved.done)} done, {len(moved.refused)} refused"
            await noted(store, f"bulk {move}", None, told)
    return serialize.plain(serialize.bulk(moved))


async def pause(settings: Settings, type: str, paused: bool) -> None:
    """What POST /api/types/{type}/pause and /resume do."""
    known = {*await asyncio.to_thread(lambda: [source.type for source in installed()]), *settings.remote_types}
    if type not in known:
        raise DaemonRefused(f"unknown job type {type!r}; known are {', '.join(sorted(known))}")
    async with opened(settings.database) as store:
        await store.pause(type, paused)
        await noted(store, "pause" if paused else "resume", type)


def _looked_back(window: str, types: Sequence[str]) -> StatsQuery:
    return StatsQuery.model_validate({"window": window, "type": ",".join(types)})


async def _cancelled(store: Store, settings: Settings, job_id: str) -> Job:
    """A job that ran here until its daemon ended is taken from that run first."""
    now, job = SystemClock().now(), await store.get(job_id)
    if job.status is Status.RUNNING and _runs_on(job, settings.database, settings.box):
        await store.change(job_id, partial(state.recover, now=now, epoch=job.epoch))
    secrets = SECRETS.get(job.type, ())  # a plugin's are struck out by the daemon, once it runs
    return await store.change(job_id, lambda job: without_secrets(state.cancel(job, now), secrets))


async def _retried(store: Store, settings: Settings, job_id: str) -> Job:
    now, limits = SystemClock().now(), QueueLimits(settings.max_queued_jobs, settings.max_queued_per_key)

    def again(job: Job) -> Change:
        if job.type not in SECRETS:
            raise NotAllowed(
                job.id, f"which fields of {job.type} are secret is known while a daemon runs; retry it then"
            )
        check_whole(job, SECRETS[job.type])
        return state.retry(job, now)

    return await store.change(job_id, again, limits=limits)


async def running(database: Database, box: str | None = None) -> Any:
    """What GET /api/admin/stuck answers: every running job, since without a daemon none of them moves.

    Where others share the database, and have jobs of theirs, of a `box` only its own.
    """
    now = SystemClock().now()
    async with opened(database) as store:
        jobs = [job async for job in each(store, RUNNING) if box is None or _runs_on(job, database, box)]
        return serialize.plain(serialize.stuck(jobs, now))


def _runs_on(job: Job, database: Database, box: str) -> bool:
    return not database.shared or job.lease is None or ran_on(job.lease.boot) == box


async def recover(database: Database, runs: Sequence[tuple[str, int]]) -> Any:
    """What POST /api/admin/recover answers."""
    now, done, refused = SystemClock().now(), list[str](), list[tuple[str, str]]()
    async with opened(database) as store:
        for id, epoch in runs:
            try:
                await store.change(id, partial(state.recover, now=now, epoch=epoch))
                done.append(id)
                await noted(store, "recover", id)
            except (JobNotFound, NotAllowed) as error:
                refused.append((id, str(error)))
    return serialize.plain(serialize.bulk(Bulk(done, refused)))


async def back_up(database: Database, target: Path, keep: int | None) -> Any:
    """What POST /api/admin/backup answers."""
    async with opened(database) as store:
        snapshot = await take(store, target, keep, SystemClock().now(), SECRETS)
        await noted(store, "backup", str(snapshot.path))
    return serialize.plain(serialize.backup(snapshot))


async def add_key(settings: Settings, body: Mapping[str, Any]) -> Any:
    """What POST /api/keys answers; the database is made if there is none.

    Types are known by their sources' names: nothing of theirs is run by whoever makes a key.
    """
    types = settings.types or await asyncio.to_thread(lambda: tuple(source.type for source in installed()))
    try:
        wanted = access.new_key(requests.taken(access.KeyAsk, body), SystemClock().now(), types)
    except BadPayload as error:
        raise DaemonRefused(str(error)) from None
    async with _keyring(settings.database, make=True) as (keys, store):
        text, key = await keys.issue(wanted)
        await noted(store, "keys add", key.prefix, access.about(key))
    return serialize.plain(access.made(text, key))


async def list_keys(database: Database) -> Any:
    """What GET /api/keys answers."""
    async with _keyring(database) as (keys, _):
        return serialize.plain(access.keys(await keys.all()))


async def revoke_key(database: Database, prefix: str) -> Any:
    """What DELETE /api/keys/{prefix} answers."""
    async with _keyring(database) as (keys, store):
        key = await keys.revoke(prefix)
        if key is None:
            raise DaemonRefused(f"no key has the prefix {prefix[:100]}")
        await noted(store, "keys revoke", prefix, access.about(key))
    return serialize.plain(access.known(key))


async def audit(database: Database, cursor: int | None, limit: int, about: str | None) -> Any:
    """What GET /api/audit answers."""
    async with opened(database) as store:
        return serialize.plain(access.audit(await store.audit.find(cursor, limit + 1, about), limit))


async def noted(store: Store, action: str, target: str | None, detail: str | None = None) -> None:
    """Put into the audit trail what was done here."""
    await store.audit.add(AuditEntry(SystemClock().now(), None, ADDRESS, action, target, detail))


@asynccontextmanager
async def opened(database: Database, *, make: bool = False) -> AsyncIterator[Store]:
    """The store, under its lock, and where it is wanted a new one; Refused when it can't be had."""
    await asyncio.to_thread(act_as_owner, database.path.parent)
    try:
        if not make and (where := await missing(database)):
            start = how_to_start(database.path.parent)
            raise DaemonRefused(f"no daemon runs, and there is no queue at {where}; start one with {start}")
        with ExitStack() as until_done:
            await asyncio.to_thread(until_done.enter_context, locked(database))
            async with store_of(database) as store:
                yield store
    except Locked as error:
        raise DaemonRefused(f"the daemon does not answer: {error}") from None
    except PermissionError:
        raise DaemonRefused(await asyncio.to_thread(not_yours, database.path.parent)) from None
    except QueueError as error:
        raise DaemonRefused(str(error)) from None


@asynccontextmanager
async def _keyring(database: Database, *, make: bool = False) -> AsyncIterator[tuple[Keyring, Store]]:
    async with opened(database, make=make) as store:
        yield Keyring(store.keys, None, SystemClock(), SystemRandom()), store


def _own_types() -> Registry:
    """Our own types, as far as they can be known without their tools: which fields of theirs are secret."""
    return Registry([HandlerSpec(type, requests.Ask, _never, secrets=secrets) for type, secrets in SECRETS.items()])


async def _never(*_: object) -> None:
    raise AssertionError("nothing runs without a daemon")
