"""Nap of a loop: until somebody wakes it, or its alarm rings."""

import asyncio

from secondunit.queue.clock import Clock


async def nap(wake: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Return once the event is set, which the alarm does after so many seconds; whether that rang."""
    alarm = asyncio.create_task(clock.sleep(seconds))
    alarm.add_done_callback(lambda alarm: None if alarm.cancelled() else wake.set())
    try:
        await wake.wait()
        return alarm.done()
    finally:
        alarm.cancel()
