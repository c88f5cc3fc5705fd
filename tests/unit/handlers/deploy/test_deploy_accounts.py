"""Commands of a project run as another account, which gets the release and nothing of the daemon's."""

import os
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.wiring.deployments import accounts_of
from secondunit.handlers.tools.deployment.accounts import Account, AccountRefused, account_of
from secondunit.handlers.tools.deployment.projects import Project
from tests.unit.handlers.deploy.conftest import Site

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account: BUILDS NOT TESTED")
ENTRY: dict[str, Any] = {"repo_url": "https://git.test/s.git", "directory": "/srv/s", "build_command": "make"}


@pytest.fixture
def reachable(tmp_path: Path) -> None:
    """Another account may come as far as the project's folder."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)


def test_a_project_with_commands_needs_an_account_or_trust() -> None:
    with pytest.raises(ValueError, match="give `user`, or say `trusted = true`"):
        Project.model_validate(ENTRY)
    assert Project.model_validate({**ENTRY, "user": "builder"}).user == "builder"
    assert Project.model_validate({**ENTRY, "trusted": True}).trusted
    assert Project.model_validate({**ENTRY, "build_command": ""}).build == ()


@pytest.mark.parametrize(("name", "why"), [("nobody-here-x", "useradd"), ("root", "superuser|daemon itself")])
def test_an_account_that_can_not_be_had_is_refused_with_the_remedy(name: str, why: str) -> None:
    with pytest.raises(AccountRefused, match=why):
        account_of(name)
    with pytest.raises(BadConfig, match=r"deploy\.site\.user: "):
        accounts_of({"site": Project.model_validate({**ENTRY, "user": name})})


@needs_root
@pytest.mark.usefixtures("reachable")
async def test_a_build_runs_as_its_account_and_what_it_made_is_the_daemons(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    secret.chmod(0o600)
    build = f"id -u > who; cat {secret} > stolen; echo $HOME >> who; touch $HOME/x; chmod 666 who; ln -s {secret} link"
    site.entry |= {"build_command": f"{build}; rm link", "shell": True, "trusted": False, "user": "nobody"}
    site.entry["health_command"] = "test $(id -u) = 65534 && ! touch who"
    site.accounts = {"site": Account(NOBODY, NOBODY, (NOBODY,))}
    await site.deploy()
    who = site.current / "who"
    uid, home = who.read_text().split()
    assert int(uid) == NOBODY and not stands(home)
    assert site.serves("stolen") == ""
    assert (who.stat().st_uid, who.stat().st_mode & 0o777) == (os.geteuid(), 0o644)


@needs_root
@pytest.mark.usefixtures("reachable")
async def test_a_link_that_a_build_leaves_changes_nothing_where_it_leads(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    secret.chmod(0o600)
    site.entry |= {"build_command": ["ln", "-s", str(secret), "link"], "trusted": False, "user": "nobody"}
    site.accounts = {"site": Account(NOBODY, NOBODY, (NOBODY,))}
    await site.deploy()
    assert (secret.stat().st_uid, secret.stat().st_mode & 0o777) == (os.geteuid(), 0o600)


def stands(path: str) -> bool:
    """Whether there is something of this name."""
    return Path(path).exists()
