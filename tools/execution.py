"""Run the chapters whose stored execution is missing, several at a time, with a line for each.

MyST-NB would run them too, one after the other and without a word: here they are in its cache before it looks. The
extension (tools/sphinx_extension.py) calls this before Sphinx reads a page; where the cache lies is decided in
tools/book.py.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from myst_nb.core.read import create_nb_reader
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode
from sphinx.errors import SphinxError
from traitlets.config import Config

MOST_AT_A_TIME = 4  # each holds a kernel with torch and its data
# Over plain TCP a kernel warns that others on the machine could read along.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})


class ChapterError(SphinxError):
    """A cell failed; the build ends with its traceback."""

    category = "Chapter failed"


def run_missing(environment: Any, pages: list[str]) -> None:
    """Execute those of `pages` that have code and are not in the cache, and store them there.

    Raises ChapterError at the first cell that fails; what was finished by then is stored.
    """
    settings = environment.mystnb_config
    cache = get_cache(settings.execution_cache_path)
    notebooks = {page: notebook for page in pages if (notebook := _notebook(environment, page))}
    missing = {page: notebook for page, notebook in notebooks.items() if not _is_stored(cache, notebook)}
    if not missing:
        return
    cores = os.cpu_count() or 1
    at_a_time = min(cores, MOST_AT_A_TIME)  # whatever is missing: sums depend on the number of threads
    # Kernels that share the cores without knowing of each other would wait for each other's threads.
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // at_a_time))
    print(f"Chapters to run: {len(missing)}, {at_a_time} at a time.", flush=True)
    run = _run(missing, cache, Path(environment.srcdir), at_a_time, timeout=settings.execution_timeout)
    try:
        # The default loop of Windows cannot wait for the sockets of a kernel.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(run)
    except* ChapterError as failed:
        raise failed.exceptions[0] from None


async def _run(
    missing: dict[str, NotebookNode], cache: JupyterCacheAbstract, source: Path, at_a_time: int, *, timeout: int
) -> None:
    free = asyncio.Semaphore(at_a_time)
    done = 0

    async def one(page: str, notebook: NotebookNode) -> None:
        nonlocal done
        async with free:
            start = time.perf_counter()
            await _execute(page, notebook, timeout=timeout)
            seconds = time.perf_counter() - start
        cache.cache_notebook_bundle(
            CacheBundleIn(notebook, str(source / f"{page}.md"), data={"execution_seconds": seconds}),
            check_validity=False,
            overwrite=True,
        )
        done += 1
        print(f"{done:>3} of {len(missing)}  {page.removeprefix('book/'):<40} {seconds:6.1f} s", flush=True)

    async with asyncio.TaskGroup() as group:
        for page, notebook in missing.items():
            group.create_task(one(page, notebook))


async def _execute(page: str, notebook: NotebookNode, *, timeout: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        # Times recorded in a cell would be part of what the cache finds it by.
        client = NotebookClient(notebook, timeout=timeout, resources=where, config=ENCRYPTED, record_timing=False)
        try:
            await client.async_execute()
        except (CellControlSignal, DeadKernelError) as error:
            raise ChapterError(f"{page}: {error}") from None


def _notebook(environment: Any, page: str) -> NotebookNode | None:
    """The page as MyST-NB will read it, so that it finds the same in the cache; None if it has nothing to run."""
    path = environment.doc2path(page)
    text = Path(path).read_text(encoding="utf-8")
    reader = create_nb_reader(path, environment.myst_config, environment.mystnb_config, text)
    notebook = reader and reader.read(text)
    return notebook if notebook and any(cell.cell_type == "code" for cell in notebook.cells) else None


def _is_stored(cache: JupyterCacheAbstract, notebook: NotebookNode) -> bool:
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True
