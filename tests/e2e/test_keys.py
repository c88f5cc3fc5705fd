"""Keys of a running daemon: made by the command line, used, revoked under an open stream; and who is kept out."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import installed_plugin

pytestmark = pytest.mark.e2e

ANOTHER = 12345
ASKS = """
import os, socket, sys
os.setuid(int(sys.argv[3]))
line = socket.socket()
line.connect(("127.0.0.1", int(sys.argv[1])))
line.sendall(f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n".encode())
answer = b""
while part := line.recv(4096):
    answer += part
print(answer.decode())
"""
INSIDER = """
import asyncio
import socket

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec

CODE = '''
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(b"GET /api/keys HTTP/1.1\\\\r\\\\nHost: x\\\\r\\\\nConnection: close\\\\r\\\\n\\\\r\\\\n")
print(line.makefile("rb").read().decode())
'''


class Payload(BaseModel):
    control: str


def build(tools):
    async def run(ctx, payload):
        import sys
        from asyncio.subprocess import PIPE

        program = await asyncio.create_subprocess_exec(
            "sh", "-c", 'setsid "$@" & wait', "sh", sys.executable, "-I", "-c", CODE, payload.control, stdout=PIPE
        )
        told, _ = await program.communicate()
        return {"told": told.decode()}

    return HandlerSpec(type="insider", payload=Payload, run=run)
"""


def command(data: Path, *args: str, code: int = 0) -> str:
    """What `secondunit` prints, for the daemon of this folder."""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECONDUNIT_CONFIG": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "secondunit", *args],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_key_is_made_used_and_revoked_while_the_daemon_runs(start: Any) -> None:
    daemon = start().ready()
    key = command(
        daemon.data, "keys", "add", "blog", "--scope", "submit", "--types", "sleep", "--expires", "90d"
    ).strip()
    bearer = {"Authorization": f"Bearer {key}"}
    assert daemon.call("GET", "/api/jobs").status == 401, "from the first key on callers need one"
    job = daemon.call("POST", "/api/jobs", {"type": "sleep", "payload": {}}, **bearer)
    assert job.status == 201
    assert daemon.call("GET", f"/api/jobs/{job.body['jobId']}", **bearer).body["submittedBy"] == "blog"
    prefix = key[3:11]
    url = f"http://127.0.0.1:{daemon.port}/api/events?token={key}"
    with urllib.request.urlopen(url, timeout=30) as stream:
        assert stream.readline()
        command(daemon.data, "keys", "revoke", prefix)
        try:
            while stream.readline():
                pass
        except (ConnectionError, IncompleteRead):
            pass  # it is cut off within its framing
    assert daemon.call("GET", "/api/jobs", **bearer).status == 401
    [listed] = json.loads(command(daemon.data, "keys", "list", "--json"))["keys"]
    assert (listed["prefix"], listed["types"]) == (prefix, ["sleep"]) and listed["revokedAt"] and listed["lastUsedAt"]
    assert key not in daemon.log
    trail = command(daemon.data, "keys", "audit")
    assert "control socket  keys revoke" in trail and "control socket  keys add" in trail


def test_the_first_key_may_be_there_before_the_first_start(start: Any, tmp_path: Path) -> None:
    refused = start(HOST="0.0.0.0")
    assert refused.ended() == 78 and "keys add" in refused.log
    made = json.loads(command(tmp_path / "data", "keys", "add", "ops", "--scope", "read", "--scope", "admin", "--json"))
    daemon = start(HOST="0.0.0.0").ready()
    assert daemon.call("GET", "/api/jobs").status == 401
    assert daemon.call("GET", "/api/keys", X_API_Key=made["key"]).body["keys"][0]["name"] == "ops"
    [entry] = daemon.call("GET", "/api/audit", X_API_Key=made["key"]).body["entries"]
    assert (entry["action"], entry["address"]) == ("keys add", "command line, no daemon")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program of another account")
def test_without_a_key_another_account_is_told_how_to_make_one(start: Any) -> None:
    daemon = start().ready()

    def asked(path: str) -> str:
        ask = [sys.executable, "-I", "-c", ASKS, str(daemon.port), path, str(ANOTHER)]
        return subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True).stdout

    told = asked("/api/jobs")
    assert told.startswith("HTTP/1.1 401 ") and "secondunit keys add" in told and f"uid {ANOTHER}" in told
    health = asked("/health")
    assert health.startswith("HTTP/1.1 200 ") and '{"status":"' in health and "reasons" not in health
    assert daemon.call("GET", "/api/jobs").status == 200


def test_a_program_of_a_job_is_kept_from_the_control_socket(start: Any, tmp_path: Path) -> None:
    installed_plugin(tmp_path / "plugins", "insider", INSIDER)
    daemon = start().ready()
    control = str(daemon.data / "control.sock")
    assert "keys" in command(daemon.data, "keys", "list", "--json")
    job = daemon.call("POST", "/api/jobs", {"type": "insider", "payload": {"control": control}})
    told = daemon.until(job.body["jobId"], "completed")["result"]["told"]
    assert told.startswith("HTTP/1.1 403 ") and "programs that this daemon started" in told


@pytest.mark.slow
def test_keys_are_made_listed_and_revoked_where_no_daemon_runs(tmp_path: Path) -> None:
    wanted = ("--scope", "submit", "--types", "hls, webp", "--rate", "9/hour", "--expires", "2w")
    key = command(tmp_path, "keys", "add", "blog", *wanted).strip()
    [listed] = json.loads(command(tmp_path, "keys", "list", "--json"))["keys"]
    assert (listed["prefix"], listed["types"], listed["rate"]) == (key[3:11], ["hls", "webp"], "9/hour")
    ends = datetime.fromisoformat(listed["expiresAt"]) - datetime.fromisoformat(listed["createdAt"])
    assert timedelta(days=13.9) < ends < timedelta(days=14.1)
    command(tmp_path, "keys", "revoke", "nobodys2", code=1)
    assert "'blog' is revoked" in command(tmp_path, "keys", "revoke", key), "the key itself names its prefix"
    trail = json.loads(command(tmp_path, "keys", "audit", "--json"))["entries"]
    assert [(entry["action"], entry["target"], entry["key"]) for entry in trail] == [
        ("keys revoke", key[3:11], None),
        ("keys add", key[3:11], None),
    ]


def test_a_rate_holds_over_many_connections_streams_and_batches_and_a_restart_fills_it(start: Any) -> None:
    daemon = start().ready()
    key = command(daemon.data, "keys", "add", "slow", "--scope", "submit", "--rate", "20/hour").strip()
    bearer = {"Authorization": f"Bearer {key}"}
    url = f"http://127.0.0.1:{daemon.port}/api/events?token={key}"
    with urllib.request.urlopen(url, timeout=30) as stream, ThreadPoolExecutor(40) as callers:
        assert stream.readline(), "an open stream costs one call, however long it stays"
        calls = [callers.submit(daemon.call, "GET", "/api/jobs", None, **bearer) for _ in range(40)]
        statuses = Counter(call.result().status for call in calls)
        job = {"type": "sleep", "payload": {}}
        assert daemon.call("POST", "/api/jobs", job, **bearer).status == 429
        assert daemon.call("GET", "/health").status == 200
    assert statuses == {200: 19, 429: 21}, "one bucket for all connections"
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    daemon = start().ready()
    batch = daemon.call("POST", "/api/jobs/batch", {"jobs": [job] * 50}, **bearer)
    assert batch.status == 201, "a restart forgets what was spent"
    refused = daemon.call("POST", "/api/jobs", job, **bearer)
    assert (refused.status, refused.body["type"]) == (429, "urn:secondunit:problem:too-many-requests")
    assert daemon.call("GET", "/api/jobs", **bearer).body["total"] == 50, "who owes jobs may look at them"
