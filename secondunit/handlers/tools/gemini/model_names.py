"""Names of Gemini's models: `models/X`, as its API lists them, and `X` are one; pure."""


def model_name(name: str) -> str:
    """The name that stands for the model in requests, payloads, prices and cache keys."""
    return name.removeprefix("models/")
