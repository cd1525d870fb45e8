"""Parts register themselves: found by name, the package's own names protected, the user's replaceable."""

from __future__ import annotations

from pathlib import Path

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.registry import Registry, load_parts, source_of
from rp_tutorial.core.streams import child_seed


@pytest.fixture
def parts() -> Registry[int]:
    found: Registry[int] = Registry("part", "rp_tutorial.statistics")
    found.add("own", 1, child_seed)
    return found


def of_the_user() -> None: ...


def test_a_name_that_is_not_there_is_one_clear_line(parts: Registry[int]) -> None:
    with pytest.raises(InputError, match="part: got 'none', allowed is one of own"):
        parts["none"]


def test_the_names_of_the_package_are_taken_and_the_users_may_be_registered_again(parts: Registry[int]) -> None:
    parts.add("mine", 2, of_the_user)
    parts.add("mine", 3, of_the_user)
    assert parts["mine"] == 3
    assert parts.outside() == {"mine": 3}
    assert list(parts) == ["own", "mine"]
    with pytest.raises(InputError, match="part: got 'own'"):
        parts.add("own", 4, of_the_user)


def test_a_part_knows_where_it_is_written(parts: Registry[int]) -> None:
    assert parts.source("own") == source_of(child_seed)
    assert source_of(of_the_user) == Path(__file__).resolve()


@pytest.mark.parametrize(("name", "text", "words"), [
    ("absent.py", None, "a Python file"),
    ("broken.py", "1 / 0\n", "ZeroDivisionError"),
    ("words.py", "two words\n", "SyntaxError"),
])  # fmt: skip
def test_a_file_that_cannot_be_run_is_one_clear_line(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_parts(str(tmp_path / name))
    assert str(caught.value).startswith("with: ")
    assert "\n" not in str(caught.value)
