"""Deploys of small repositories made on the spot, with real git; nothing leaves this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers import deploy
from secondunit.handlers.tools.addresses import AddressRule
from secondunit.handlers.tools.deployments import Deployments
from secondunit.handlers.tools.egress import Egress
from secondunit.handlers.tools.ffmpeg import MediaMissing
from secondunit.handlers.tools.git import Git
from secondunit.handlers.tools.paths import LocalFiles
from secondunit.handlers.tools.process import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.projects import Project
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext

HERE = AddressRule((ip_network("127.0.0.1/32"),))
PATH = os.pathsep.join([*({str(Path(npm).parent)} if (npm := shutil.which("npm")) else ()), SEARCH_PATH])
IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": SEARCH_PATH} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.com"))
}


@dataclass
class Repository:
    """A repository with a branch `main`."""

    path: Path

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *argv], check=True, capture_output=True, text=True, env=IDENTITY
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], *, amend: bool = False) -> str:
        """Write these files and commit; the commit's id."""
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change", *(["--amend"] if amend else []))
        return self.git("rev-parse", "HEAD")


@dataclass
class NoRivals:
    """A queue without other deploys, unless told."""

    job_id: str | None = None

    async def newer(self, job_id: str, project_id: str) -> str | None:
        return self.job_id


@dataclass
class Site:
    """One project, `site`, and the job type that deploys it."""

    folder: Path
    repository: Repository
    egress: Egress
    programs: ProcessRunner
    clock: ManualClock = field(default_factory=ManualClock)
    rivals: NoRivals = field(default_factory=NoRivals)
    entry: dict[str, Any] = field(default_factory=dict)
    made: Deployments | None = None
    runs: int = 0

    def __post_init__(self) -> None:
        self.entry |= {
            "repo_url": f"file://{self.repository.path}",
            "branches": ["main"],
            "directory": str(self.home),
            "path": PATH,
        }

    @property
    def home(self) -> Path:
        return self.folder / "srv" / "site"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.home / "releases").iterdir() if not path.name.startswith("."))

    def spec(self, *, listed: bool = True) -> HandlerSpec:
        projects = {"site": Project.model_validate(self.entry)} if listed else {}
        git = Git(self.programs, self.egress, self.folder / "repositories", 64 << 20)
        self.made = Deployments(projects, git, self.rivals)
        files = LocalFiles([])
        return deploy.build(
            Tools(self.clock, self.programs, files, MediaMissing("no"), sys.executable, deployments=self.made)
        )

    def check(self, **payload: Any) -> None:
        validated(self.spec(), {"projectId": "site", **payload})

    async def context(self) -> FakeContext:
        self.runs += 1
        return await FakeContext.open(self.folder / "work" / str(self.runs), job_id=f"job_{self.runs}")

    async def deploy(self, ctx: FakeContext | None = None, **payload: Any) -> Any:
        spec = self.spec()
        model = validated(spec, {"projectId": "site", **payload})
        return await spec.run(ctx or await self.context(), model)

    def serves(self, name: str = "index.html") -> str:
        return (self.current / name).read_text()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    path = tmp_path / "upstream"
    path.mkdir()
    repository = Repository(path)
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit({"index.html": "one"})
    return repository


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with Egress(HERE) as egress:
        yield egress


@pytest.fixture
def site(tmp_path: Path, repository: Repository, egress: Egress) -> Site:
    return Site(tmp_path, repository, egress, ProcessRunner(sys.executable))


Planted = Callable[[str], Path]
