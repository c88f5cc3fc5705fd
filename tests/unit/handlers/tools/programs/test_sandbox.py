"""What a program of a job can do once somebody else has taken it over: nothing to what it was not given."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from secondunit.handlers.tools.programs.ports import Profile
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import ANY_ADDRESS, available, measured
from secondunit.handlers.tools.programs.sandbox.orders import Sandbox
from secondunit.handlers.tools.programs.sandbox.seccomp import Refusals, assembled

WHOLE = available()
pytestmark = pytest.mark.skipif(not (WHOLE.landlock and WHOLE.machine), reason="THE SANDBOX IS NOT TESTED: no Landlock")
TRY = """
import ctypes, json, os, signal, socket, sys
def tried(name, attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    return "done"
def call(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
"""


@dataclass(frozen=True)
class Scene:
    """A folder that a program works in, and a secret beside it."""

    runner: ProcessRunner
    work: Path
    secret: Path

    async def tries(self, profile: Profile, attempts: str, **given: object) -> list[object]:
        """What came of each: "done", or an errno."""
        lines: list[str] = []

        async def keep(line: str) -> None:
            lines.append(line)

        values = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        tries = "".join(
            f"print(json.dumps(tried('', lambda: {attempt})))\n" for attempt in attempts.strip().splitlines()
        )
        code = f"{TRY}{values}{tries}"
        finished = await self.runner.run(
            [sys.executable, "-I", "-c", code], cwd=self.work, profile=profile, on_line=keep
        )
        assert finished.returncode == 0, finished.stderr
        return [json.loads(line) for line in lines]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    work, secret = tmp_path / "work", tmp_path / "secret"
    work.mkdir()
    secret.write_text("canary")
    return Scene(ProcessRunner(sys.executable, sandbox=WHOLE), work, secret)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        yield one, two


async def test_a_program_reads_and_writes_only_what_it_was_given(scene: Scene, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    attempts = """
        open(secret).read()
        open("/etc/shadow").read()
        os.listdir(parent)
        open(parent + "/new", "w")
        os.rename("mine", parent + "/mine")
        open("mine", "w").write("")
        open(given + "/mine", "w").write("")
        os.symlink(secret, "link")
        open("link").read()
    """
    found = await scene.tries(
        Profile("python", writes=[given]), attempts, secret=str(scene.secret), parent=str(tmp_path), given=str(given)
    )
    assert found == [13, 13, 13, 13, 13 if found[4] == 13 else 2, "done", "done", "done", 13]
    assert (given / "mine").exists() and not (tmp_path / "new").exists()


async def test_a_descriptor_opens_its_own_file_and_no_other(scene: Scene) -> None:
    await asyncio.to_thread((scene.work.parent / "other").write_text, "of somebody else")
    fd = os.open(scene.secret, os.O_RDONLY)
    try:
        lines: list[str] = []

        async def keep(line: str) -> None:
            lines.append(line)

        argv = ["sh", "-c", f"cat /proc/self/fd/{fd}; true > /proc/self/fd/{fd}; cat ../other"]
        finished = await scene.runner.run(argv, cwd=scene.work, pass_fds=[fd], on_line=keep)
    finally:
        os.close(fd)
    assert lines == ["canary"] and finished.stderr.count("ermission denied") == 2
    assert scene.secret.read_text() == "canary"


async def test_what_landlock_does_not_govern_is_refused_as_well(scene: Scene) -> None:
    attempts = """
        os.chmod(secret, 0o777)
        os.truncate(secret, 0)
        os.utime(secret)
        os.open("/proc/self/fd/0", os.O_RDONLY | os.O_TRUNC)
        os.setxattr(secret, "user.x", b"")
        os.kill(pid, 0)
        os.kill(os.getpid(), 0)
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        call(101 if os.uname().machine == "x86_64" else 117, 16, pid, 0, 0)
        call(310 if os.uname().machine == "x86_64" else 270, pid, 0, 0, 0, 0, 0)
        call(425, 1, 0)
        os.pidfd_open(pid) and call(438, os.pidfd_open(pid), 0, 0)
        open("/proc/%d/environ" % pid, "rb").read()
        call(272 if os.uname().machine == "x86_64" else 97, 0x10000000)
    """
    found = await scene.tries(Profile("python"), attempts, secret=str(scene.secret), pid=os.getpid())
    assert found == [1, 1, 1, 13, 1, 1, "done", 1, 1, 1, 38, 1, 13, 1]
    assert scene.secret.read_text() == "canary"


async def test_a_decoder_has_no_network(scene: Scene, listening: tuple[socket.socket, socket.socket]) -> None:
    attempts = """
        socket.socket(socket.AF_INET)
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        socket.socket(socket.AF_UNIX)
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        socket.socketpair()
    """
    assert await scene.tries(Profile("python"), attempts) == [13, 13, 13, 13, 13, "done"]


@pytest.mark.parametrize("landlock", [0, WHOLE.landlock])
async def test_whatever_a_fetching_program_connects_to_is_the_proxy(
    scene: Scene, listening: tuple[socket.socket, socket.socket], landlock: int
) -> None:
    proxy, other = (server.getsockname()[1] for server in listening)
    held = replace(scene, runner=ProcessRunner(sys.executable, sandbox=replace(WHOLE, landlock=landlock)))
    attempts = """
        exec("assert socket.create_connection(('127.0.0.1', other)).getpeername()[1] == proxy")
        exec("assert socket.create_connection(('192.0.2.1', 80)).getpeername()[1] == proxy")
        socket.socket(socket.AF_UNIX)
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        socket.socket().bind(("127.0.0.1", 0))
        socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", other))
    """
    found = await held.tries(Profile("yt-dlp", reach=proxy), attempts, proxy=proxy, other=other)
    assert found == ["done", "done", 13, 13, 13, 13]


async def test_calls_by_another_architectures_numbers_end_the_program(scene: Scene) -> None:
    other = "aarch64" if WHOLE.machine == "x86_64" else "x86_64"
    foreign = ProcessRunner(sys.executable, sandbox=replace(WHOLE, machine=other))
    assert (await foreign.run(["true"], cwd=scene.work)).returncode == -31  # SIGSYS


async def test_the_self_test_finds_every_layer_that_is_there(tmp_path: Path) -> None:
    found = await measured(lambda sandbox: ProcessRunner(sys.executable, sandbox=sandbox), sys.executable, tmp_path)
    assert found.whole and found.describe()["landlock"] == WHOLE.landlock, found
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def test_the_self_test_tells_what_a_weaker_machine_leaves_open(tmp_path: Path) -> None:
    def weaker(sandbox: Sandbox) -> ProcessRunner:
        return ProcessRunner(sys.executable, sandbox=replace(sandbox, landlock=0))

    found = await measured(weaker, sys.executable, tmp_path)
    assert {"open: read", "open: write"} <= set(found.lacks)


CONTAINER = """
import asyncio, ctypes, json, struct, sys
from pathlib import Path
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import measured
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 438), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]  # pidfd_getfd: EPERM
rules = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(steps), ctypes.addressof(rules))), 0, 0) == 0
runner = lambda sandbox: ProcessRunner(sys.executable, sandbox=sandbox)
print(json.dumps(asyncio.run(measured(runner, sys.executable, Path(sys.argv[1]))).describe()))
"""


def test_where_no_descriptor_may_be_taken_over_the_self_test_does_not_wait_for_it(tmp_path: Path) -> None:
    # As in a container whose engine refuses pidfd_getfd: each start of the daemon took half a minute longer.
    argv = [sys.executable, "-c", CONTAINER, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=25, check=True)
    found = json.loads(done.stdout)
    assert found["landlock"] and found["seccomp"] and not found["proxyOnly"], found
    assert found["lacks"] == [f"open: {ANY_ADDRESS}, to fetching programs"], "SANDBOX=require must not be content"


@pytest.mark.skipif(WHOLE.landlock < 4, reason="Landlock has no say in ports here")
async def test_without_lent_sockets_a_fetching_program_gets_to_other_addresses_by_the_proxys_port(scene: Scene) -> None:
    held = replace(scene, runner=ProcessRunner(sys.executable, sandbox=replace(WHOLE, lends=False)))
    with socket.create_server(("127.0.0.1", 0)) as proxy, socket.create_server(("127.0.0.2", 0)) as other:
        port, elsewhere = proxy.getsockname()[1], other.getsockname()[1]
        with socket.create_server(("127.0.0.2", port)):
            attempts = """
                socket.create_connection(("127.0.0.2", port))
                socket.create_connection(("127.0.0.2", elsewhere))
            """
            found = await held.tries(Profile("yt-dlp", reach=port), attempts, port=port, elsewhere=elsewhere)
    assert found == ["done", 13]


def test_a_filter_is_no_longer_than_the_kernel_takes() -> None:
    for machine in ("x86_64", "aarch64"):
        assert len(assembled(Refusals(), "lent", machine)) // 8 < 4096


async def test_as_many_connections_are_lent_as_are_wanted(
    scene: Scene, listening: tuple[socket.socket, socket.socket]
) -> None:
    proxy = listening[0].getsockname()[1]
    attempts = "[socket.create_connection(('10.0.0.1', 1)) for _ in range(100)]"
    assert await scene.tries(Profile("yt-dlp", reach=proxy), attempts) == ["done"]


@pytest.mark.parametrize("landlock", sorted({5, WHOLE.landlock}))
async def test_a_fetching_program_ends_its_own_programs_and_no_others(
    scene: Scene, tmp_path: Path, landlock: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        held = replace(scene, runner=ProcessRunner(sys.executable, sandbox=replace(WHOLE, landlock=landlock)))
        attempts = """
            exec("import subprocess; p = subprocess.Popen(['sleep', '60']); p.kill(); assert p.wait() == -9")
            exec("import subprocess; p = subprocess.Popen(['sh', '-c', 'kill -KILL $$']); assert p.wait() == -9")
            os.kill(0, 0)
            os.kill(pid, 0)
            os.kill(1, 0)
        """
        found = await held.tries(Profile("yt-dlp", reach=proxy.getsockname()[1]), attempts, pid=os.getpid())
    assert found == ["done", "done", "done", 1, 1]
