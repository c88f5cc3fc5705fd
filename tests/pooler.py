"""A pgbouncer of the tests' own, in transaction mode: each transaction may have another session of the server's."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.postgres_server import PostgresServer

SOCKET = ".s.PGSQL.5432"
CONFIG = """
[databases]
* = host={server} user=tester
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
server_reset_query_always = 0
server_idle_timeout = 2
logfile = {folder}/log
"""


class Pooler:
    """It lies before this server, and shares so many sessions of it out among all."""

    def __init__(self, program: str, server: PostgresServer, sessions: int) -> None:
        self._server = server
        self._user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        self._folder = server.folder / "bouncer"
        self._folder.mkdir(exist_ok=True)
        (config := self._folder / "ini").write_text(
            CONFIG.format(server=server.folder, folder=self._folder, sessions=sessions)
        )
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        self._argv = [program, str(config)]
        self.start()

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self._folder / "log").read_text()

    def through(self, url: str) -> str:
        """The same database by way of it."""
        return url.replace(quote(str(self._server.folder), safe=""), quote(str(self._folder), safe=""))

    def start(self) -> None:
        """Start it, and wait until it listens."""
        (self._folder / SOCKET).unlink(missing_ok=True)
        self._process = subprocess.Popen(self._argv, user=self._user, group=self._user, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if (self._folder / SOCKET).exists():
                return
            time.sleep(0.05)
        raise AssertionError(self.log)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()
        self._process.wait(10)


@contextmanager
def pooled(server: PostgresServer, sessions: int) -> Iterator[Pooler]:
    """One that runs; skips, aloud, where there is none."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer: apt-get install pgbouncer")
    pooler = Pooler(program, server, sessions)
    try:
        yield pooler
    finally:
        pooler.kill()
