"""Build the book, strictly: `python -m tools.book`, which is `make book`.

Every warning fails the build, every failing cell fails it, and a stored execution is reused only while the
package, its published results and the pinned versions are what they were. What a page contains is decided
in _config.yml and tools/sphinx_extension.py, not here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHES_KEPT = 2  # the current one and the one before, so that changing branch and back costs nothing
JUPYTER_BOOK = "import sys; sys.path.insert(0, sys.argv.pop(1)); from jupyter_book.cli.main import main; main()"


def cache_key(root: Path = ROOT) -> str:
    """Hash of everything besides its own cells that a chapter's output depends on.

    jupyter-cache compares the code cells alone: without this, an edited package would leave old numbers on the pages.
    """
    package = root / "rp_tutorial"
    files = [*package.rglob("*.py"), *package.rglob("*.json"), root / "constraints.txt"]
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def execution_cache(source: Path, key: str) -> Path:
    """Folder of the stored executions of the book at `source` for this key."""
    return source / ".cache" / "book" / key


def prune(current: Path, *, keep: int = CACHES_KEPT) -> list[Path]:
    """Delete the caches beside `current` that were used longest ago; return what was deleted."""
    if not current.parent.is_dir():
        return []
    others = [folder for folder in current.parent.iterdir() if folder.is_dir() and folder != current]
    others.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    old = others[keep - 1 :]
    for folder in old:
        shutil.rmtree(folder)
    return old


def build(source: Path = ROOT, *, builder: str = "html") -> int:
    """Build the book at `source` into its _build/html (or _build/`builder`); 0 only if nothing at all was wrong."""
    cache = execution_cache(source, cache_key())
    cache.mkdir(parents=True, exist_ok=True)
    os.utime(cache)
    prune(cache)
    command = [sys.executable, "-c", JUPYTER_BOOK, str(ROOT), "build", str(source), "-W", "-n", "--keep-going", "-q"]
    command += ["--builder", builder]
    code = subprocess.run(command, cwd=source, check=False).returncode
    if code:
        # Sphinx remembers the pages it has read, warnings and all: kept, they would let the next build pass.
        shutil.rmtree(source / "_build" / ".doctrees", ignore_errors=True)
    return code


def main() -> int:
    """Command line: build, say where the book is and how long it took."""
    parser = argparse.ArgumentParser(description="Build the book; any warning or failing cell is an error.")
    parser.add_argument("--source", type=Path, default=ROOT, help="folder with _config.yml and _toc.yml")
    source = parser.parse_args().source.resolve()
    start = time.perf_counter()
    code = build(source)
    seconds = time.perf_counter() - start
    if code:
        print(f"The book was not built (exit code {code}, {seconds:.0f} s).", file=sys.stderr)
        return 1
    print(f"The book is built in {seconds:.0f} s: open _build/html/index.html")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
