"""The benchmarks of the book's page: `python -m benchmarks`, some minutes on two cores.

Writes a JSON document into rp_tutorial/published/benchmarks/, one a release and processor, where the page
`appendix/benchmarks` reads them; `--out FILE` writes it elsewhere. It names the machine by its processor and its
versions, and holds ratios measured in one run. `--smoke` is what the tests run: few inputs, one round, does everybody
do the same job?
"""

from __future__ import annotations

import os

# Threads of torch that wait for each other by spinning would be charged to whoever uses them, and to everybody else.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks import attack, exact_noise, parts, votes
from rp_tutorial.core.files import write_atomically
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.experiments.engine.runner import versions
from tools.publish import PUBLISHED, rounded


def machine() -> dict[str, Any]:
    """What speed depends on beside the code."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if "model name" in line] if info.is_file() else []
    model = models[0].split(":", 1)[1].strip() if models else platform.processor() or platform.machine()
    toolbox = metadata.version("adversarial-robustness-toolbox")
    about = {"cpu": model, "vectors": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count()}
    return {**about, "threads": torch.get_num_threads(), "toolbox": toolbox, "versions": versions()}


def growing(*, smoke: bool) -> list[dict[str, Any]]:
    """`benchmarks.growing` in a process that has held nothing yet."""
    command = [sys.executable, "-m", "benchmarks.growing", *(["--smoke"] if smoke else [])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@global_stream(Purpose.BENCHMARK_NOISE)
def document(*, smoke: bool) -> dict[str, Any]:
    """Everything, as a JSON value."""
    about = {"release": versions()["rp_tutorial"], "machine": machine()}
    grown = growing(smoke=smoke)
    attacked = attack.measured(smoke=smoke)
    return {
        **about,
        **votes.measured(smoke=smoke),
        "parts": parts.measured(smoke=smoke),
        "exact_noise": exact_noise.measured(smoke=smoke),
        "attacks": attacked["attacks"],
        "growth": [*grown, *attacked["growth"]],
    }


def file_name(found: dict[str, Any]) -> str:
    """Release and processor."""
    cpu = re.sub(r"\(\w+\)", "", found["machine"]["cpu"].lower())
    return f"{found['release']}-{'-'.join(re.findall('[a-z0-9]+', cpu))}.json"


def told(found: dict[str, Any]) -> str:
    """The ratios, for a terminal."""
    lines = []
    for row in [*found["votes"], *found["exact_noise"], *found["attacks"]]:
        low, high = row["ratio_ci"]
        of = ", ".join(row[name] for name in ("case", "job") if name in row)
        lines.append(
            f"{of}: {row['ours']} against {row['against']} {row['ratio']:.2f}x ({low:.2f} to {high:.2f}), "
            f"by the wall {row['wall_ratio']:.2f}x"
        )
    lines += [f"{row['case']}: {row['share']:.0%} of the peak ({row['wall_share']:.0%} by the wall)"
              for row in found["peaks"]]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path, help="a JSON file instead of the package's own")
    options = parser.parse_args()
    found = rounded(document(smoke=options.smoke))
    print(told(found))
    if options.out or not options.smoke:
        path = options.out or PUBLISHED / "benchmarks" / file_name(found)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
