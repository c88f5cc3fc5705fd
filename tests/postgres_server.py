"""A PostgreSQL server of the tests' own: in a folder of its own, on a socket alone, as an account without rights.

It is started once by each process of the tests; every store gets a database of its own. Without the programs
it skips, aloud.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

CONFIG = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 100
shared_buffers = 32MB
fsync = on
deadlock_timeout = 200ms
log_min_messages = warning
autovacuum_naptime = 1h
"""
LEAVE = "host all tester 192.0.2.0/30 trust\n"  # a network of a test's own
DIES_WITH_US = ("setpriv", "--pdeathsig", "QUIT")  # also when we are killed
EMPTIED = "emptied"
OTHER_TABLES = "select tablename from pg_tables where schemaname = 'public' and tablename not in ('meta', 'numbers')"
BACK = (
    "delete from meta where key like 'stopping%'",
    "update numbers set last_event = 0, counted = 0, events_floor = 0",
    "alter sequence if exists audit_seq_seq restart",
    "alter sequence if exists job_numbers restart",
)
RUNNING: list["PostgresServer"] = []


def _programs() -> Path | None:
    """Where POSTGRES_PROGRAMS says, or where Debian puts them, of the newest version, or wherever `initdb` is."""
    if said := os.environ.get("POSTGRES_PROGRAMS"):
        assert (Path(said) / "initdb").exists(), f"POSTGRES_PROGRAMS={said}: there is no initdb"
        return Path(said)
    there = _installed("initdb")
    return there.parent if there else None


def _installed(program: str) -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: float(path.parts[-3]))
    there = found[-1] if found else shutil.which(program)
    return Path(there) if there else None


class PostgresServer:
    """A server whose files lie in `folder`; `under` a command that takes its own as arguments, as root."""

    def __init__(self, programs: Path, folder: Path, *options: str, under: Sequence[str] = ()) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._programs = programs
        self._options = options
        self._under = [*under, "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if under else []
        self._made = 0
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL does not start as root.
        self._user = "postgres" if os.geteuid() == 0 else None

    @property
    def process_id(self) -> int:
        """Of the server that runs."""
        assert self._process
        return self._process.pid

    def make(self) -> None:
        """Make its files."""
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        self.run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=tester",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            str(self.data),
        )
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(CONFIG.format(folder=self.folder))
        with (self.data / "pg_hba.conf").open("a") as leave:
            leave.write(LEAVE)

    def has(self, program: str) -> bool:
        """Whether this program is one of them."""
        return (self._programs / program).exists()

    def twin(self, folder: Path) -> "PostgresServer":
        """Another one of the same programs."""
        return PostgresServer(self._programs, folder)

    def copy(self, primary: "PostgresServer") -> None:
        """Make its files those of a standby of that one, which is named after its folder."""
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        how = ("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast")
        where = f"host={primary.folder} user=tester application_name={self.folder.name}"
        self.run("pg_basebackup", f"--pgdata={self.data}", f"--dbname={where}", *how)
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(f"unix_socket_directories = '{self.folder}'\n")

    def follow(self, primary: "PostgresServer") -> None:
        """Make its files those of that one, which is stopped, so that it goes on as the primary after a failover."""
        subprocess.run(["cp", "-a", str(primary.data), str(self.data)], check=True)
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(f"unix_socket_directories = '{self.folder}'\nrestore_command = 'false'\n")
        (self.data / "recovery.signal").touch()

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end; a client that these lack may be another version's."""
        own = self._programs / program
        ended = subprocess.run(
            [str(own if own.exists() else _installed(program) or own), *arguments],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr.decode()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        user = None if self._under else self._user
        program = [*DIES_WITH_US, str(self._programs / "postgres"), "-D", str(self.data), *self._options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._under, *program],
                user=user,
                group=user,
                extra_groups=[] if user else None,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.wait()

    def wait(self) -> None:
        """Return once it answers."""
        for _ in range(600):
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT disconnects everybody, SIGQUIT is a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def url(self, database: str) -> str:
        """How to reach a database of it."""
        return f"postgresql://tester@/{database}?host={quote(str(self.folder), safe='')}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"queue{self._made}"
        self.say("postgres", f"create database {name}")
        return self.url(name)

    def emptied(self) -> str:
        """The URL of a database whose queue has nothing in it: always the same one, which is much the cheaper.

        Its commits don't wait for the disk; where that is the subject, `database` makes one whose commits do.
        """
        url = self.url(EMPTIED)
        try:
            with psycopg.connect(url) as connection:
                tables = connection.execute(OTHER_TABLES).fetchall()
                emptying = [f"delete from {name}" for (name,) in tables]  # noqa: S608  names of ours
                connection.execute("; ".join([*emptying, *BACK]))
        except psycopg.OperationalError:
            self.say("postgres", f"create database {EMPTIED}", f"alter database {EMPTIED} set synchronous_commit = off")
        return url

    def say(self, database: str, *statements: str) -> None:
        """Run statements in a database."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def started(*options: str, under: Sequence[str] = ()) -> PostgresServer:
    """A server for the rest of this process."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = PostgresServer(programs, folder, *options, under=under)
    RUNNING.append(server)
    server.make()
    server.start()
    return server


def standby_of(primary: PostgresServer) -> PostgresServer:
    """A server that follows this one, for the rest of this process."""
    if not primary.has("pg_basebackup"):
        pytest.skip("these programs of PostgreSQL make no standby: no pg_basebackup")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    standby = primary.twin(folder)
    RUNNING.append(standby)
    standby.copy(primary)
    standby.start()
    return standby


def successor_of(primary: PostgresServer) -> PostgresServer:
    """A server without files yet, which is to `follow` this one; for the rest of this process."""
    RUNNING.append(primary.twin(Path(tempfile.mkdtemp(prefix="pg-"))))
    return RUNNING[-1]


@cache
def shared_server() -> PostgresServer:
    """The one server that this process's tests share."""
    return started()


@atexit.register
def end_all() -> None:
    """End all that were started, and remove their files."""
    while RUNNING:
        server = RUNNING.pop()
        server.stop(signal.SIGQUIT)
        shutil.rmtree(server.folder, ignore_errors=True)


def rows(url: str, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """What a query finds."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql, values).fetchall()
