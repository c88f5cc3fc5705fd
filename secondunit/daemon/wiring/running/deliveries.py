"""Factory of what sends: callbacks, and, where one is configured, results to the backend."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from secondunit.daemon.automation.backend import KIND as BACKEND
from secondunit.daemon.automation.backend import Backend, BackendSender
from secondunit.daemon.delivery.dispatcher import LONGEST_REST, Dispatcher
from secondunit.daemon.delivery.policy import Sender
from secondunit.daemon.delivery.webhooks import BATCH, CallbackSender, signer
from secondunit.daemon.delivery.webhooks import KIND as CALLBACK
from secondunit.daemon.wiring.components import World
from secondunit.queue.clock import Random
from secondunit.queue.store import Delivery

CALLBACKS, RESULTS = "callbacks", "results"  # the duties under which they are sent
REST_AMONG_OTHERS = 2.0  # after that something is found that another box was asked to send again


def dispatchers_of(world: World, backend: Backend | None, random: Random) -> Mapping[str, Dispatcher]:
    """What sends, by its duty. Among boxes not each has a backend, so results have a duty of their own."""
    secret = world.settings.callback_secret
    trace = world.telemetry.sent_on
    callbacks: Sender = CallbackSender(
        world.session, world.clock, signer(secret.get_secret_value() if secret else None), trace=trace
    )
    senders = {CALLBACK: callbacks, BATCH: callbacks}
    results = {} if backend is None else {BACKEND: BackendSender(backend, trace=trace)}

    def dispatcher(senders: Mapping[str, Sender], kinds: Sequence[str] | None, rest: float) -> Dispatcher:
        return Dispatcher(
            world.store.outbox, senders, world.clock, random, emit=world.emit, kinds=kinds, longest_rest=rest
        )

    if world.settings.database.server is None:
        return {CALLBACKS: dispatcher(senders | results, None, LONGEST_REST)}
    by_duty: dict[str, Mapping[str, Sender]] = {CALLBACKS: senders} | ({RESULTS: results} if results else {})
    return {duty: dispatcher(some, [*some], REST_AMONG_OTHERS) for duty, some in by_duty.items()}


def retried_by(dispatchers: Mapping[str, Dispatcher]) -> Callable[[str], Awaitable[Delivery]]:
    """What makes a delivery due again: whichever box sends it."""
    first, *others = dispatchers.values()

    async def retry(delivery_id: str) -> Delivery:
        delivery = await first.retry(delivery_id)
        for other in others:
            other.wake()
        return delivery

    return retry


def lanes_of(dispatchers: Mapping[str, Dispatcher]) -> Callable[[], Mapping[str, int]]:
    """How many receiving hosts are in which state."""

    def lanes() -> Mapping[str, int]:
        counted = Counter[str]()
        for dispatcher in dispatchers.values():
            counted.update(dispatcher.lanes())
        return counted

    return lanes
