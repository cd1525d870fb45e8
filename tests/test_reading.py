"""What is counted of a chapter: the words and the code of its core, and what stands beside it."""

from __future__ import annotations

import statistics

import pytest

from tools.chapters import Chapter, all_chapters
from tools.reading import Reading, lines_of_code, reading, words

TEXT = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# One title

Three words here, and $a + b$ as one with {term}`some noise <noise>`.

% nobody reads this

```{code-cell} python
x = 1

y = 2
```

:::{note}
Two words.
:::

```{exercise-start} Not counted
:label: ex-one
```
Nor is this.

```{code-cell} python
mine = ...
```

```{exercise-end}
```

(deep)=
{.depth}
## Below the core

Deep.

```{code-cell} python
z = 3
```

### Still below

Down. Further down.

## Core again

```{code-cell} python
:tags: [hide-input]

hidden = 4
```

```{solution-start} ex-one
```

```{code-cell} python
answer = 5
```

```{solution-end}
```
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    path = tmp_path_factory.mktemp("book") / "one.md"
    path.write_text(TEXT, encoding="utf-8")
    return reading(Chapter("book/one", path))


def test_the_core_is_what_is_neither_folded_nor_an_exercise(found: Reading) -> None:
    assert found.core.words == 2 + 10 + 2 + 2  # a title, a line, a note, a title
    assert found.core.cells == ["x = 1\n\ny = 2"]
    assert found.core.lines == 2


def test_a_section_of_depth_ends_where_the_next_of_its_level_begins(found: Reading) -> None:
    (deep,) = found.depth
    assert (deep.title, deep.words, deep.cells) == ("Below the core", 3 + 1 + 2 + 3, ["z = 3"])


def test_minutes_are_of_words_and_of_lines(found: Reading) -> None:
    assert found.core.minutes == pytest.approx(found.core.words / 200 + 2 * 5 / 60)
    assert found.minutes == pytest.approx(found.core.minutes + found.depth[0].minutes)


def test_sentences_are_told_apart_within_a_line(found: Reading) -> None:
    assert [s for s in found.depth[0].sentences() if s.strip()][-2:] == ["Down.", "Further down."]


def test_a_formula_is_a_word_and_a_blank_line_is_no_code() -> None:
    assert words("so $x^2 + y$ is $$z$$") == 4
    assert lines_of_code("a\n\n  \nb\n") == 2


READ = [c for c in all_chapters() if c.path.parent.name not in ("teaching", "appendix")]  # not looked things up in


@pytest.mark.parametrize("chapter", READ, ids=lambda chapter: chapter.stem)
def test_a_core_is_read_in_twenty_five_minutes_with_no_long_cell_and_no_long_sentence(chapter: Chapter) -> None:
    found = reading(chapter)
    assert found.core.minutes <= 25
    assert found.core.words <= 1700
    assert len(found.core.cells) <= 15
    assert [s for s in found.core.sentences() if words(s) > 40] == []
    cells = [cell for stretch in (found.core, *found.depth) for cell in stretch.cells]
    assert [cell for cell in cells if lines_of_code(cell) > 12] == []


def test_the_median_core_shows_at_most_a_hundred_and_fifty_lines_of_code() -> None:
    cores = [reading(chapter).core for chapter in all_chapters() if chapter.has_code()]
    assert statistics.median(core.lines for core in cores) <= 150
