"""The settings: which source wins, that all faults are told at once, and that no secret is."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from secondunit.daemon.config.loader import BadConfig, Config, load, shown
from secondunit.daemon.config.oddities import absent_extras, unserved
from secondunit.daemon.config.settings import Database, Settings
from secondunit.daemon.config.signing_keys import SAFE

NO_FILE = Path("/nonexistent/config.toml")


def loaded(**environ: str) -> Config:
    return load(environ, default_file=NO_FILE)


def faults(**environ: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        loaded(**environ)
    return list(caught.value.faults)


def file(tmp_path: Path, text: str) -> Mapping[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return {"SECONDUNIT_CONFIG": str(path)}


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = loaded().settings
    assert (settings.processor_mode, settings.host, settings.port) == ("passive", "127.0.0.1", 8000)
    assert settings.data_dir == Path("data").absolute()
    assert settings.database == Database(settings.data_dir / "queue.db", "full")
    assert settings.roots == (settings.data_dir / "media",)
    assert (settings.lease_seconds, settings.drain_seconds, settings.rate_limit) == (30, 300, "600/minute")


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    settings = loaded(PORT="8001", **file(tmp_path, "port = 9\nlease_seconds = 12\n")).settings
    assert (settings.port, settings.lease_seconds, settings.drain_seconds) == (8001, 12, 300)


def test_a_secret_may_be_a_credential_file_and_the_environment_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("from-the-file\n")
    (tmp_path / "port").write_text("1")
    config = loaded(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert config.settings.api_key is not None and config.settings.api_key.get_secret_value() == "from-the-file"
    assert config.settings.port == 8000  # not a secret: no credential
    over = loaded(CREDENTIALS_DIRECTORY=str(tmp_path), API_KEY="from-the-environment").settings.api_key
    assert over is not None and over.get_secret_value() == "from-the-environment"


def service(tmp_path: Path, text: str, **secrets: str) -> Path:
    """The settings of an installed service, and its secrets beside them."""
    (tmp_path / "credentials").mkdir(mode=0o700)
    for name, secret in secrets.items():
        (tmp_path / "credentials" / name).write_text(secret)
    path = tmp_path / "config.toml"
    path.write_text(text)
    path.chmod(0o640)
    return path


def test_a_folder_of_credentials_names_its_files_after_the_service(tmp_path: Path) -> None:
    (tmp_path / "secondunit_api_key").write_text("k" * 32)
    (tmp_path / "secondunit_api_key").chmod(0o400)
    (tmp_path / "secondunit_gemini_key").write_text("k" * 32)
    config = loaded(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert config.settings.api_key is not None and config.settings.api_key.get_secret_value() == "k" * 32
    [warning] = config.warnings
    assert "gemini_key" in warning and "gemini_api_key, perhaps?" in warning


def test_the_command_line_reads_the_services_settings_and_its_secrets(tmp_path: Path) -> None:
    file = service(tmp_path, 'host = "0.0.0.0"\n', api_key="k" * 32)
    config = load({}, default_file=file)
    assert (config.settings.host, config.origins["api_key"]) == ("0.0.0.0", str(tmp_path / "credentials" / "api_key"))
    own = load({"SECONDUNIT_CONFIG": "/dev/null"}, default_file=file)
    assert own.settings.host == "127.0.0.1" and own.settings.api_key is None


def test_a_key_that_the_service_has_not_is_missed(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="API_KEY"):
        load({}, default_file=service(tmp_path, f'host = "0.0.0.0"\ndata_dir = "{tmp_path}"\n'))


def test_secrets_that_everybody_can_read_are_warned_of(tmp_path: Path) -> None:
    project = '[deploy.site]\nrepo_url = "/x"\ndirectory = "/srv/site"\nauthorization = "Basic hunter2"\n'
    file = service(tmp_path, f'gemini_api_key = "hunter2"\n{project}')
    assert not [warning for warning in load({}, default_file=file).warnings if "can be read" in warning]
    file.chmod(0o644)
    warned = [warning for warning in load({}, default_file=file).warnings if "can be read" in warning]
    assert [warning.partition(" ")[0] for warning in warned] == ["GEMINI_API_KEY", "DEPLOY"]
    assert all(f"chmod o-r {file}" in warning and "hunter2" not in warning for warning in warned)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert loaded(PORT="", API_KEY="").settings == loaded().settings


def test_under_systemd_the_state_directory_holds_the_data(tmp_path: Path) -> None:
    assert loaded(STATE_DIRECTORY=f"{tmp_path}:/elsewhere").settings.data_dir == tmp_path
    assert loaded(STATE_DIRECTORY="/elsewhere", DATA_DIR=str(tmp_path)).settings.data_dir == tmp_path


def test_every_fault_is_told_at_once_and_says_what_is_allowed() -> None:
    told = faults(PORT="abc", PROCESSOR_MODE="both", CONCURRENCY_HLS="0", QUEUE_URL="redis://x", RATE_LIMIT="many")
    assert {fault.partition(":")[0] for fault in told} == {
        "PORT",
        "PROCESSOR_MODE",
        "CONCURRENCY_HLS",
        "QUEUE_URL",
        "RATE_LIMIT",
    }
    assert all("; allowed: " in fault and "\n" not in fault for fault in told)
    [port] = [fault for fault in told if fault.startswith("PORT")]
    assert port == (
        "PORT: 'abc' is not a whole number; allowed: a port, 0 for any free one, 0 to 65535 (given by environment)"
    )


@pytest.mark.parametrize("name", ["BACKEND_API_URL", "GEMINI_BASE_URL", "ALERT_URL"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:80a", "http://box.example:99999", "box.example", "http://"])
def test_an_address_that_nobody_could_reach_is_refused_at_the_start(name: str, url: str) -> None:
    [fault] = faults(**{name: url})
    assert fault.startswith(f"{name}:")


@pytest.mark.parametrize("secret", ["x", "7 bytes", "whsec_" + "AAAAAAAAAA=="])
def test_a_secret_that_is_soon_found_out_signs_nothing(secret: str) -> None:
    [fault] = faults(CALLBACK_SECRET=secret)
    assert fault.startswith("CALLBACK_SECRET:") and "8 bytes" in fault and secret not in fault.split()


@pytest.mark.parametrize(("secret", "warned"), [("8 bytes!", True), ("whsec_" + "A" * 32, False), ("k" * SAFE, False)])
def test_a_short_secret_is_warned_of(secret: str, warned: bool) -> None:
    warnings = loaded(CALLBACK_SECRET=secret).warnings
    assert any("CALLBACK_SECRET is short" in warning for warning in warnings) is warned


def test_a_fault_of_a_secret_does_not_show_it() -> None:
    told = faults(CALLBACK_SECRET="whsec_!hunter2!", ALERT_URL="ftp://hunter2")
    assert len(told) == 2
    assert "hunter2" not in "".join(told)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "box.example"])
def test_a_host_that_others_reach_needs_a_key(host: str) -> None:
    [fault] = faults(HOST=host)
    assert fault.startswith("HOST:") and "API_KEY" in fault
    assert loaded(HOST=host, API_KEY="k" * 32).settings.host == host


def test_a_reachable_host_is_told_together_with_other_faults() -> None:
    assert [fault.partition(":")[0] for fault in faults(HOST="0.0.0.0", PORT="x")] == ["PORT", "HOST"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert loaded(HOST=host).settings.host == host


def test_an_unknown_key_in_the_file_is_refused_with_the_likely_one(tmp_path: Path) -> None:
    [fault] = faults(**file(tmp_path, "prot = 8001\n"))
    assert fault.startswith("prot: unknown key") and "port, perhaps" in fault


@pytest.mark.parametrize("table", ["[deploy.site]", "[types.hls]", "[types.hls.retry]", "[[schedule]]"])
def test_a_setting_that_landed_in_a_table_is_sent_above_it(tmp_path: Path, table: str) -> None:
    [fault] = [one for one in faults(**file(tmp_path, f"{table}\nmedia_roots = []\n")) if "media_roots:" in one]
    assert "; allowed: above the first [table] of the file" in fault


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[types.hls.retry]\nmax_tries = 3\n", "types.hls.retry.max_tries"),
        ("[types.hls.retry]\nmax_retries = -1\n", "types.hls.retry.max_retries"),
        ("[types.hls]\nspeed = 3\n", "types.hls.speed"),
        ("concurrency_hls = 'x'\n", "CONCURRENCY_HLS"),
        ("retry = 3\n", "retry"),
        ("port = \n", "SECONDUNIT_CONFIG"),
    ],
)
def test_a_fault_in_the_file_names_its_place(tmp_path: Path, text: str, name: str) -> None:
    [fault] = faults(**file(tmp_path, text))
    assert fault.startswith(f"{name}:") and "; allowed: " in fault


def test_a_named_file_that_is_not_there_is_a_fault() -> None:
    [fault] = faults(SECONDUNIT_CONFIG="/nonexistent/config.toml")
    assert "can't be read" in fault


def test_the_file_holds_retry_tables_and_settings_of_types(tmp_path: Path) -> None:
    text = 'concurrency_hls = 2\n[types.hls.retry]\nmax_retries = 1\nbackoff = "fixed"\n'
    settings = loaded(**file(tmp_path, text)).settings
    assert settings.concurrency == {"hls": 2}
    policy = settings.retry["hls"].policy()
    assert (policy.max_retries, policy.backoff, policy.initial_delay.total_seconds()) == (1, "fixed", 1)


def test_the_file_lists_the_projects_that_may_be_deployed(tmp_path: Path) -> None:
    text = '[deploy.site]\nrepoUrl = "https://g.test/s.git"\ndirectory = "/srv/s"\nenvironment = {TOKEN = "sesame"}\n'
    settings = loaded(**file(tmp_path, text)).settings
    assert settings.deploy["site"].directory == Path("/srv/s")
    assert "sesame" in settings.secrets() and "sesame" not in str(shown(settings))


def test_a_fault_of_a_project_names_its_table_and_shows_no_value(tmp_path: Path) -> None:
    text = '[deploy.site]\nrepo_url = "https://git.test/s.git"\ndirectory = "/srv/s"\nenvironment = {PIN = 4711}\n'
    [fault] = faults(**file(tmp_path, text))
    assert fault.startswith("deploy.site.environment.PIN: is not text; allowed: ") and "4711" not in fault


def test_lists_are_split_as_their_variable_says() -> None:
    settings = loaded(
        MEDIA_ROOTS="/a:/b",
        CORS_ORIGINS="https://a.example, chrome-extension://abc",
        ALLOW_PRIVATE_ADDRESSES="10.0.0.0/8",
    ).settings
    assert settings.media_roots == (Path("/a"), Path("/b"))
    assert settings.cors_origins == ("https://a.example", "chrome-extension://abc")
    assert settings.allow_private_addresses == (ip_network("10.0.0.0/8"),)


def test_the_queue_url_may_trade_durability_for_speed() -> None:
    settings = loaded(QUEUE_URL="sqlite:////var/q.db?synchronous=normal").settings
    assert settings.database == Database(Path("/var/q.db"), "normal")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///q.db?mode=ro", "sqlite://host/q.db", "q.db"])
def test_other_queue_urls_are_refused(url: str) -> None:
    [fault] = faults(QUEUE_URL=url)
    assert fault.startswith("QUEUE_URL:")


@pytest.mark.parametrize(
    "url", ["postgresql://u:ge/heim@h/db", "postgresql://u:ge#heim@h/db", "postgresql://u@h:five/db"]
)
def test_a_password_that_breaks_its_url_is_told_of_and_not_told(url: str) -> None:
    [fault] = faults(QUEUE_URL=url)
    assert fault.startswith("QUEUE_URL:") and "%2F" in fault and "heim" not in fault and "ge/" not in fault


@pytest.mark.parametrize("hosts", ["", "h", "h:5432", "[::1]:5432", "a:1,b:2", "u:p:w@a,b", "%2Frun%2Fpg"])
def test_hosts_of_a_server_are_taken_as_libpq_writes_them(hosts: str) -> None:
    url = f"postgresql://{hosts}/db"
    assert loaded(QUEUE_URL=url).settings.database.server == url


@pytest.mark.parametrize("name", ["UVICORN_WORKERS", "QUEUE_TYPE", "REDIS_URL"])
def test_a_variable_of_older_deployments_is_answered_by_what_serves_instead(name: str) -> None:
    [warning] = loaded(**{name: "redis"}).warnings
    assert warning.startswith(f"{name} is not used: ")


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


@pytest.mark.parametrize("url", ["http://me:hunter2@box.example:0", "https://box.example/?key=hunter2"])
def test_a_fault_of_an_address_does_not_show_what_it_may_hold(url: str) -> None:
    [fault] = faults(BACKEND_API_URL=url)
    assert "hunter2" not in fault and "; allowed: an http or https URL" in fault


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


def test_showing_the_settings_strikes_secrets_out_and_names_every_variable() -> None:
    settings = loaded(API_KEY="a-secret-of-some-length").settings
    values = shown(settings)
    assert values["API_KEY"] == "***" and values["GEMINI_API_KEY"] is None
    assert "a-secret" not in str(values) and "a-secret" not in repr(settings)
    assert set(values) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:ge%20heim@h/db",
        "postgresql://u@h/db?password=ge%20heim",
        "postgresql://u@h/db?sslpassword=ge+heim",
    ],
)
def test_a_password_of_the_queue_is_a_secret_wherever_its_url_has_it(url: str) -> None:
    settings = loaded(QUEUE_URL=url).settings
    assert "ge heim" in settings.secrets() and "heim" not in str(shown(settings))


@pytest.mark.parametrize("name", [" ", "a\nb", "a ", "\x1b[2J", "a" * 256, "remote -@b w"])
def test_a_box_has_a_name_that_lists_and_logs_can_show(name: str) -> None:
    with pytest.raises(BadConfig, match="BOX"):
        loaded(BOX=name)
    assert loaded(BOX="two box/ä").settings.box == "two box/ä"


def test_the_settings_know_their_secrets() -> None:
    assert loaded(API_KEY="abcdefghij0123456789", GEMINI_API_KEY="other").settings.secrets() == {
        "abcdefghij0123456789",
        "other",
    }
