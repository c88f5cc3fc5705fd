"""The clients: submit with a key and repeat until answered, cancel, retry; each writes down what was answered."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.torture.evidence import Ack

TYPES = ("steps", "steps", "steps", "tree", "file", "flaky", "piecemeal")
DIAMOND: Mapping[str, list[str]] = {"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right"]}
CRASHES = 300  # one in so many jobs takes the daemon down
PATIENCE = aiohttp.ClientTimeout(total=15)
ALIVE_AT_MOST = 60
WAIT = (0, 503, 507)  # no answer, draining, or a full disk: ask again
LOST = (aiohttp.ClientError, TimeoutError, ConnectionError)


class Clients:
    """What they were promised; `answered` counts statuses."""

    def __init__(self, url: str, receiver: str, folder: Path, chance: Random) -> None:
        self.acks: list[Ack] = []
        self.unanswered: set[str] = set()
        self.batches: list[list[str]] = []
        self.parents: dict[str, list[str]] = {}
        self.cancelled: list[str] = []
        self.retried: Counter[str] = Counter()
        self.maybe_retried: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self._url = url
        self._receiver = receiver
        self._folder = folder
        self._chance = chance
        self._session: aiohttp.ClientSession | None = None
        self._submitted = 0

    async def open(self) -> None:
        """Before anything else."""
        self._session = aiohttp.ClientSession(timeout=PATIENCE)

    async def close(self) -> None:
        """After everything else."""
        if self._session is not None:
            await self._session.close()

    async def submit_for_ever(self) -> None:
        """One job after the other, each asked for until it is answered; waits while many are alive."""
        while True:
            self._submitted += 1
            fate = self._chance.random()
            if fate < 0.05:
                await self._submit_batch(self._submitted)
            elif fate < 0.08:
                await self._submit_diamond(self._submitted)
            else:
                await self._submit(self._submitted)
            if self._submitted % 10 == 0:
                while await self.alive() > ALIVE_AT_MOST:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(self._chance.uniform(0, 0.05))

    async def meddle_for_ever(self) -> None:
        """Cancel and retry jobs that were acknowledged, the recent ones more often."""
        while True:
            await asyncio.sleep(self._chance.uniform(0, 0.3))
            if not self.acks:
                continue
            job = self.acks[-1 - min(int(self._chance.expovariate(1 / 30)), len(self.acks) - 1)].job
            fate = self._chance.random()
            if fate < 0.4:
                await self._cancel(job)
            elif fate < 0.8:
                await self._retry(job)
            elif fate < 0.95:
                await self._ask("POST", "/api/admin/recover", {"ids": [job]})
            else:
                await self._hold(self._chance.choice(TYPES))

    async def resume_all(self) -> bool:
        """Whatever was held, start it again; False where the daemon did not answer to one of them."""
        answers = [await self._ask("POST", f"/api/types/{type}/resume") for type in sorted({*TYPES})]
        return all(status == 200 for status, _ in answers)

    async def alive(self) -> int:
        """How many jobs have not ended; many while the daemon does not say."""
        status, body = await self._ask("GET", "/api/jobs?limit=1")
        return body["queued"] + body["running"] if status == 200 else ALIVE_AT_MOST + 1

    async def send_again(self, delivery: str) -> None:
        """Have a delivery sent now, whatever its backoff."""
        await self._ask("POST", f"/api/deliveries/{delivery}/retry")

    async def pending(self) -> list[str]:
        """Deliveries of acknowledged jobs that are still on their way."""
        found = []
        for ack in self.acks:
            if ack.callback:
                status, body = await self._ask("GET", f"/api/jobs/{ack.job}/deliveries")
                rows = body["deliveries"] if status == 200 else []
                found += [row["id"] for row in rows if row["status"] != "delivered"]
        return found

    async def _submit(self, n: int) -> None:
        body = self._job(str(n))
        kind, callback = body["type"], "callback" in body
        key = f"key-{n}"
        self.unanswered.add(key)
        while True:
            status, answer = await self._ask("POST", "/api/jobs", body, {"Idempotency-Key": key})
            if status in (200, 201):
                self.acks.append(Ack(answer["jobId"], key, kind, callback))
                self.unanswered.discard(key)
                if status == 200 or self._chance.random() < 0.9:
                    return
                continue  # ask once more for what was answered already
            if status not in WAIT:
                raise AssertionError(f"submitting was answered {status}: {answer}")
            await asyncio.sleep(0.05)

    async def _submit_batch(self, n: int) -> None:
        """Once: a batch has no key, so one whose answer was lost may be there or not, but not in part."""
        await self._submit_together([self._job(f"{n}-{m}") for m in range(self._chance.randint(2, 5))])

    async def _submit_diamond(self, n: int) -> None:
        """Two jobs behind one, and one behind both; each runs once its parents have ended, however they did."""
        bodies = [self._job(f"{n}-{ref}") | {"ref": ref} for ref in DIAMOND]
        bonds = [{"dependsOn": up, "onParentFailure": "run"} if up else {} for up in DIAMOND.values()]
        jobs = await self._submit_together([body | bond for body, bond in zip(bodies, bonds, strict=True)])
        ids = dict(zip(DIAMOND, jobs, strict=False))
        self.parents |= {id: [ids[up] for up in DIAMOND[ref]] for ref, id in ids.items() if DIAMOND[ref]}

    async def _submit_together(self, bodies: list[dict[str, Any]]) -> list[str]:
        status, answer = await self._ask("POST", "/api/jobs/batch", {"jobs": bodies})
        if status == 201:
            jobs = [row["jobId"] for row in answer["jobs"]]
            self.batches.append(jobs)
            self.acks += [
                Ack(job, "", body["type"], "callback" in body) for job, body in zip(jobs, bodies, strict=True)
            ]
            return jobs
        if status not in WAIT:
            raise AssertionError(f"a batch was answered {status}: {answer}")
        return []

    def _job(self, name: str) -> dict[str, Any]:
        chance = self._chance
        kind = "crash" if chance.random() < 1 / CRASHES else chance.choice(TYPES)
        payload: dict[str, Any] = {"seed": chance.randrange(2**31), "log": str(self._folder / "diary.jsonl")}
        if kind == "file":
            payload["output"] = str(self._folder / "outputs" / f"{name}.bin")
        retry = {"maxRetries": chance.randint(0, 3), "initialDelay": 50}
        body: dict[str, Any] = {"type": kind, "payload": payload, "retryPolicy": retry}
        if chance.random() < 0.7:
            body["callback"] = self._receiver
        if chance.random() < 0.3:
            body["priority"] = chance.randint(0, 4)
        if chance.random() < 0.15:
            at = datetime.now(UTC) + timedelta(seconds=chance.uniform(0, 1.5))
            body["runAt"] = at.isoformat()
        return body

    async def _hold(self, type: str) -> None:
        """Pause a type for a moment."""
        if (await self._ask("POST", f"/api/types/{type}/pause"))[0] == 200:
            await asyncio.sleep(self._chance.uniform(0, 0.5))
        while (await self._ask("POST", f"/api/types/{type}/resume"))[0] != 200:
            await asyncio.sleep(0.05)

    async def _cancel(self, job: str) -> None:
        status, _ = await self._ask("DELETE", f"/api/jobs/{job}")
        if status == 200:
            self.cancelled.append(job)

    async def _retry(self, job: str) -> None:
        self.maybe_retried[job] += 1
        status, _ = await self._ask("POST", f"/api/jobs/{job}/retry")
        self.retried[job] += status == 200
        self.maybe_retried[job] -= status == 409

    async def _ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """A status and its JSON; status 0 when no answer came."""
        assert self._session is not None
        status, answer = 0, None
        with suppress(*LOST):
            async with self._session.request(method, self._url + path, json=body, headers=headers) as response:
                answer = await response.json(content_type=None)
                status = response.status
        self.answered[status] += 1
        return status, answer
