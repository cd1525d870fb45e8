"""Who computes the cells of a sweep: processes of this machine (loky), or the nodes of a Ray cluster.

An engine takes tasks by number and yields what became of each as it is known. A worker that is lost takes nothing with
it but its cell, which is tried again, alone; a cell whose worker is lost every time has failed.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from rp_tutorial.core.arguments import MESSAGE_LENGTH, count, in_one_line, one_line, refuse

ATTEMPTS = 3
LOST = f"its worker was lost {ATTEMPTS} times (killed, or out of memory)"
Told = dict[str, Any]
Compute = Callable[[Any], Told]


@dataclass(frozen=True)
class Resources:
    """jobs: processes of this machine. gpus: of one cell, on Ray; a fraction shares a GPU. address: of a cluster."""

    jobs: int = 2
    gpus: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        count("jobs", self.jobs)
        if not 0 <= self.gpus < float("inf"):
            raise refuse("gpus", self.gpus, "0, a fraction of a GPU, or a number of them")


def local(compute: Compute, tasks: Mapping[int, Any], resources: Resources) -> Iterator[tuple[int, Told]]:
    """Processes of this machine. Tasks that were at work when a worker was lost are suspects: each is tried alone."""
    suspects: list[int] = []
    yield from _pooled(compute, dict(tasks), resources.jobs, suspects)
    for number in suspects:
        for _ in range(ATTEMPTS - 1):
            told = list(_pooled(compute, {number: tasks[number]}, 1, []))
            if told:
                break
        yield told[0] if told else (number, {"reason": LOST, "seconds": None})


def _pooled(compute: Compute, tasks: dict[int, Any], jobs: int, lost: list[int]) -> Iterator[tuple[int, Told]]:
    """What became of the tasks, but for those at work when a worker was lost: they go to `lost`."""
    waiting = list(tasks)
    while waiting:
        at_work: dict[Future, int] = {}
        with _pool(min(jobs, len(waiting))) as pool:
            broken = False
            while at_work or (waiting and not broken):
                while waiting and len(at_work) < jobs and not broken:
                    number = waiting.pop(0)
                    at_work[pool.submit(compute, tasks[number])] = number
                for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                    number = at_work.pop(future)
                    try:
                        yield number, future.result()
                    except BrokenProcessPool:
                        lost.append(number)
                        broken = True


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Workers that do not outlive their sweep: neither one that is stopped nor one that is killed waits for a cell."""
    pool = ProcessPoolExecutor(workers, initializer=_end_with, initargs=(os.getpid(),))
    stopped = True
    try:
        yield pool
        stopped = False
    finally:
        pool.shutdown(kill_workers=stopped)


def _end_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def on_ray(compute: Compute, tasks: Mapping[int, Any], resources: Resources) -> Iterator[tuple[int, Told]]:
    """The nodes of a Ray cluster, which tries again elsewhere what a lost worker or node had at work."""
    try:
        import ray
    except ImportError:
        raise refuse("engine", "ray", 'local, or ray after pip install "rp-tutorial[ray]"') from None
    with _connected(ray, resources.address):
        remote = ray.remote(num_cpus=1, num_gpus=resources.gpus, max_retries=ATTEMPTS - 1)(compute)
        at_work = {remote.remote(task): number for number, task in tasks.items()}
        while at_work:
            for done in ray.wait(list(at_work))[0]:
                number = at_work.pop(done)
                try:
                    yield number, ray.get(done)
                except ray.exceptions.RayError as error:
                    lost = isinstance(error, ray.exceptions.WorkerCrashedError | ray.exceptions.NodeDiedError)
                    said = LOST if lost else one_line(repr(error))[:MESSAGE_LENGTH]
                    yield number, {"reason": said, "seconds": None}


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection that is there already stays; one of our own ends with the sweep."""
    if ray.is_initialized():
        yield
        return
    with in_one_line("address", "that of a Ray cluster that runs", what=f"{address}: "):
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None)
    try:
        yield
    finally:
        ray.shutdown()


ENGINES = {"local": local, "ray": on_ray}
