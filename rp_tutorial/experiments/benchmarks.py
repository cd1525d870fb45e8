"""What `python -m benchmarks` has measured, a document a release and processor, and what changed between two.

The package carries the documents, in `published/benchmarks/`, so that a page drawn anywhere shows them. The measuring
itself is no part of the package: it stands in `benchmarks/` beside it.
"""

import json
import re
from importlib import resources

import pandas as pd

from rp_tutorial.core.arguments import in_one_line
from rp_tutorial.experiments.engine.documents import Document

ROW = ["case", "job", "ours", "against"]  # what makes two rows of two documents the same comparison


def benchmarks() -> list[Document]:
    """The stored benchmarks, the oldest release first, and of a release one for each processor.

    Of each: the `machine`, then rows. `votes`, `exact_noise` and `attacks` hold ratios of processor time, how many
    times less ours takes, as the median over rounds with the smallest and largest (`ratio_ci`), and the same by the
    wall's clock (`wall_ratio`); `peaks` shares of the matrix product's speed, `parts` where the time of a vote goes,
    `growth` times and memory against sizes.

    >>> newest = rp.experiments.benchmarks()[-1]
    >>> sorted(newest)[:4], newest["machine"]["cores"]
    (['attacks', 'exact_noise', 'growth', 'machine'], 2)

    Chapter: appendix/benchmarks.
    """
    files = resources.files("rp_tutorial").joinpath("published/benchmarks").iterdir()
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".json")]
    return sorted(found, key=lambda run: ([int(n) for n in re.findall(r"\d+", run["release"])], run["machine"]["cpu"]))


def benchmark_changes(before: Document, after: Document) -> pd.DataFrame:
    """Every comparison of both documents: its ratio before and after, and whether we fell behind.

    `change` is after / before, below 1 where we lost against the same peer; `slower` says that the largest ratio of the
    rounds after is below the smallest before. Ratios to peers of the same run, so the two may come from two machines,
    but of one processor: another one favours another peer. Raises InputError for what is no benchmark.

    >>> newest = rp.experiments.benchmarks()[-1]
    >>> bool(rp.experiments.benchmark_changes(newest, newest)["slower"].any())
    False

    Chapter: appendix/benchmarks.
    """
    with in_one_line("documents", "two of `benchmarks()`, or what `python -m benchmarks` wrote"):
        old, new = (
            pd.DataFrame([*found["votes"], *found["exact_noise"], *found["attacks"]]) for found in (before, after)
        )
        both = old.merge(new, on=ROW, suffixes=("_before", "_after"))
        slower = both["ratio_ci_after"].str[1] < both["ratio_ci_before"].str[0]
        change = both["ratio_after"] / both["ratio_before"]
        return both[[*ROW, "ratio_before", "ratio_after"]].assign(change=change, slower=slower)
