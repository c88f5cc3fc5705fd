"""Docker and its `compose`: the machine's, or a daemon of our own with all its networks in a namespace of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.container.engine import Engine, NoEngine, with_base
from tests.e2e.debian import MIRROR

PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ANSWERS_WITHIN = 60.0
# What it mounts is seen by it alone, and whatever it started ends with it: nothing is left of a test that is killed.
CONFINED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child", "--pid", "--mount-proc")
ALONE = ("--bridge=none", "--iptables=false", "--ip6tables=false")


@dataclass(frozen=True, slots=True)
class Docker:
    """What `docker` is to be started with, and what stands in front of a program that asks a published port."""

    environ: Mapping[str, str]
    reach: Sequence[str] = ()


@contextmanager
def docker(folder: Path, cache: Path, built: Mapping[str, str], images: Mapping[str, Path]) -> Iterator[Docker]:
    """A docker that has the image of `docker compose build` with these variables; NoEngine where there can be none.

    It has these `images`, too, made of their folders where they can't be pulled.
    """
    if shutil.which("docker") is None:
        raise NoEngine("there is no docker")
    environ = {**os.environ, "DOCKER_CONFIG": str(_with_compose(cache))}
    if _answers(environ):
        _built(environ, cache, built, images)
        yield Docker(environ)
        return
    absent = [
        program
        for program in ("dockerd", "setpriv", "unshare", "nsenter", "ip", "iptables")
        if shutil.which(program) is None
    ]
    if os.geteuid() != 0 or absent:
        raise NoEngine(f"no docker answers, and one of our own needs root{''.join(f', {name}' for name in absent)}")
    environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
    with _daemon(folder, environ, [], ALONE):  # building takes the machine's network, and no network of docker's
        _built(environ, cache, built, images)
    with _daemon(folder, environ, ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"], ()) as pid:
        yield Docker(environ, ("nsenter", "--target", str(pid), "--net"))


def _built(environ: Mapping[str, str], cache: Path, variables: Mapping[str, str], images: Mapping[str, Path]) -> None:
    engine = with_base(Engine(["docker"], [], [], environ), cache)
    for image, made_of in images.items():
        if engine("pull", image, check=False).returncode:
            engine("build", "--network", "host", "--tag", image, str(made_of))
    argv = ["docker", "compose", "--progress", "plain", "build"]
    done = subprocess.run(argv, env={**environ, **variables}, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


@contextmanager
def _daemon(folder: Path, environ: Mapping[str, str], before: Sequence[str], options: Sequence[str]) -> Iterator[int]:
    """A dockerd whose images and containers are below `folder`; a process in its network."""
    places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/run", "--pidfile", f"{folder}/pid"]
    argv = [*CONFINED, *before, "dockerd", *places, "--host", environ["DOCKER_HOST"], *options]
    with (folder / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + ANSWERS_WITHIN
        while not _answers(environ):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoEngine(f"dockerd does not run here: {(folder / 'dockerd.log').read_text()[-1000:]}")
            time.sleep(0.5)
        yield process.pid
    finally:
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGTERM)  # it ends its containers, and containerd with them
        try:
            process.wait(ANSWERS_WITHIN)
        finally:
            process.kill()


def _answers(environ: Mapping[str, str]) -> bool:
    return subprocess.run(["docker", "info"], env=environ, capture_output=True, timeout=60, check=False).returncode == 0


def _with_compose(cache: Path) -> Path:
    """A folder of docker's settings with the plugin in it: the machine's own, else Debian 13's, made once and kept."""
    own = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return own
    kept = cache / "docker-compose"
    if not (kept / "cli-plugins/docker-compose").exists():
        (kept / "cli-plugins").mkdir(parents=True, exist_ok=True)
        shutil.copy2(_of_debian(kept), kept / "cli-plugins/docker-compose")
    return kept


def _of_debian(folder: Path) -> Path:
    """The program out of Debian 13's package, of which nothing is installed."""
    if shutil.which("apt-get") is None or not KEYS.exists():
        raise NoEngine("docker has no `compose`, and it takes Debian's apt and keys to fetch it")
    apt = folder / "apt"
    for place in ("state/lists/partial", "cache/archives/partial", "nothing"):
        (apt / place).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={KEYS}] {MIRROR} trixie main\n")
    places = {
        "Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "nothing", "Dir::State": "state",
        "Dir::Etc::preferencesparts": "nothing", "Dir::Cache": "cache", "Dir::State::status": "status",
    }  # fmt: skip
    options = [word for name, place in places.items() for word in ("-o", f"{name}={apt / place}")]
    try:
        for command in (["update"], ["download", "docker-compose"]):
            argv = ["apt-get", "-qq", *options, *command]
            subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=600)
    except subprocess.CalledProcessError as error:
        raise NoEngine(f"docker has no `compose`, and Debian's can't be fetched: {error.stderr[-500:]!r}") from None
    [package] = folder.glob("docker-compose_*.deb")
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", f"./{PLUGIN}"], cwd=folder, input=packed, check=True)
    return folder / PLUGIN
