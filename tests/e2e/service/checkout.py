"""Copy of this checkout as it stands, uncommitted files too, as a repository of its own."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Made once: `rm -r` it for a newer Debian.
DEBIAN = Path(os.environ.get("BARE_DEBIAN", ROOT / ".cache" / "bare-debian"))
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "safe.directory=*")


def git(folder: Path, *argv: str) -> None:
    """A command of git there."""
    subprocess.run(["git", *IDENTITY, "-C", str(folder), *argv], check=True, capture_output=True)


def copied(to: Path) -> Path:
    """Make the copy."""
    to.mkdir(parents=True)
    listing = ["git", *IDENTITY, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    git(to, "init", "--quiet", "--initial-branch=main")
    git(to, "add", "--all", "--force")
    git(to, "commit", "--quiet", "-m", "as it stands")
    return to
