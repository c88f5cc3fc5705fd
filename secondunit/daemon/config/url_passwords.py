"""Passwords in the URL of a database, for those who must not print them."""

from urllib.parse import unquote, unquote_plus, urlsplit

OPTIONS = ("password", "sslpassword")  # libpq's


def passwords_in(url: str) -> frozenset[str]:
    """Each as it is written there and as it is meant; all of the URL where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that don't match: whatever stands there may be a secret
        return frozenset({url})
    options = (option.partition("=") for option in parts.query.split("&"))
    found = {value for name, _, value in options if name in OPTIONS}
    found.add(parts.netloc.rpartition("@")[0].partition(":")[2])
    return frozenset(form for secret in found for form in (secret, unquote(secret), unquote_plus(secret)) if form)
