"""A decoder that somebody else has taken over, in ffprobe's place, with canaries all around it: it gets nothing."""

import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.testing.processes import until
from tests.ffmpeg import programs

WHOLE = available()
PERL, KEY = shutil.which("perl"), "canary-of-the-environment-0123456789"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(PERL is None, reason="NO DECODER WAS TAKEN OVER: install perl"),
]
PTRACE, READ_MEMORY = (101, 310) if os.uname().machine == "x86_64" else (117, 270)
HOSTILE = """#!{perl}
use Socket;
my @got;
sub tried {{ my ($name, $attempt) = @_; push @got, $name if $attempt->(); }}
sub holds {{ open(my $file, '<:raw', $_[0]) or return 0; local $/; my $all = <$file>; index($all, $_[1]) >= 0 }}
sub joins {{ socket(my $s, $_[0], SOCK_STREAM, 0) or return 0; connect($s, $_[1]) && syswrite($s, "x") }}
tried('environment', sub {{ holds('/proc/{pid}/environ', '{key}') }});
tried('memory', sub {{ open(my $file, '<', '/proc/{pid}/mem') }});
tried('descriptors', sub {{ opendir(my $folder, '/proc/{pid}/fd') }});
tried('database', sub {{ holds('{data}/queue.db', 'SQLite') }});
tried('shadow', sub {{ open(my $file, '<', '/etc/shadow') }});
tried('secret', sub {{ holds('{secret}', 'canary') }});
tried('another film', sub {{ holds('{root}/other.mp4', 'canary') }});
tried('list', sub {{ opendir(my $folder, '{root}') }});
tried('write', sub {{ open(my $file, '>', '{root}/written') }});
tried('empty', sub {{ truncate('{root}/other.mp4', 0) }});
tried('mode', sub {{ chmod(0777, '{data}') == 1 }});
tried('remove', sub {{ unlink('{root}/doomed') == 1 }});
tried('API', sub {{ joins(AF_INET, pack_sockaddr_in({port}, inet_aton('127.0.0.1'))) }});
tried('server', sub {{ joins(AF_INET, pack_sockaddr_in({server}, inet_aton('127.0.0.1'))) }});
tried('control socket', sub {{ joins(AF_UNIX, pack_sockaddr_un('{data}/control.sock')) }});
tried('signal', sub {{ kill(0, {pid}) == 1 }});
tried('trace', sub {{ syscall({ptrace}, 0x4206, {pid}, 0, 0) == 0 }});
tried('read memory', sub {{ my $to = pack('QQ', 0, 0); syscall({read_memory}, {pid}, $to, 0, $to, 0, 0) == 0 }});
for (1 .. 3) {{
  next if fork;
  setpgrp(0, 0);
  $0 = '{stayer}';
  open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null');
  sleep 600;
  exit;
}}
print STDERR 'got: ', join(', ', @got) || 'nothing', "\\n";
exit 1;
"""
EVERYTHING = {
    "database", "secret", "another film", "list", "write", "empty", "mode", "remove", "API", "server", "control socket",
    "signal",
}  # fmt: skip


def put(program: Path, text: str) -> None:
    beside = program.with_suffix(".new")
    beside.write_text(text)
    beside.chmod(0o755)
    beside.rename(program)


async def loot(start: Any, tmp_path: Path, sandbox: str) -> set[str]:
    """What it got, in a daemon with this SANDBOX."""
    root, program = tmp_path / "media", tmp_path / "ffprobe"
    root.mkdir()
    for name in ("film.mp4", "other.mp4", "doomed"):
        (root / name).write_text("canary")
    (tmp_path / "secret").write_text("canary")
    shutil.copy(programs()[1], program)
    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon = start(SANDBOX=sandbox, MEDIA_ROOTS=str(root), FFPROBE_PATH=str(program), API_KEY=KEY)
        daemon.ready()
        put(
            program,
            HOSTILE.format(
                perl=PERL, pid=daemon.process.pid, key=KEY, data=daemon.data, secret=tmp_path / "secret", root=root,
                port=daemon.port, server=server.getsockname()[1], ptrace=PTRACE, read_memory=READ_MEMORY,
                stayer=tmp_path / "stayer",
            ),
        )  # fmt: skip
        key = {"X_API_Key": KEY}
        payload = {"videoPath": str(root / "film.mp4"), "outputPath": str(root / "film.jpg")}
        answer = daemon.call(
            "POST", "/api/jobs", {"type": "thumbnail", "payload": payload, "retryPolicy": {"maxRetries": 0}}, **key
        )
        assert answer.status == 201, answer
        job = until_ended(daemon, answer.body["jobId"], key)
        await until(lambda: not named(tmp_path / "stayer"))
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0, daemon.log
    _, found, got = job["error"]["message"].partition("got: ")
    assert found, job["error"]
    return set(got.split("\n")[0].split(", "))


def named(name: Path) -> list[str]:
    """The processes that call themselves so."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(name).encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def until_ended(daemon: Any, job_id: str, key: dict[str, str]) -> Any:
    while (job := daemon.call("GET", f"/api/jobs/{job_id}?wait=1", **key).body)["status"] in ("queued", "running"):
        assert daemon.process.poll() is None, daemon.log
    return job


@pytest.mark.skipif(not (WHOLE.landlock and WHOLE.machine), reason="THE SANDBOX IS NOT TESTED: no Landlock")
async def test_a_decoder_that_was_taken_over_gets_nothing(start: Any, tmp_path: Path) -> None:
    assert await loot(start, tmp_path, "require") == {"nothing"}


async def test_without_a_sandbox_it_gets_everything_but_the_key(start: Any, tmp_path: Path) -> None:
    got = await loot(start, tmp_path, "off")
    assert got >= EVERYTHING and "environment" not in got
