"""Client of the backend's failed-jobs API: reading the list, claiming, and the sender that puts results back."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from secondunit.daemon.delivery.policy import Delivered, Gone, Sent, TryLater
from secondunit.daemon.trace_context import SentOn, passed_on
from secondunit.daemon.trace_context import headers as trace_headers
from secondunit.handlers.tools.http_statuses import MAY_NAME_A_WAIT, REFUSES_US
from secondunit.handlers.tools.network.addresses import LONGEST_URL
from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.handlers.tools.network.session import retry_after
from secondunit.queue.clock import Clock
from secondunit.queue.model import Notice, Status
from secondunit.queue.sentences import Sentence, say
from secondunit.queue.store import Delivery
from secondunit.queue.value import Value

KIND = "backend"
LARGEST_LIST = 1 << 20
MOST_ROWS = 1000
TIMEOUT = ClientTimeout(total=30)
REFUSED_PAUSE = timedelta(minutes=10)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,199}")
BOX = "Secondunit-Box"
Claim = Literal["granted", "taken", "unclear"]
IDS, VIDEOS = ("jobId", "job_id", "id"), ("videoUrl", "video_url", "url")


class FailedAnalysis(Value, frozen=True):
    """An analysis that failed online: its id there, and its video."""

    id: str
    video_url: str


class BadRow(Value, frozen=True):
    """A row of the list that can't be read, and why."""

    index: int
    why: str


class BackendTrouble(Exception):
    """The backend did not give a list, and `why`; `refused`: it does not know our key; `delay`: a wait it asked for."""

    def __init__(self, why: Sentence, *, refused: bool = False, delay: timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.refused = refused
        self.delay = delay


class Backend:
    """The calls to one backend. Its URL is the operator's, so no address is refused; redirects are not followed.

    `claims`: whether it grants them, None until that is known; `box` is the name that it is asked in.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        key: str | None,
        clock: Clock,
        *,
        box: str = "",
        timeout: ClientTimeout = TIMEOUT,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._session = session
        self._headers = {"X-API-Key": key} if key else {}
        self._clock = clock
        self._box = quote(box, safe=" ")  # a name may be any text, a header may not
        self.claims: bool | None = None

    async def failed(self, limit: int) -> tuple[Sequence[FailedAnalysis], Sequence[BadRow]]:
        """The analyses that the backend lists as failed, and the rows that can't be read; else BackendTrouble."""
        url = f"{self.url}/v1/analysis/failed"
        try:
            async with self._session.get(
                url, params={"limit": str(limit)}, headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                self._refuse(response)
                body = await _at_most(response, LARGEST_LIST)
        except TimeoutError:
            raise BackendTrouble(say("it gave no answer within {n} s", n=f"{self._timeout.total:g}")) from None
        except (ClientError, OSError) as error:
            raise BackendTrouble(sentence_of(error, say("the backend"))) from None
        return read_list(body)

    async def claim(self, id: str) -> Claim:
        """Ask for an analysis; a backend without such a call lets every box try.

        "unclear" where no answer came that says anything: another box may have it by now, or this one.
        """
        if self.claims is False:
            return "granted"
        url, headers = f"{self.url}/v1/analysis/{quote(id, safe='')}/claim", {**self._headers, BOX: self._box}
        try:
            async with self._session.post(
                url, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                status = response.status
        except (ClientError, OSError, TimeoutError):
            return "unclear"
        if status in (404, 405, 501) and not self.claims:
            self.claims = False
            return "granted"
        if status == 409 or 200 <= status < 300:
            self.claims = True
        if status in (404, 409, 410):
            return "taken"
        return "granted" if status < 300 else "unclear"

    async def put(self, id: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Sent:
        """Give a result back."""
        url = f"{self.url}/v1/analysis/{quote(id, safe='')}/result"
        try:
            async with self._session.put(
                url, json=body, headers={**self._headers, **headers}, timeout=self._timeout, allow_redirects=False
            ) as response:
                return _judge(response, retry_after(response, self._clock.now()))
        except TimeoutError:
            return TryLater("the backend gave no answer in time; it may have arrived, so the same PUT is sent again")
        except (ClientError, OSError) as error:
            return TryLater(str(sentence_of(error, "the backend")))

    def _refuse(self, response: ClientResponse) -> None:
        status = response.status
        if status in REFUSES_US:
            raise BackendTrouble(
                say("answered {status}: check INTERNAL_API_KEY", status=status), refused=True, delay=REFUSED_PAUSE
            )
        if status != 200:
            raise BackendTrouble(
                say("answered {status}", status=status), delay=retry_after(response, self._clock.now())
            )


class BackendSender:
    """Puts the recipe of a completed analysis back, for a week; of one that failed there is nothing to tell."""

    lifetime = timedelta(days=7)

    def __init__(self, backend: Backend, *, trace: SentOn = passed_on) -> None:
        self._backend = backend
        self._trace = trace

    def host(self, _: Delivery) -> str:
        """All results go to one backend."""
        return self._backend.url

    def tells(self, delivery: Delivery) -> bool:
        """Of an analysis that failed here the backend has its failure already."""
        return delivery.notice.status is Status.COMPLETED

    async def send(self, delivery: Delivery) -> Sent:
        """Try once."""
        notice = delivery.notice
        if not isinstance(notice.result, dict):
            return Gone(f"the result of {notice.job_id} is no analysis")
        body = {"recipe": notice.result.get("recipe"), "metadata": notice.result.get("metadata")}
        return await self._backend.put(
            notice.target.address, body, {**put_headers(notice), **trace_headers(self._trace, delivery)}
        )


def put_headers(notice: Notice) -> dict[str, str]:
    """The same for every try of one result: what the backend needs to take it once, and to refuse an older one."""
    digest = hashlib.sha256(json.dumps(notice.result, sort_keys=True).encode()).hexdigest()[:16]
    return {"Idempotency-Key": f"{notice.job_id}-{digest}", "Secondunit-Epoch": str(notice.epoch)}


def read_list(body: bytes) -> tuple[Sequence[FailedAnalysis], Sequence[BadRow]]:
    """The rows of a list, bare or under `jobs` or `data`; a row that is not about a failed analysis is left out."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise BackendTrouble(say("answered something that is not JSON: {body}", body=repr(body[:80]))) from None
    if isinstance(data, dict):
        data = next((data[key] for key in ("jobs", "data") if isinstance(data.get(key), list)), None)
    if not isinstance(data, list):
        raise BackendTrouble(say("answered JSON that is no list, and has none under jobs or data"))
    read = [_read_row(index, row) for index, row in enumerate(data[:MOST_ROWS])]
    return [row for row in read if isinstance(row, FailedAnalysis)], [row for row in read if isinstance(row, BadRow)]


def _read_row(index: int, row: Any) -> FailedAnalysis | BadRow | None:
    if not isinstance(row, dict):
        return BadRow(index, "it is no object")
    if row.get("status") not in (None, "failed"):
        return None
    id, video = (next((row[key] for key in keys if row.get(key) is not None), None) for keys in (IDS, VIDEOS))
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not ID.fullmatch(id) or ".." in id:
        return BadRow(index, f"it has no usable id under {', '.join(IDS)}")
    if not isinstance(video, str) or not video.startswith(("http://", "https://")):
        return BadRow(index, f"{id} has no http(s) video under {', '.join(VIDEOS)}")
    if len(video) > LONGEST_URL:
        return BadRow(index, f"the address of {id}'s video has {len(video)} characters")
    return FailedAnalysis(id, video)


def _judge(response: ClientResponse, asked: timedelta | None) -> Sent:
    status = response.status
    if 200 <= status < 300 or status in (409, 412):  # conflict: it has a result already, this one or a newer
        return Delivered(status)
    if status in (404, 410):
        return Gone("the backend does not know this analysis any more", status)
    if status in REFUSES_US:
        return TryLater(f"the backend answered {status}: check INTERNAL_API_KEY", status, REFUSED_PAUSE)
    return TryLater(f"the backend answered {status}", status, asked if status in MAY_NAME_A_WAIT else None)


async def _at_most(response: ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > limit:
            raise BackendTrouble(say("answered more than {limit} bytes", limit=limit))
    return bytes(body)
