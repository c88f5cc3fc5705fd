"""Git client: one commit into a bare mirror of its own, and its files out; nothing of the repository runs.

No hook, filter, submodule, credential helper or configuration but ours takes part, no protocol but the project's, and
no option can come out of a name: names are checked before, and stand behind --end-of-options.
"""

import os
import pwd
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.deployment.masking import masked
from secondunit.handlers.tools.deployment.projects import COMMIT, Project
from secondunit.handlers.tools.network.proxy import Egress, Permit
from secondunit.handlers.tools.programs.failures import failure, last_words
from secondunit.handlers.tools.programs.ports import Finished, Limits, Profile, Programs
from secondunit.handlers.tools.programs.runner import ENDING, SEARCH_PATH
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient

FETCH_LIMIT, SHORT_LIMIT = timedelta(minutes=30), timedelta(minutes=10)
CPU_SECONDS, OWN_MEMORY = 3600, 3 << 30
REFS = "refs/deploy/"
# Files are taken out as they were committed, byte by byte: attributes in the repository would have a say in that.
ATTRIBUTES = "* -export-subst -export-ignore -filter -ident -text -working-tree-encoding\n"
GUARDS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "gc.autoDetach=false",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "protocol.allow=never",
)
NO_REF = re.compile(r"couldn't find remote ref|not our ref|no such remote ref", re.IGNORECASE)
REFUSED = re.compile(
    r"authentication failed|could not read (?:username|password)|repository .{0,300}not found|error: 40[134]"
    r"|does not appear to be a git repository|permission denied|dubious ownership|not allowed",
    re.IGNORECASE,
)


class Git:
    """The mirrors of all projects, `folder`/ID.git; each is used by one run at a time. A fetch has a byte limit."""

    def __init__(self, programs: Programs, egress: Egress, folder: Path, most_bytes: int) -> None:
        self._programs = programs
        self._egress = egress
        self._folder = folder
        self._most_bytes = most_bytes
        # A small pack may hold a tree of a billion files, or one file of many gigabytes.
        self._limits = Limits(cpu_seconds=CPU_SECONDS, file_size=4 * most_bytes, own_memory=OWN_MEMORY)

    async def fetch(self, id: str, project: Project, branch: str, ctx: JobContext) -> str:
        """The commit that a branch stands at now, fetched; only what is new travels."""
        mirror = self._mirror(id)
        await in_thread(_prepare, mirror)
        await self._must(ctx, mirror, ["git", "init", "--bare", "--quiet", "--template=", str(mirror)], project)
        await in_thread(_own_attributes, mirror)
        ref = f"{REFS}{ctx.job_id}"
        finished, permit = await self._fetch(mirror, project, f"+{_source(branch)}:{ref}", ctx)
        if finished.returncode != 0:
            raise _meaning(project, branch, finished, permit)
        commit = (await self._said(mirror, ["rev-parse", "--verify", f"{ref}^{{commit}}"], project, ctx)).strip()
        if not COMMIT.fullmatch(commit):
            raise Deterministic(f"{branch} of {project.repo_url} is no commit", type="ref_missing")
        await self._tidy(mirror, ref, project, ctx)
        return commit

    async def archive(self, id: str, project: Project, commit: str, target: Path, ctx: JobContext) -> None:
        """Write the files of a commit as a tar archive; Deterministic("file_too_large") past the byte limit."""
        # The mirror has no working tree. To read the attributes of the commit, git would list all of its files in
        # memory first, and a dozen objects can be a billion files.
        options = ["--format=tar", "--worktree-attributes", f"--output={target}"]
        mirror = self._mirror(id)
        argv = self._argv(mirror, ["archive", *options, commit])
        profile = Profile("git", writes=[mirror, target.parent])
        bounded = replace(self._limits, file_size=self._most_bytes)
        _demand_success(await self._run(ctx, argv, project, {}, SHORT_LIMIT, profile, bounded), project, ctx.attempt)

    async def _fetch(
        self, mirror: Path, project: Project, refspec: str, ctx: JobContext
    ) -> tuple[Finished, Permit | None]:
        options = "--quiet --no-tags --no-recurse-submodules --no-write-fetch-head --no-auto-maintenance".split()
        argv = self._argv(mirror, ["fetch", *options, "--end-of-options", project.repo_url, refspec], project.scheme)
        guarded = project.scheme in ("http", "https") and not project.allow_private
        fetches = ctx.quiet(FETCH_LIMIT + ENDING, "git fetches")
        with fetches, self._egress.permit(self._most_bytes) if guarded else nullcontext() as permit:
            profile = _profile(project, mirror, self._egress.port if guarded else None)
            return await self._run(ctx, argv, project, _private(project, permit), FETCH_LIMIT, profile), permit

    async def _tidy(self, mirror: Path, keep: str, project: Project, ctx: JobContext) -> None:
        """Forget what earlier jobs fetched, once its objects have saved this one from fetching them."""
        listed = await self._said(mirror, ["for-each-ref", "--format=%(refname)", REFS], project, ctx)
        for ref in set(listed.split()) - {keep}:
            await self._must(ctx, mirror, self._argv(mirror, ["update-ref", "-d", ref]), project)
        await self._must(ctx, mirror, self._argv(mirror, ["gc", "--auto", "--quiet"]), project)

    async def _said(self, mirror: Path, argv: Sequence[str], project: Project, ctx: JobContext) -> str:
        lines: list[str] = []

        async def keep(line: str) -> None:
            lines.append(line)

        environment = _environment(ctx.workspace.run, project.scheme, {})
        finished = await self._programs.run(
            self._argv(mirror, argv),
            cwd=ctx.workspace.run,
            env=environment,
            limits=self._limits,
            profile=Profile("git", writes=[mirror]),
            on_line=keep,
            beat=ctx.beat,
            timeout=SHORT_LIMIT,
        )
        _demand_success(finished, project, ctx.attempt)
        return "\n".join(lines)

    async def _must(self, ctx: JobContext, mirror: Path, argv: Sequence[str], project: Project) -> None:
        profile = Profile("git", writes=[mirror])
        _demand_success(await self._run(ctx, argv, project, {}, SHORT_LIMIT, profile), project, ctx.attempt)

    async def _run(
        self,
        ctx: JobContext,
        argv: Sequence[str],
        project: Project,
        private: Mapping[str, str],
        limit: timedelta,
        profile: Profile,
        limits: Limits | None = None,
    ) -> Finished:
        environment = _environment(ctx.workspace.run, project.scheme, private)
        return await self._programs.run(
            argv,
            cwd=ctx.workspace.run,
            env=environment,
            limits=limits or self._limits,
            profile=profile,
            beat=ctx.beat,
            timeout=limit,
        )

    def _argv(self, mirror: Path, argv: Sequence[str], scheme: str | None = None) -> Sequence[str]:
        allowed = [f"protocol.{scheme}.allow=always"] if scheme else []
        guards = [word for guard in (*GUARDS, *allowed) for word in ("-c", guard)]
        return ["git", *guards, f"--git-dir={mirror}", *argv]

    def _mirror(self, id: str) -> Path:
        return self._folder / f"{id}.git"


def _source(branch: str) -> str:
    return branch if COMMIT.fullmatch(branch) else f"refs/heads/{branch}"


def _prepare(mirror: Path) -> None:
    """Make the folder; locks that a killed git left behind are nobody's: we alone come here, one at a time."""
    mirror.mkdir(mode=0o700, parents=True, exist_ok=True)
    for lock in (*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock"), *mirror.glob("objects/**/*.lock")):
        lock.unlink(missing_ok=True)


def _own_attributes(mirror: Path) -> None:
    (mirror / "info").mkdir(exist_ok=True)
    (mirror / "info" / "attributes").write_text(ATTRIBUTES)


def _environment(home: Path, scheme: str, private: Mapping[str, str]) -> Mapping[str, str]:
    """`private` are settings that may not stand in an argv, which everybody on the machine can read."""
    settings = {f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(private)}
    settings |= {f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(private.values())}
    return {
        "PATH": SEARCH_PATH,
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": scheme,
        "GIT_CONFIG_COUNT": str(len(private)),
        **settings,
    }


def _profile(project: Project, mirror: Path, proxy: int | None) -> Profile:
    """What a fetch may touch: the repository, where it is a folder, and the keys of ssh, which looks at no HOME."""
    if project.scheme == "file":
        return Profile("git", reads=[Path(unquote(urlsplit(project.repo_url).path))], writes=[mirror])
    keys = [Path(pwd.getpwuid(os.geteuid()).pw_dir, ".ssh")] if project.scheme == "ssh" else []
    return Profile("git", reads=keys, writes=[mirror], reach=proxy or "internet")


def _private(project: Project, permit: Permit | None) -> Mapping[str, str]:
    settings: dict[str, str] = {}
    if permit is not None:
        settings |= {"http.proxy": permit.url, "http.proxyAuthMethod": "basic"}
    if project.authorization is not None:
        value = project.authorization.get_secret_value()
        settings[f"http.{project.repo_url}.extraHeader"] = f"Authorization: {value}"
    return settings


def _demand_success(finished: Finished, project: Project, attempt: int) -> None:
    if finished.returncode < 0:
        raise failure("git", finished, attempt)
    if finished.returncode != 0:
        raise Transient(f"git failed: {masked(last_words(finished), project.secrets())}", type="git_failed")


def _meaning(project: Project, branch: str, finished: Finished, permit: Permit | None) -> Transient | Deterministic:
    """Why nothing was fetched; what the proxy refused explains it better than what git made of it."""
    url = project.repo_url
    if permit is not None and permit.denied:
        return Deterministic(
            f"{url} leads to an address that may not be reached: {permit.denied}", type="egress_denied"
        )
    if permit is not None and permit.spent:
        return Deterministic(f"{url}: more bytes came than MAX_DOWNLOAD_MB allows", type="too_large")
    if NO_REF.search(finished.stderr):
        return Deterministic(f"{url} has no branch or commit {branch}", type="ref_missing")
    words = masked(last_words(finished), project.secrets())
    if REFUSED.search(finished.stderr):
        return Deterministic(f"{url} can't be fetched from: {words}", type="repository_refused")
    return Transient(f"{url} could not be fetched: {words}", type="fetch_failed")
