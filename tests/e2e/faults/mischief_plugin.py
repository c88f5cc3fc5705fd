"""A job type of another distribution that does to its daemon whatever its payload names."""

PLUGIN = """
import asyncio
import collections
import ctypes
import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec

EVIL = "(a+)+$", "a" * 60 + "b"


class Payload(BaseModel):
    how: str
    go: str


async def pattern():
    re.match(*EVIL)


async def pattern_in_a_thread():
    await asyncio.to_thread(re.match, *EVIL)


async def extension_that_computes():
    collections.deque(itertools.repeat(0), 0)


async def extension_that_sleeps():
    while True:
        ctypes.PyDLL(None).usleep(ctypes.c_uint(10**8))


async def blocking_call():
    time.sleep(1000)


async def endless_python():
    while True:
        pass


async def exit_from_a_callback():
    asyncio.get_running_loop().call_soon(sys.exit, 5)
    await asyncio.sleep(1000)


async def interrupt_from_a_callback():
    def interrupt():
        raise KeyboardInterrupt

    asyncio.get_running_loop().call_soon(interrupt)
    await asyncio.sleep(1000)


async def exit_from_a_task():
    async def exits():
        sys.exit(5)

    task = asyncio.create_task(exits())
    await asyncio.sleep(1000)


async def exit_from_a_task_of_another_loops_making():
    async def exits():
        sys.exit(5)

    task = asyncio.Task(exits(), loop=asyncio.get_running_loop())
    await asyncio.sleep(1)


async def fork():
    if os.fork() == 0:
        time.sleep(1000)


async def fork_in_a_thread():
    if await asyncio.to_thread(os.fork) == 0:
        time.sleep(1000)


async def forked_terminal():
    if os.forkpty()[0] == 0:
        time.sleep(1000)


async def forked_multiprocessing():
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,)).start()


async def spawned_multiprocessing():
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    await asyncio.to_thread(process.join)
    if process.exitcode:
        raise RuntimeError(process.exitcode)


async def task_that_stays():
    globals()["left"] = asyncio.create_task(asyncio.sleep(1000))


async def program_that_stays():
    globals()["left"] = subprocess.Popen(["sleep", "1000"], preexec_fn=lambda: None)


async def program_of_the_loop_that_stays():
    globals()["left"] = await asyncio.create_subprocess_exec("sleep", "1000", preexec_fn=lambda: None)


async def thread_that_stays():
    threading.Thread(target=time.sleep, args=(1000,)).start()


async def thread_that_hangs():
    await asyncio.to_thread(time.sleep, 1000)


async def deaf():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


async def nothing():
    pass


def build(tools):
    async def run(ctx, payload):
        while not os.path.exists(payload.go):  # who asked for it has its answer first, however slow the machine
            await asyncio.sleep(0.02)
        os.unlink(payload.go)  # a daemon that finds the job again is not stopped, too
        await globals()[payload.how]()

    return HandlerSpec(type="mischief", payload=Payload, run=run, concurrency=50)
"""

STANDS_STILL = (
    "pattern",
    "pattern_in_a_thread",
    "extension_that_computes",
    "extension_that_sleeps",
    "blocking_call",
    "endless_python",
)
