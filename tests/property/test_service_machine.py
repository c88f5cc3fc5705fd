"""The queue under random histories of crashes, hangs, drains, cancels, retries: the invariants hold in each."""

import pytest
from hypothesis import HealthCheck, settings

from tests.property.service_machine import Machine

QUICK = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestService(Machine.TestCase):  # type: ignore[misc, valid-type]  # made by hypothesis
    settings = QUICK


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestServiceInManyHistories(Machine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(QUICK, max_examples=15, stateful_step_count=40, derandomize=False)
