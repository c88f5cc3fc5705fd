"""A clone of this checkout and one of its compose files, run by a docker: commands there, and in its containers."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import CHECKOUT
from tests.e2e.container.compose import Docker, docker
from tests.e2e.container.engine import NoEngine
from tests.e2e.service.checkout import copied, git

OURS = """
  {service}:
    build: {{network: host}}
    ports: !override ["127.0.0.1::8000"]
"""


@dataclass(frozen=True)
class Project:
    """The compose file lies in `folder`, and `service` is the one that is meant where none is named."""

    folder: Path
    at: Docker
    variables: Mapping[str, str]
    service: str

    def sh(self, commands: str) -> str:
        """Run commands there as people do, on a terminal; what they show. They must succeed."""
        (script := Path(self.variables["OURS"]).parent / "commands.sh").write_text(
            f'set -euo pipefail\nsudo() {{ "$@"; }}\n{commands}'
        )
        argv = ["script", "--quiet", "--return", "--command", f"bash {script}", "/dev/null"]
        environ = {**self.at.environ, **self.variables}
        done = subprocess.run(
            argv, cwd=self.folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout[-5000:]}{done.stderr[-2000:]}"
        return done.stdout

    def inside(self, command: str, service: str = "") -> str:
        """Run one in the container."""
        return self.sh(f"docker compose exec -T {service or self.service} {command}")

    def job(self, id: str) -> Mapping[str, object]:
        found: Mapping[str, object] = json.loads(self.inside(f"secondunit jobs show {id} --json"))
        return found

    def jobs(self) -> dict[str, str]:
        """Those that there are, and how they are."""
        listed = json.loads(self.inside("secondunit jobs list --json"))["jobs"]
        return {job["jobId"]: job["status"] for job in listed}

    def submitted(self, output: str, service: str = "") -> str:
        """A long job, running."""
        given = f"-p inputPath=/srv/media/long.mp4 -p outputDir=/srv/media/{output}"
        id = self.inside(f"secondunit submit hls --quiet {given}", service).split()[-1]
        until(lambda: self.job(id)["progress"])
        return id

    def answered(self, key: str | None, service: str = "") -> str:
        """The status of a call to the published port."""
        address = self.sh(f"docker compose port {service or self.service} 8000").strip()
        header = ["--header", f"Authorization: Bearer {key}"] if key else []
        argv = [*self.at.reach, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *header, f"{address}/api/jobs"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


@contextmanager
def opened(
    folder: Path, compose: str, services: Sequence[str], name: str, images: Mapping[str, Path] | None = None
) -> Iterator[Project]:
    """The project of this compose file; skips, aloud, where no docker runs.

    `images` are made of these folders where they can't be pulled.
    """
    origin, clone = copied(folder / "origin"), folder / "secondunit"
    git(folder, "clone", "--quiet", str(origin), str(clone))
    (clone / ".venv").symlink_to(CHECKOUT / ".venv")
    ours = folder / "ours.yaml"
    ours.write_text("services:" + "".join(OURS.format(service=service) for service in services))
    file = clone / compose
    variables = {"COMPOSE_FILE": f"{file}:{ours}", "COMPOSE_PROJECT_NAME": name, "OURS": str(ours)}
    try:
        with docker(folder, CHECKOUT / ".cache", variables, images or {}) as at:
            ready = Project(file.parent, at, variables, services[0])
            try:
                yield ready
            finally:
                ready.sh("docker compose down --volumes --timeout 5")
    except NoEngine as why:
        pytest.skip(f"COMPOSE IS NOT RUN: {why}")


def until(true: Callable[[], object], within: float = 120.0) -> None:
    """Return once it is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)
