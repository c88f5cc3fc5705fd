"""Redaction of secrets in text that is going to be shown."""

from collections.abc import Collection

MASK = "***"
SHORTEST = 4


def masked(text: str, secrets: Collection[str]) -> str:
    """The text with each secret, and each line of one that has several, as `***`.

    Lines shorter than four characters stay: they would take half of the text along, and nobody's secret is that short.
    """
    parts = {line.strip() for secret in secrets for line in secret.splitlines()}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= SHORTEST:
            text = text.replace(part, MASK)
    return text
