"""Signing key of callbacks: what CALLBACK_SECRET means, and how long it must be."""

import base64
import binascii

from pydantic import SecretStr

LEAST, SAFE = 8, 24  # bytes; Standard Webhooks asks for 24 to 64
ALLOWED = f"whsec_ and base64, or any text, of {LEAST} bytes at least"


def signing_key(secret: str) -> bytes:
    """The bytes that it means; binascii.Error for what is no base64."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()


def checked(value: SecretStr) -> SecretStr:
    """The secret, if it can be used; ValueError says why not, and shows nothing of it."""
    try:
        key = signing_key(value.get_secret_value())
    except binascii.Error:
        raise ValueError("what follows whsec_ is not base64") from None
    if len(key) < LEAST:
        raise ValueError(f"it has fewer than {LEAST} bytes: whoever gets one callback can find it out, and sign others")
    return value
