"""Git repositories of which a daemon deploys."""

import os
import subprocess
from pathlib import Path

IDENTITY = {name: "test" for who in ("AUTHOR", "COMMITTER") for name in (f"GIT_{who}_NAME", f"GIT_{who}_EMAIL")}


def git(repository: Path, *argv: str) -> None:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, **IDENTITY}
    subprocess.run(["git", "-C", str(repository), *argv], check=True, capture_output=True, env=environment)
