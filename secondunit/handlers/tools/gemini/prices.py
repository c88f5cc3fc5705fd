"""Price list: what an answer costs, estimated from the provider's published prices; pure."""

from collections.abc import Mapping
from datetime import date

from secondunit.handlers.tools.gemini.model_names import model_name
from secondunit.handlers.tools.gemini.responses import Usage

# US dollars for a million tokens (input, output with thoughts) from a day on: standard paid tier of Google's price list
# for the Gemini API, https://ai.google.dev/gemini-api/docs/pricing, as it was on 2026-10-07. Models whose price depends
# on the length of the prompt are left out.
PRICES: Mapping[str, Mapping[date, tuple[float, float]]] = {
    "gemini-3.8-flash": {date(2026, 9, 1): (0.75, 3.75), date(2027, 1, 1): (1.50, 7.50)},
    "gemini-3.5-flash": {date(2026, 1, 1): (1.50, 9.00)},
    "gemini-3.5-flash-lite": {date(2026, 1, 1): (0.30, 2.50)},
    "gemini-2.5-flash": {date(2026, 1, 1): (0.30, 2.50)},
    "gemini-2.5-flash-lite": {date(2026, 1, 1): (0.10, 0.40)},
}


def cost(model: str, usage: Usage, day: date) -> float | None:
    """US dollars, to a millionth; None for a model whose price is not known."""
    prices = PRICES.get(model_name(model), {})
    known = [price for since, price in sorted(prices.items()) if since <= day]
    if not known:
        return None
    per_prompt, per_output = known[-1]
    return round((usage.prompt * per_prompt + usage.answered * per_output) / 1e6, 6)
