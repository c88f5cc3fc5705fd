"""Settings that are read from what a test writes."""

from collections.abc import Mapping
from pathlib import Path

from secondunit.daemon.config.loader import Config, load

NO_FILE = Path("/nonexistent/config.toml")


def loaded(**environ: str) -> Config:
    return load(environ, default_file=NO_FILE)


def file(tmp_path: Path, text: str) -> Mapping[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return {"SECONDUNIT_CONFIG": str(path)}


def service(tmp_path: Path, text: str, **secrets: str) -> Path:
    """The settings of an installed service, and its secrets beside them."""
    (tmp_path / "credentials").mkdir(mode=0o700)
    for name, secret in secrets.items():
        (tmp_path / "credentials" / name).write_text(secret)
    path = tmp_path / "config.toml"
    path.write_text(text)
    path.chmod(0o640)
    return path
