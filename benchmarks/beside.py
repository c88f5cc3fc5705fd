"""Other queues at the same work: installs what they need, starts their servers, or says why one is left out."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"
MODULES = PEERS / "node_modules"
PYTHON_PEERS = HERE.parent / ".cache" / "peers"
HUEY = "huey==3.5.4"
BUILD_WITHIN, MEASURE_WITHIN, START_WITHIN = 900, 120, 10
Figures = Mapping[str, float]


class LeftOut(Exception):
    """A peer that can't be measured here; its text says why."""


def bare_sqlite(folder: Path, n: int, synchronous: str) -> Figures:
    """A loop over a table of SQLite's, with a commit each."""
    return _told([sys.executable, PEERS / "in_python.py", "sqlite", n, synchronous, folder], {})


def huey(folder: Path, n: int, synchronous: str) -> Figures:
    """SqliteHuey with 10 threads."""
    _huey()
    command = [sys.executable, PEERS / "in_python.py", "huey", n, synchronous, folder]
    return _told(command, {"PYTHONPATH": str(PYTHON_PEERS)})


def plainjob(folder: Path, n: int, synchronous: str) -> Figures:
    """plainjob with 10 workers."""
    _compiled()
    return _told(["node", PEERS / "plainjob.mjs", n, synchronous, folder], {})


def bullmq(folder: Path, n: int, appendfsync: str) -> Figures:
    """BullMQ with a worker of concurrency 10, on a Redis of its own."""
    _modules()
    with _redis(folder, appendfsync) as path:
        return _told(["node", PEERS / "bullmq.mjs", n, path], {})


@contextlib.contextmanager
def _redis(folder: Path, appendfsync: str) -> Iterator[Path]:
    program = shutil.which("redis-server")
    if program is None:
        raise LeftOut("there is no redis-server (Debian: apt install redis-server)")
    # A socket's path may have 107 bytes: too few for some checkouts.
    with tempfile.TemporaryDirectory() as short, (folder / "redis.log").open("wb") as log:
        path = Path(short) / "redis"
        options = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
        argv = [program, *options, "--appendfsync", appendfsync, "--daemonize", "no"]
        server = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            _wait_for(path, server)
            yield path
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(START_WITHIN)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(path: Path, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_WITHIN
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as trial:
            trial.connect(str(path))
            return
        time.sleep(0.01)
    raise LeftOut(f"redis-server did not start (exit code {server.returncode})")


def _huey() -> None:
    if not (PYTHON_PEERS / "huey").exists():
        uv = HERE.parent / ".uv" / "bin" / "uv"
        install([uv, "pip", "install", "--quiet", "--target", PYTHON_PEERS, HUEY], {})


def _modules() -> None:
    """The locked packages are there; nothing of theirs was run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise LeftOut("there is no node and npm on PATH")
    if not (MODULES / "bullmq").exists():
        # `npm ci` refuses the lock file where the registry has not every platform's build of an optional package.
        install(["npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {})


def _compiled() -> None:
    """SQLite's binding for plainjob is there: it takes a compiler, Node's headers and two minutes."""
    _modules()
    # One that was compiled for another Node is there and can't be loaded.
    opens = ["node", "-e", "new (require('better-sqlite3'))(':memory:')"]
    if subprocess.run(opens, cwd=MODULES.parent, capture_output=True, check=False).returncode:
        install(["npm", "rebuild", "better-sqlite3", "--loglevel=error"], _headers())


NEEDS: Mapping[str, Callable[[], None]] = {"huey": _huey, "plainjob": _compiled, "BullMQ": _modules}


def _headers() -> Mapping[str, str]:
    """Where Node's own headers are, the binding is compiled with them, and nothing is fetched."""
    home = Path(shutil.which("node") or "").resolve().parent.parent
    if not (home / "include" / "node" / "node_api.h").exists():
        return {}
    return {"npm_config_nodedir": str(home), "npm_config_build_from_source": "true"}


def install(command: Sequence[object], env: Mapping[str, str]) -> None:
    """Run what installs a peer; LeftOut says why it can't be had."""
    argv = [str(word) for word in command]
    print(f"installing: {' '.join(argv)}", file=sys.stderr, flush=True)
    env = os.environ | env
    try:
        subprocess.run(argv, cwd=PEERS, env=env, check=True, capture_output=True, text=True, timeout=BUILD_WITHIN)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise LeftOut(f"it could not be installed: {' '.join(said[-3:])}") from None


def _told(words: Sequence[object], env: Mapping[str, str]) -> Figures:
    command = [str(word) for word in words]
    answer = subprocess.run(command, env=os.environ | env, stdout=subprocess.PIPE, check=True, timeout=MEASURE_WITHIN)
    figures: Figures = json.loads(answer.stdout)
    return figures
