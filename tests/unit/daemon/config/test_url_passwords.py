import pytest

from secondunit.daemon.config.url_passwords import passwords_in


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:ge%20heim@h/db", {"ge%20heim", "ge heim"}),
        ("postgresql://h/db?user=u&password=ge+heim", {"ge+heim", "ge heim"}),
        ("postgresql://u:a@h/db?sslpassword=b", {"a", "b"}),
        ("postgresql://u@h/db", set()),
        ("sqlite:////var/lib/queue.db", set()),
        ("postgresql://[u:a@h/db", {"postgresql://[u:a@h/db"}),
    ],
)
def test_a_password_is_found_as_it_is_written_and_as_it_is_meant(url: str, found: set[str]) -> None:
    assert passwords_in(url) == found
