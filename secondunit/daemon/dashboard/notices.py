"""Notices: what an action came to, told on the next page that is shown; each once, and only the newest are kept."""

import secrets
from collections import OrderedDict

MOST = 200


class Notices:
    """Texts by ids that nobody can guess."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()

    def keep(self, text: str) -> str:
        """Keep a text until it is taken, or 200 others came; its id."""
        id = secrets.token_urlsafe(16)
        self._kept[id] = text
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return id

    def take(self, id: str | None) -> str | None:
        """The text, if it is still there, and from now on no more."""
        return None if id is None else self._kept.pop(id, None)
