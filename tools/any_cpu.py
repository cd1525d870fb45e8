"""Run tests as on other processors: `python -m tools.any_cpu [arguments of pytest]`. What is tested is not said here.

PyTorch, oneDNN, MKL and OpenBLAS choose their loops by the instructions of the processor at hand. Told to do without
some of them they add in another order, and a test that asks for more digits than a float keeps fails here and not at a
reader's. It is a stand-in: the processor of another maker may round in a third way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILDS = ("tests/test_book.py", "tests/test_build.py", "tests/test_chapters.py")  # left out unless asked for

PROCESSORS = {
    "plain": {  # no vector unit but SSE, one thread
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
}


def run_as(processor: str, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """pytest with these arguments in a process that takes the machine for such a processor; quiet keeps its output."""
    environment = os.environ | PROCESSORS[processor]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=quiet, text=True, check=False)


def main() -> None:
    arguments = sys.argv[1:] or [f"--ignore={path}" for path in BUILDS]
    failed = 0
    for processor in PROCESSORS:
        print(f"--- as {processor}", flush=True)
        failed |= run_as(processor, *arguments).returncode
    sys.exit(failed)


if __name__ == "__main__":
    main()
