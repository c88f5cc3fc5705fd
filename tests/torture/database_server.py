"""PostgreSQL server under torture: crashed, killed, restarted, its sessions ended; and what it holds in the end."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.postgres_server import PostgresServer
from tests.torture.evidence import Span
from tests.torture.scene import Row, job_of, read
from tests.torture.victim import living

KINDS = ("server crash", "server kill", "server restart", "backend kill", "sessions ended")
SESSIONS = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
END_SESSIONS = SESSIONS.replace("pid", "pg_terminate_backend(pid)", 1)


class TorturedServer:
    """A server that is restarted whatever was done to it; `spans` says when it was not itself."""

    def __init__(self, server: PostgresServer) -> None:
        self.spans: list[Span] = []
        self.url = server.database()
        self._server = server

    async def torment(self, kind: str, chance: Random) -> None:
        """Do one of KINDS to it, and have it run again."""
        begin, away = time.time(), chance.uniform(0, 1.5)
        await asyncio.to_thread(self._strike, kind, away, chance)
        self.spans.append(Span(kind, begin, time.time()))

    def _strike(self, kind: str, away: float, chance: Random) -> None:
        match kind:
            case "backend kill":  # the server takes that for a crash, ends all the others and recovers
                sessions = self._sessions()
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(sessions), signal.SIGKILL) if sessions else None
                self._server.wait()
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
