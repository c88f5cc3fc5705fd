"""The key of the settings, and the header that carries it."""

API_KEY = "the-Key-of-the-settings"
BEARER = {"Authorization": f"Bearer {API_KEY}"}
