"""Project list: what `deploy` may touch, as the operator lists it, and what a payload may say about it."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic.alias_generators import to_camel

from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from secondunit.queue.errors import FieldError

SCHEMES = ("https", "http", "ssh", "file")
COMMIT = re.compile(r"[0-9a-f]{40}")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
NEVER_IN_BRANCHES = re.compile(r"\.\.|//|/\.|\.lock(/|$)|[/.]$")
VISIBLE, VARIABLE = re.compile(r"[\x21-\x7e]+"), re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SHELL_ONLY = re.compile(r"[;&|<>$`()*?~#\n\\]")
SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
WITH_PASSWORD = re.compile(r"://[^/\s]*@")
TABLE = "[deploy.{id}]"


def _repository(value: str) -> str:
    parts = urlsplit(f"file://{value}" if value.startswith("/") else value)
    if parts.scheme not in SCHEMES or not VISIBLE.fullmatch(value):
        raise ValueError("it is not an https, http, ssh or file URL")
    if parts.scheme != "file" and (not parts.hostname or parts.hostname.startswith("-")):
        raise ValueError("it names no host")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("a file URL is written file:///PATH")
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise ValueError("a user or password has no place in it; give `authorization`")
    return value


def _branches(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _directory(value: Path) -> Path:
    if not value.is_absolute() or ".." in value.parts or len(value.parts) < 2:
        raise ValueError("it is not an absolute path to a folder")
    return value


def _variable(value: str) -> str:
    if not VARIABLE.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a variable")
    return value


Words = tuple[Annotated[str, Field(min_length=1)], ...]
Command = str | Words
Variables = Mapping[Annotated[str, AfterValidator(_variable)], SecretStr]


class Project(BaseModel):
    """One `[deploy.ID]`. Its keys may also be written as a payload writes them (`repoUrl`).

    The scheme of `repo_url` is the only protocol git may use for it. The first of `branches` is deployed when a payload
    names none; the others may be patterns (`release/*`). `allow_private` lets the repository lie at any address.
    Commands run as the account `user`; without one the project must be `trusted`, and they may do what the daemon may.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_camel(name))),
    )

    repo_url: Annotated[str, AfterValidator(_repository)]
    branches: Annotated[tuple[str, ...], BeforeValidator(_branches), Field(min_length=1)] = Field(
        ("main",), validation_alias=AliasChoices("branches", "branch")
    )
    directory: Annotated[Path, AfterValidator(_directory)]
    build_command: Command = ()
    health_command: Command = ()
    shell: bool = False
    timeout_seconds: int = Field(900, ge=1, le=86_400)
    health_timeout_seconds: int = Field(60, ge=1, le=3600)
    environment: Variables = {}
    path: str = Field(SEARCH_PATH, min_length=1)
    keep: int = Field(5, ge=1, le=1000)
    authorization: SecretStr | None = None
    allow_private: bool = False
    user: str | None = Field(None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)
    trusted: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> "Project":
        if fault := branch_fault(self.branches[0]):
            raise ValueError(f"the first of branches, {self.branches[0]!r}, {fault}")
        for command in (self.build_command, self.health_command):
            if isinstance(command, str) and not self.shell and SHELL_ONLY.search(command):
                raise ValueError("a command that needs a shell is run only with `shell = true`")
        if (self.build_command or self.health_command) and not self.user and not self.trusted:
            raise ValueError("its commands need an account to run under: give `user`, or say `trusted = true`")
        return self

    @property
    def scheme(self) -> str:
        """What git needs to reach the repository."""
        return "file" if self.repo_url.startswith("/") else urlsplit(self.repo_url).scheme

    @property
    def build(self) -> Sequence[str]:
        """The build's argv; empty when nothing is to be built."""
        return self._argv(self.build_command)

    @property
    def health(self) -> Sequence[str]:
        """The argv that says whether a release works; empty when nothing is asked."""
        return self._argv(self.health_command)

    @property
    def limit(self) -> timedelta:
        """How long the build may take."""
        return timedelta(seconds=self.timeout_seconds)

    @property
    def health_limit(self) -> timedelta:
        """How long the health command may take."""
        return timedelta(seconds=self.health_timeout_seconds)

    def variables(self) -> Mapping[str, str]:
        """The environment of the operator's commands, without HOME and TMPDIR, which each run has of its own."""
        named = {name: value.get_secret_value() for name, value in self.environment.items()}
        return {"PATH": self.path, "LANG": "C.UTF-8", **named}

    def secrets(self) -> frozenset[str]:
        """What must not be shown: the authorization, and variables whose name or value says that they are secret."""
        values = {name: value.get_secret_value() for name, value in self.environment.items()}
        found = {value for name, value in values.items() if SECRET_NAME.search(name) or WITH_PASSWORD.search(value)}
        return frozenset((found | ({self.authorization.get_secret_value()} if self.authorization else set())) - {""})

    def _argv(self, command: Command) -> Sequence[str]:
        if self.shell and isinstance(command, str) and command:
            return ("/bin/sh", "-c", command)
        return tuple(shlex.split(command)) if isinstance(command, str) else command


Projects = Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")], Project]


def branch_fault(name: str) -> str | None:
    """Why this can't be what is deployed, whatever the project allows."""
    if BRANCH.fullmatch(name) is None or NEVER_IN_BRANCHES.search(name):
        return "is neither a branch's name nor a commit's 40 hexadecimal digits"
    return None


def disagreements(id: str, project: Project, given: Mapping[str, str | None]) -> Iterator[FieldError]:
    """What a payload says about a project that its table does not; `given` has the payload's four optional fields."""
    table = TABLE.format(id=id)
    branch, directory, command = given["branch"], given["directory"], given["buildCommand"]
    if given["repoUrl"] not in (None, project.repo_url):
        yield FieldError("repoUrl", f"differs from repo_url of {table} in the configuration")
    if branch is not None and (fault := branch_fault(branch)):
        yield FieldError("branch", fault)
    elif branch is not None and not any(fnmatchcase(branch, allowed) for allowed in project.branches):
        yield FieldError("branch", f"is not one of the branches of {table} in the configuration")
    if directory is not None and Path(directory) != project.directory:
        yield FieldError("directory", f"differs from the directory of {table} in the configuration")
    if command is not None and command != _text(project.build_command):
        yield FieldError("buildCommand", f"differs from build_command of {table} in the configuration")


def _text(command: Command) -> str:
    return command if isinstance(command, str) else shlex.join(command)
