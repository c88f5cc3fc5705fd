import pytest

from secondunit.daemon.config.loader import shown
from secondunit.daemon.config.settings import Settings
from tests.unit.daemon.config.loading import loaded


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


def test_the_settings_know_their_secrets() -> None:
    assert loaded(API_KEY="abcdefghij0123456789", GEMINI_API_KEY="other").settings.secrets() == {
        "abcdefghij0123456789",
        "other",
    }
