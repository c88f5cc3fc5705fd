"""Receivers whose library has our clock."""

import pytest

from tests.unit.daemon.delivery.webhooks.receiver import OfTheReceiver


@pytest.fixture(autouse=True)
def _receivers_share_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standardwebhooks.webhooks.datetime", OfTheReceiver)
