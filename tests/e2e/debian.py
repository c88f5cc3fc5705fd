"""Root file system of a Debian release, made by debootstrap over the network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
CERTIFICATES = Path(
    "/etc/ssl/certs/ca-certificates.crt"
)  # whoever checks certificates inside trusts what is trusted here
MADE_WITHIN = 1800.0


def debootstrapped(folder: Path, release: str, packages: Sequence[str] = ()) -> None:
    """A new one at `folder`, with these packages beside the least that there is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    included = [f"--include={','.join(packages)}"] if packages else []
    argv = ["debootstrap", "--variant=minbase", *included, release, str(folder), MIRROR]
    subprocess.run(argv, check=True, timeout=MADE_WITHIN, stdout=sys.stderr)
