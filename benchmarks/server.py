"""A PostgreSQL server of a benchmark's own, on a socket alone, whose commits wait for the disk."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from beside import LeftOut

CONFIG = """
listen_addresses = ''
unix_socket_directories = '{folder}'
shared_buffers = 128MB
max_connections = {connections}
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 4GB
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The process of the server, and the URL of a database in it that is empty at first."""

    process_id: int
    url: str


@contextlib.contextmanager
def serving(log: Path, connections: int = 300) -> Iterator[Server]:
    """One that takes so many connections and says to this file what it says; LeftOut where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parts[-2]))
    if not found:
        raise LeftOut("there is no PostgreSQL (Debian: apt install postgresql)")
    # It does not start as root, and a socket's path may have 107 bytes.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as short, log.open("wb") as said:
        data = Path(short) / "data"
        groups = [] if user else None
        as_user = partial(
            subprocess.Popen, user=user, group=user, extra_groups=groups, cwd=short, stdout=said, stderr=said
        )
        if user:
            shutil.chown(short, user, user)
        how = ("--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C.UTF-8")
        made = as_user([found[-1] / "initdb", *how, data])
        if made.wait(60):
            raise LeftOut("initdb failed")
        with (data / "postgresql.conf").open("a") as config:
            config.write(CONFIG.format(folder=short, connections=connections))
        process = as_user([found[-1] / "postgres", "-D", data])
        url = f"postgresql://bench@/postgres?host={short}"
        try:
            _wait_for(url)
            yield Server(process.pid, url)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _wait_for(url: str) -> None:
    for _ in range(400):
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return
        time.sleep(0.05)
    raise LeftOut("PostgreSQL did not start")
