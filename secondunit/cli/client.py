"""API client of the command line: through the daemon's control socket, or through its public address.

What is heavy (aiohttp, the settings) is imported where it is used, so that --help is quick.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from errno import EACCES, EPERM
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote

from secondunit.cli import output
from secondunit.cli.host.account import not_yours
from secondunit.daemon.process.visible_text import visible

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    from secondunit.daemon.config.settings import Settings

T = TypeVar("T")
FAILED = 1
ANSWERS_WITHIN = 60.0  # and speaks again: a stream without news says so every 15 s
UNREADABLE = "what answers at the daemon's address is no answer of ours"
ENDED = ("completed", "partial", "failed", "cancelled")


class DaemonRefused(Exception):
    """The daemon said no; the message is its reason, field by field."""


class NoDaemon(Exception):
    """Nothing listens where the daemon would."""


class Client:
    """The daemon's API as the commands use it; answers are its JSON, unchanged."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def call(
        self, method: str, path: str, *, body: Any = None, query: Any = None, also: int = 200, long: bool = False
    ) -> Any:
        """One request; Refused with the daemon's reason if it said no, but for a status that is an answer, too.

        A `long` one may take any time.
        """
        from aiohttp import ClientTimeout

        check_text(query)
        limit = ClientTimeout(total=None, sock_connect=10) if long else self._session.timeout
        async with self._session.request(method, path, json=body, params=query, timeout=limit) as response:
            return await _content(response, also)

    @asynccontextmanager
    async def events(self, **query: str) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        """The daemon's events from now on; when this opens, no later event will be missed."""
        check_text(query)
        async with self._session.get("/api/events", params=query) as response:
            if response.status != 200:
                await _content(response)
            yield _messages(response)


async def listed(client: Client, path: str, query: Sequence[tuple[str, str | int]], limit: int) -> Any:
    """A list with its first `limit` jobs: a page that ended early, because they are large, is followed by the next.

    A search that was cut short is not gone on with: it may look for long, and says where to go on.
    """
    found = page = await client.call("GET", path, query=[*query, ("limit", limit)])
    asked = [pair for pair in query if pair[0] != "cursor"]
    while page["nextCursor"] and len(found["jobs"]) < limit and not page.get("truncated"):
        rest = [("limit", limit - len(found["jobs"])), ("cursor", page["nextCursor"])]
        page = await client.call("GET", path, query=[*asked, *rest])
        found = {**page, "jobs": [*found["jobs"], *page["jobs"]]}
    return found


@asynccontextmanager
async def connected(control: Path) -> AsyncIterator[Client]:
    """A client of the daemon that has this control socket; NoDaemon when none does, DaemonRefused to other users."""
    from aiohttp import UnixConnector

    async with at("http://localhost", UnixConnector(str(control))) as client:
        try:
            yield client
        except OSError as error:
            if error.errno in (EACCES, EPERM):
                raise DaemonRefused(await asyncio.to_thread(not_yours, control.parent)) from None
            raise


@asynccontextmanager
async def at(url: str, connector: Any = None, within: float = ANSWERS_WITHIN) -> AsyncIterator[Client]:
    """A client of the daemon at this address; NoDaemon when nothing listens there, DaemonRefused when it is silent."""
    from aiohttp import ClientConnectionError, ClientError, ClientSession, ClientTimeout, ServerTimeoutError

    limit = ClientTimeout(total=None, sock_connect=10, sock_read=within)
    async with ClientSession(url, connector=connector, timeout=limit, read_bufsize=2**20) as session:
        try:
            yield Client(session)
        except ServerTimeoutError:
            why = f"a daemon is there and said nothing for {within:g} s: it is stopped (SIGSTOP), or its machine is"
            raise DaemonRefused(f"{why} overloaded; look at its log, or ask again") from None
        except (ClientConnectionError, FileNotFoundError) as error:
            raise NoDaemon(str(error)) from error
        except ClientError as error:  # it broke off in the middle, or is no HTTP
            raise DaemonRefused(f"{UNREADABLE}: {visible(str(error)[:200])}") from None


async def follow(client: Client, job_id: str, show: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
    """Show the job's events until it has ended, and return it; a stream that is cut off is opened again.

    A job that waits because its type is paused is told once, on stderr, and waited for.
    """
    told = False
    while True:
        async with client.events(jobId=job_id) as events:
            job: Mapping[str, Any] = await client.call("GET", f"/api/jobs/{quote(job_id, safe='')}")
            if job["status"] in ENDED:
                return job
            if job.get("paused") and not told:
                told = True
                output.say(paused(job), err=True)
            async for event in events:
                show(event)
                if event.get("status") in ENDED:
                    break
        await asyncio.sleep(0.05)


def paused(job: Mapping[str, Any]) -> str:
    """Why nothing happens to a job, and what to do."""
    return f"{job['type']} is paused, so {job['jobId']} waits; `secondunit jobs resume {job['type']}` lets it start"


def ask(
    work: Callable[[Client], Awaitable[T]],
    without: Callable[[Settings], Coroutine[Any, Any, T]] | None = None,
    refused: Callable[[DaemonRefused], T] | None = None,
) -> T:
    """Do `work` with the daemon of these settings, or with the database `without` one; else the command ends.

    `refused` says what it means that the daemon gave no answer that can be used; without it the command failed.
    """
    from secondunit.cli.config import how_to_start, loaded

    settings = loaded(serves=False).settings

    async def with_daemon() -> T:
        async with connected(settings.control) as client:
            return await work(client)

    try:
        try:
            return asyncio.run(with_daemon())
        except NoDaemon:
            if without is None:
                fail(
                    f"no daemon runs on {settings.data_dir}; start one with {how_to_start(settings.data_dir)},"
                    " or set DATA_DIR to the folder of the one that runs"
                )
        return asyncio.run(without(settings))
    except DaemonRefused as told:
        if refused is None:
            fail(str(told))
        return refused(told)
    except UnicodeEncodeError:
        fail("an argument is no UTF-8 text; write it as such, in a locale that has it, such as C.UTF-8")
    except KeyboardInterrupt:
        sys.exit(130)


def check_text(query: Any) -> None:
    """UnicodeEncodeError for what is no text: the HTTP client would leave it out, and all jobs would match."""
    for _, value in query.items() if isinstance(query, Mapping) else query or ():
        str(value).encode()


def fail(message: str) -> NoReturn:
    """End the command: it failed."""
    output.say(message, err=True)
    sys.exit(FAILED)


def _read(text: str) -> Any:
    """The JSON that the daemon sent; DaemonRefused for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DaemonRefused(f"{UNREADABLE}: {visible(text[:200])}") from None


async def _content(response: ClientResponse, also: int = 200) -> Any:
    text = await response.text(errors="replace")
    if response.status < 400 or response.status == also:
        return _read(text) if text else None
    try:
        problem = json.loads(text)
        reasons = [f"  {visible(fault['field'])}: {visible(fault['message'])}" for fault in problem.get("errors", ())]
        said = "\n".join([str(problem["title"]), *reasons] if reasons else [visible(problem["detail"])])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise DaemonRefused(f"the daemon answered {response.status}: {visible(text[:200])}") from None
    raise DaemonRefused(said)


async def _messages(response: ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    data: list[str] = []
    async for raw in response.content:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield _read("\n".join(data))
            data = []
