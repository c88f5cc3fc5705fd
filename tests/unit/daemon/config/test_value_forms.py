"""What settings' values may look like, whatever the setting."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from secondunit.daemon.config.value_forms import Bucket, HttpUrl, Networks, Origin, Rate, SecretUrl, TypeName, Words

RIGHT: list[tuple[Any, str, Any]] = [
    (Words, "a, b ,,c", ("a", "b", "c")),
    (HttpUrl, "https://example.com:8443/base/", "https://example.com:8443/base"),
    (TypeName, "hls", "hls"),
    (Origin, "chrome-extension://abc", "chrome-extension://abc"),
    (Rate, "600/minute", "600/minute"),
    (Rate, "off", "off"),
    (Bucket, "media/films", "media/films"),
]
NO_URL, ODD = "not an http or https URL", "has another form"
WRONG: list[tuple[Any, str, str]] = [
    (HttpUrl, "ftp://example.com", NO_URL),
    (HttpUrl, "https://example.com:0", NO_URL),
    (HttpUrl, "https://example.com:port", NO_URL),
    (HttpUrl, "https://example.com/?key=1", "without query"),
    (SecretUrl, "mailto:me", NO_URL),
    (Networks, "10.0.0.0/8, nowhere", "valid IPv4 network"),
    (TypeName, "../hls", ODD),
    (Origin, "https://*.example.com", ODD),
    (Rate, "0/minute", ODD),
    (Rate, "600/week", ODD),
    (Bucket, "Not A Bucket", "can't be a bucket's name"),
]


@pytest.mark.parametrize(("form", "said", "meant"), RIGHT)
def test_a_value_is_read(form: Any, said: str, meant: Any) -> None:
    assert TypeAdapter(form).validate_python(said) == meant


@pytest.mark.parametrize(("form", "said", "why"), WRONG)
def test_a_value_of_another_form_is_refused_and_why(form: Any, said: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(form).validate_python(said)


def test_a_secret_url_is_shown_to_nobody() -> None:
    assert "hook" not in repr(TypeAdapter(SecretUrl).validate_python("https://example.com/hook"))
