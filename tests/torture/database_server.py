"""PostgreSQL server under torture: crashed, killed, restarted, its sessions ended; and what it holds in the end."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.postgres_server import PostgresServer
from tests.torture.evidence import Span
from tests.torture.scene import Row, job_of, read
from tests.torture.victim import living

KINDS = ("server crash", "server kill", "server restart", "backend kill", "sessions ended")
CRASHES = ("server crash", "server kill", "backend kill")
RECOVERS = "automatic recovery in progress"
SESSIONS = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
END_SESSIONS = SESSIONS.replace("pid", "pg_terminate_backend(pid)", 1)


class TorturedServer:
    """A server that is restarted whatever was done to it; `spans` says when it was not itself."""

    def __init__(self, server: PostgresServer) -> None:
        self.spans: list[Span] = []
        self.url = server.database()
        self._server = server

    async def torment(self, kind: str, chance: Random) -> bool:
        """Do one of KINDS to it, and have it run again; whether there was anything to be done it to."""
        begin, away = time.time(), chance.uniform(0, 1.5)
        struck = await asyncio.to_thread(self._strike, kind, away, chance)
        self.spans.append(Span(kind, begin, time.time()))
        return struck

    def unfelt(self, done: Mapping[str, int]) -> Iterator[str]:
        """What was done to it, by this count, and left no trace in its log: each crash is recovered from once."""
        recovered = self._recoveries()
        crashes = sum(done[kind] for kind in CRASHES)
        print(f"PostgreSQL recovered {recovered} times, after {crashes} crashes")
        if recovered < crashes:
            yield f"torture: of {crashes} crashes PostgreSQL has felt {recovered}"

    def _strike(self, kind: str, away: float, chance: Random) -> bool:
        match kind:
            case "backend kill":  # the server takes that for a crash, ends all the others and recovers
                sessions = self._sessions()
                before = self._recoveries()
                try:
                    os.kill(chance.choice(sessions), signal.SIGKILL)
                except (IndexError, ProcessLookupError):
                    return False
                deadline = time.monotonic() + 10  # one that was about to end anyway is not felt
                while not (felt := self._recoveries() > before) and time.monotonic() < deadline:
                    time.sleep(0.02)
                self._server.wait()
                return felt
            case "sessions ended":
                with psycopg.connect(self.url, autocommit=True) as connection:
                    connection.execute(END_SESSIONS)
            case _:
                how = {"server crash": signal.SIGQUIT, "server kill": signal.SIGKILL, "server restart": signal.SIGINT}
                self._server.stop(how[kind])
                while living(self._server.data):  # its sessions outlive a killed one for a moment
                    time.sleep(0.02)
                time.sleep(away)
                self._server.start()
        return True

    def _recoveries(self) -> int:
        return (self._server.folder / "log").read_text(errors="replace").count(RECOVERS)

    def _sessions(self) -> list[int]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return [pid for (pid,) in connection.execute(SESSIONS)]

    def holds(self) -> Mapping[str, Any]:
        """As `scene.database`: jobs, events, steps and deliveries, and what an examination finds."""
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as db:
            return {
                "jobs": [job_of(read(row)) for row in db.execute("select * from jobs order by seq")],
                "events": _rows(db, "events", "seq"),
                "steps": _rows(db, "steps", "job", "name"),
                "deliveries": _rows(db, "deliveries", "seq"),
                "integrity": list(self._unsound(db)),
            }

    def _unsound(self, db: "psycopg.Connection[Any]") -> Iterator[str]:
        try:
            where = (f"--host={self._server.folder}", "--username=tester", db.info.dbname)
            self._server.run("pg_amcheck", "--install-missing", "--heapallindexed", *where)
        except AssertionError as error:
            yield f"pg_amcheck: {error}"
        else:
            print("pg_amcheck has looked through all tables and indexes, and found nothing")
        there = "select type, status, count(*) as n from jobs group by type, status"
        counted = "select type, status, n from counts where n > 0"
        for found in db.execute(f"({counted} except {there}) union all ({there} except {counted})").fetchall():
            yield f"the counts and the jobs disagree: {found}"
        [gaps] = db.execute("select count(*) filter (where seq > last_event) as n from events, numbers").fetchall()
        if gaps["n"]:
            yield f"{gaps['n']} events have numbers that were not given out"
        if left := db.execute(
            "select job from leases where job in (select seq from jobs where finished_at > 0)"
        ).fetchall():
            yield f"{len(left)} jobs ended and are leased"


def _rows(db: "psycopg.Connection[Any]", table: str, *order: str) -> list[Row]:
    by = ", ".join(f"t.{name}" for name in order)
    sql = f"select t.*, j.id as job_id from {table} t join jobs j on j.seq = t.job order by {by}"  # noqa: S608  ours
    return [read(row) for row in db.execute(sql)]
