"""How many threads torch uses inside: one, where its products are too short to share, or many workers of one each.

Results never depend on it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import Barrier, local
from typing import Any

import torch

MOST_WORKERS = 16


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread inside: on matrices this small, threads that wait for each other cost a factor of ten."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(
    work: Callable[[Any], Any], parts: Sequence[Any], *, device: torch.device, threads: int | None = None
) -> list[Any]:
    """`work` on every part, without gradients: each core its own parts on a CPU, in turn on a GPU, busy as it is.

    Small parts stay in a core's cache, and no core waits for another within an operation, as torch's own threads do.
    threads: how many cores, all by default. With 1, and within a part of another call, everything runs in turn in the
    calling thread.
    """
    mode = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad
    run = mode()(work)  # the mode belongs to a thread
    in_turn = device.type != "cpu" or threads == 1 or getattr(_this_thread, "is_worker", False)
    return list((map if in_turn else _workers(threads).map)(run, parts))


@lru_cache(maxsize=4)
def _workers(threads: int | None) -> ThreadPoolExecutor:
    """Threads that each run torch on one core.

    torch.set_num_threads speaks for the calling thread, but also for threads that have not started yet. So every
    worker is started here, and the caller's own number is put back.
    """
    callers_own = torch.get_num_threads()
    workers = threads or min(MOST_WORKERS, callers_own)
    pool = ThreadPoolExecutor(workers, initializer=_run_on_one_core)
    all_started = Barrier(workers)
    list(pool.map(lambda _: all_started.wait(), range(workers)))
    torch.set_num_threads(callers_own)
    return pool


_this_thread = local()


def _run_on_one_core() -> None:
    torch.get_num_threads()  # a thread's first look fixes its number; set before that, it would be forgotten
    torch.set_num_threads(1)
    _this_thread.is_worker = True  # a part that waited for free workers would wait for itself


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.cache_clear)  # a forked child has the pool, and none of its threads
