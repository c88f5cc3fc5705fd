from ipaddress import ip_network
from pathlib import Path

import pytest

from secondunit.daemon.config.loader import BadConfig, load, shown
from secondunit.daemon.config.settings import Database
from tests.unit.daemon.config.loading import file, loaded, service


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


def test_an_empty_variable_is_an_unset_one() -> None:
    assert loaded(PORT="", API_KEY="").settings == loaded().settings


def test_under_systemd_the_state_directory_holds_the_data(tmp_path: Path) -> None:
    assert loaded(STATE_DIRECTORY=f"{tmp_path}:/elsewhere").settings.data_dir == tmp_path
    assert loaded(STATE_DIRECTORY="/elsewhere", DATA_DIR=str(tmp_path)).settings.data_dir == tmp_path


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert loaded(HOST=host).settings.host == host


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


@pytest.mark.parametrize(
    "hosts", ["", "h", "h:5432", "[::1]:5432", "a:1,b:2", "u:p:w@a,b", "%2Frun%2Fpg", "u:50%25%40@h"]
)
def test_hosts_of_a_server_are_taken_as_libpq_writes_them(hosts: str) -> None:
    url = f"postgresql://{hosts}/db"
    assert loaded(QUEUE_URL=url).settings.database.server == url
