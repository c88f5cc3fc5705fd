from pathlib import Path

import pytest

from secondunit.daemon.config.loader import load
from secondunit.daemon.config.oddities import absent_extras, unserved
from secondunit.daemon.config.signing_keys import SAFE
from tests.unit.daemon.config.loading import loaded, service


def test_secrets_that_everybody_can_read_are_warned_of(tmp_path: Path) -> None:
    project = '[deploy.site]\nrepo_url = "/x"\ndirectory = "/srv/site"\nauthorization = "Basic hunter2"\n'
    file = service(tmp_path, f'gemini_api_key = "hunter2"\n{project}')
    assert not [warning for warning in load({}, default_file=file).warnings if "can be read" in warning]
    file.chmod(0o644)
    warned = [warning for warning in load({}, default_file=file).warnings if "can be read" in warning]
    assert [warning.partition(" ")[0] for warning in warned] == ["GEMINI_API_KEY", "DEPLOY"]
    assert all(f"chmod o-r {file}" in warning and "hunter2" not in warning for warning in warned)


@pytest.mark.parametrize(("secret", "warned"), [("8 bytes!", True), ("whsec_" + "A" * 32, False), ("k" * SAFE, False)])
def test_a_short_secret_is_warned_of(secret: str, warned: bool) -> None:
    warnings = loaded(CALLBACK_SECRET=secret).warnings
    assert any("CALLBACK_SECRET is short" in warning for warning in warnings) is warned


DSN = "https://0123456789abcdef@sentry.example/1"


def test_near_misses_are_warned_of_and_strangers_are_not() -> None:
    warnings = loaded(DRAIN_SECOND="1", CONCURENCY_HLS="2", HOSTNAME="x", PATH="/bin", XDG_DATA_DIRS="/x").warnings
    assert [warning.partition(" ")[0] for warning in warnings] == ["DRAIN_SECOND", "CONCURENCY_HLS"]
    assert "DRAIN_SECONDS" in warnings[0] and "CONCURRENCY_HLS" in warnings[1]


def test_a_setting_of_a_type_that_nothing_serves_is_warned_of() -> None:
    [warning] = unserved(loaded(CONCURRENCY_HSL="2", CONCURRENCY_MY_TYPE="3").settings, ["hls", "my-type"])
    assert warning == "CONCURRENCY_HSL: no such job type; CONCURRENCY_HLS, perhaps?"


def test_a_setting_of_an_extra_that_is_not_installed_is_warned_of_with_what_installs_it() -> None:
    config = loaded(SENTRY_DSN=DSN, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert config.warnings == (), "the tests have both extras"
    warnings = list(absent_extras(config.settings, lambda module: False))
    assert [warning.partition(":")[0] for warning in warnings] == [
        "SENTRY_DSN IS NOT USED",
        "OTEL_EXPORTER_OTLP_ENDPOINT IS NOT USED",
    ]
    assert "`make sentry`" in warnings[0] and "secondunit[otel]" in warnings[1]
    assert "0123456789abcdef" not in "".join(warnings)
    assert not list(absent_extras(loaded(SENTRY_DSN="").settings, lambda module: False))


def test_traces_by_another_protocol_than_the_one_that_is_spoken_are_warned_of() -> None:
    [warning] = loaded(OTEL_EXPORTER_OTLP_PROTOCOL="grpc").warnings
    assert "http/protobuf" in warning
    assert not loaded(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_EXPORTER_OTLP_TIMEOUT="3").warnings


@pytest.mark.parametrize(
    ("name", "wanted"), [("CONCURRENCY_MY_TYP", "CONCURRENCY_MY_TYPE"), ("TIMEOUT_HSL", "TIMEOUT_HLS")]
)
def test_a_type_that_nothing_serves_is_answered_with_the_likely_variable(name: str, wanted: str) -> None:
    [warning] = unserved(loaded(**{name: "2"}).settings, ["hls", "my-type"])
    assert f"{wanted}, perhaps?" in warning


def test_a_dotenv_with_our_names_is_told_not_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("# our box\nPORT=1\nexport GEMINI_API_KEY=a-secret\nCONCURRENCY_HLS=2\nOTHER=x\n")
    [warning] = load({}).warnings
    assert f"{tmp_path}/.env IS NOT READ, though it names CONCURRENCY_HLS, GEMINI_API_KEY, PORT" in warning
    assert "a-secret" not in warning and "SECONDUNIT_CONFIG" in warning


@pytest.mark.parametrize("content", [b"OTHER=x\n", b"\xff\xfe\x00=", b""])
def test_a_dotenv_of_others_is_no_affair_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(content)
    assert not load({}).warnings


def test_active_mode_without_a_backend_is_warned_of() -> None:
    [warning] = loaded(PROCESSOR_MODE="active").warnings
    assert warning.startswith("BACKEND_API_URL")
    assert not loaded(PROCESSOR_MODE="active", BACKEND_API_URL="https://backend.example").warnings
