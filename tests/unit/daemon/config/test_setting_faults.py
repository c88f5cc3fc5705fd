from pathlib import Path

import pytest

from secondunit.daemon.config.loader import BadConfig
from tests.unit.daemon.config.loading import file, loaded


def faults(**environ: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        loaded(**environ)
    return list(caught.value.faults)


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


def test_a_fault_of_a_project_names_its_table_and_shows_no_value(tmp_path: Path) -> None:
    text = '[deploy.site]\nrepo_url = "https://git.test/s.git"\ndirectory = "/srv/s"\nenvironment = {PIN = 4711}\n'
    [fault] = faults(**file(tmp_path, text))
    assert fault.startswith("deploy.site.environment.PIN: is not text; allowed: ") and "4711" not in fault


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///q.db?mode=ro", "sqlite://host/q.db", "q.db"])
def test_other_queue_urls_are_refused(url: str) -> None:
    [fault] = faults(QUEUE_URL=url)
    assert fault.startswith("QUEUE_URL:")


@pytest.mark.parametrize("password", ["ge50%", "%heim", "ge%heim", "50%%heim"])
def test_a_percent_that_stands_for_itself_is_told_of_and_its_password_is_not(password: str) -> None:
    [fault] = faults(QUEUE_URL=f"postgresql://u:{password}@h/db")
    assert fault.startswith("QUEUE_URL:") and "%25" in fault and "heim" not in fault and "ge" not in fault


@pytest.mark.parametrize(
    "url", ["postgresql://u:ge/heim@h/db", "postgresql://u:ge#heim@h/db", "postgresql://u@h:five/db"]
)
def test_a_password_that_breaks_its_url_is_told_of_and_not_told(url: str) -> None:
    [fault] = faults(QUEUE_URL=url)
    assert fault.startswith("QUEUE_URL:") and "%2F" in fault and "heim" not in fault and "ge/" not in fault


@pytest.mark.parametrize("name", ["UVICORN_WORKERS", "QUEUE_TYPE", "REDIS_URL"])
def test_a_variable_of_older_deployments_is_answered_by_what_serves_instead(name: str) -> None:
    [warning] = loaded(**{name: "redis"}).warnings
    assert warning.startswith(f"{name} is not used: ")


@pytest.mark.parametrize("url", ["http://me:hunter2@box.example:0", "https://box.example/?key=hunter2"])
def test_a_fault_of_an_address_does_not_show_what_it_may_hold(url: str) -> None:
    [fault] = faults(BACKEND_API_URL=url)
    assert "hunter2" not in fault and "; allowed: an http or https URL" in fault


@pytest.mark.parametrize("name", [" ", "a\nb", "a ", "\x1b[2J", "a" * 256, "remote -@b w"])
def test_a_box_has_a_name_that_lists_and_logs_can_show(name: str) -> None:
    with pytest.raises(BadConfig, match="BOX"):
        loaded(BOX=name)
    assert loaded(BOX="two box/ä").settings.box == "two box/ä"
