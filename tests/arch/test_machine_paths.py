"""No committed file names what only some machine has: a home, this checkout, an address that packages come from."""

import re
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).parents[2]
HOMES = re.compile(r"(?<![\w/.-])/(?:root|home/(?!me/)[a-z][\w-]*)/|file://(?:localhost)?/(?:opt|root|home)/")
# Whoever installs has theirs set up. In pieces, as the examples below, so that this file names none either.
REGISTRIES = tuple(
    "".join(host) for host in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org"), ("npm", "js.com"))
)


DOCUMENTED = Path("/opt/secondunit")  # where the documents put a clone: a person who does as they say has it there


def places(text: str, checkout: Path = ROOT) -> list[str]:
    """The places of one machine that a text names."""
    ours = [str(checkout)] if len(checkout.parts) > 2 and checkout != DOCUMENTED else []
    return [*HOMES.findall(text), *(place for place in (*ours, *REGISTRIES) if place in text)]


@pytest.mark.parametrize(
    "text",
    [
        f"--password-file {Path('/', 'root', 'secret')}",
        f"PATH={Path('/', 'home', 'jane', 'bin')}:",
        f"https://{REGISTRIES[0]}/simple",
        f"file://{Path('/', 'opt', 'wheels')}",
    ],
)
def test_a_place_of_one_machine_is_found(text: str) -> None:
    assert places(text)


@pytest.mark.parametrize(
    "text",
    [
        "/srv/media",
        "/opt/secondunit",
        "/etc/secondunit",
        f"{Path('DATA_DIR', 'root')}/",
        str(Path("/", "home", "me", "bin")),
        f"{Path('tests', 'home', 'a')}/",
    ],
)
def test_a_place_of_every_machine_is_none(text: str) -> None:
    assert not places(text)


def test_the_place_of_this_checkout_is_found_unless_the_documents_have_theirs_there() -> None:
    assert places("cd /srv/clone/docs", Path("/srv/clone")) == ["/srv/clone"]
    assert places(f"cd {DOCUMENTED}/docs", DOCUMENTED) == []


def test_no_committed_file_names_a_place_of_one_machine() -> None:
    listed = run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [Path(name) for name in listed.split("\0") if name]
    assert len(files) > 1000
    found = {str(file): places((ROOT / file).read_text(errors="ignore")) for file in files}
    assert {file: named for file, named in found.items() if named} == {}
