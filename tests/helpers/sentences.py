"""A sentence of a chapter beside the predicate that it states about stored runs, and those runs as chapters read them.

Whoever edits the sentence finds the predicate here, and whoever stores another run finds the sentences it makes false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from accounts import account

from rp_tutorial.experiments.engine.documents import joined, published
from rp_tutorial.statistics.paired import PairedComparison, paired_comparison

BOOK = Path(__file__).resolve().parents[2] / "book"
DRAWN, PHOTOGRAPHS = "synthetic", "folder:lfw64"


@dataclass(frozen=True)
class Sentence:
    """Words of a chapter, and what has to be true of the stored runs for them to be."""

    chapter: str
    words: str
    holds: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.chapter}: {self.words[:50]}"

    @property
    def file(self) -> Path:
        return BOOK.parent / self.chapter if self.chapter.endswith(".md") else BOOK / f"{self.chapter}.md"

    def check(self) -> None:
        lines = self.file.read_text(encoding="utf-8").splitlines()
        place = next((i for i, line in enumerate(lines, 1) if self.words in line), None)
        if place is None:
            near = max(lines, key=lambda line: _alike(self.words, line))
            raise AssertionError(f"{self._at(lines.index(near) + 1)} no longer says:\n  {self.words}\nbut\n  {near}")
        said = lines[place - 1].strip()
        assert self.holds(), f"{self._at(place)} says what the stored runs do not:\n  {said}\n{account(self.holds)}"

    def _at(self, line: int) -> str:
        return f"{self.file.relative_to(BOOK.parent)}:{line}"


def supported(said: Mapping[str, Iterable[tuple[str, Callable[[], Any]]]]) -> Callable[[Sentence], None]:
    """The test of all sentences, by their chapters: each stands there, and the stored runs support it."""
    sentences = [Sentence(chapter, words, holds) for chapter, pairs in said.items() for words, holds in pairs]

    @pytest.mark.parametrize("sentence", sentences, ids=str)
    def test(sentence: Sentence) -> None:
        sentence.check()

    return test


def _alike(words: str, line: str) -> int:
    """How many of the words stand in a line."""
    return len(set(words.split()) & set(line.split()))


@cache
def results(experiment: str, data: str = DRAWN) -> dict[str, Any]:
    """The stored results of an experiment, all seeds together."""
    documents = published(experiment, data)
    return joined(documents) if len(documents) > 1 else documents[0]["results"]


@cache
def rows(experiment: str, data: str = DRAWN, part: str = "arms") -> pd.DataFrame:
    """One list of the results as a table, a row for each name."""
    return pd.DataFrame(results(experiment, data)[part]).set_index("name", drop=False)


def hits_of(row: Any, key: str = "hits") -> np.ndarray:
    return np.array(row[key], dtype=bool)


def paired(table: pd.DataFrame, a: str, b: str, key: str = "hits") -> PairedComparison:
    """a less b, target by target."""
    return paired_comparison(hits_of(table.loc[a], key), hits_of(table.loc[b], key))


def holm(p_values: pd.Series) -> pd.Series:
    """Holm's correction."""
    ranked = p_values.sort_values()
    return (ranked * np.arange(len(ranked), 0, -1)).cummax().clip(upper=1).reindex(p_values.index)


def rising(values: Any) -> bool:
    return bool((np.diff(np.asarray(values, dtype=float)) > 0).all())


def falling(values: Any) -> bool:
    return rising(-np.asarray(values, dtype=float))
