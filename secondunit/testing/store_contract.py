"""Conformance suite for stores: a new engine is done when it passes this.

In a test module of the engine's own (pytest with `asyncio_mode = "auto"`):

    class TestMyStore(StoreContract):
        @pytest.fixture
        async def store(self) -> AsyncIterator[Store]:
            store = await open_my_store()  # empty, one for each test
            yield store
            await store.close()

`pytest.register_assert_rewrite("secondunit.testing")` in its conftest makes the assertions explain themselves.
Times are passed in, from `secondunit.testing.jobs.NOW` on; a store that needs a clock gets a `ManualClock`.
"""

import pytest

from secondunit.testing.contract.add import AddContract, LimitsContract
from secondunit.testing.contract.bound import BoundContract
from secondunit.testing.contract.change import ChangeContract
from secondunit.testing.contract.claim import ClaimContract
from secondunit.testing.contract.events import EventContract
from secondunit.testing.contract.find import FindContract, PruneContract
from secondunit.testing.contract.graph import BatchContract, GraphContract
from secondunit.testing.contract.leases import LeaseContract, SuspectContract
from secondunit.testing.contract.outbox import OutboxContract
from secondunit.testing.contract.pages import PageContract
from secondunit.testing.contract.ports.access import AccessContract, OwnerContract
from secondunit.testing.contract.ports.boxes import BoxContract
from secondunit.testing.contract.ports.duties import DutyContract
from secondunit.testing.contract.ports.engine import EngineContract
from secondunit.testing.contract.ports.folders import FolderContract
from secondunit.testing.contract.ports.schedules import ScheduleContract
from secondunit.testing.contract.round_trip import RoundTripContract
from secondunit.testing.contract.sight import SightContract
from secondunit.testing.contract.steps import CacheContract, StepContract


class StoreContract(
    AddContract,
    ClaimContract,
    LeaseContract,
    ChangeContract,
    EventContract,
    OutboxContract,
    StepContract,
    CacheContract,
    FindContract,
    PageContract,
    PruneContract,
    FolderContract,
    GraphContract,
    BatchContract,
    SuspectContract,
    SightContract,
    EngineContract,
    RoundTripContract,
    AccessContract,
    OwnerContract,
    LimitsContract,
    ScheduleContract,
    BoxContract,
    DutyContract,
    BoundContract,
):
    """Every promise of the ports in `secondunit.queue.store`, as a test each."""

    @pytest.fixture
    def store(self) -> object:
        """An empty store; override it."""
        raise NotImplementedError("a contract needs the store it is to judge: override this fixture")
