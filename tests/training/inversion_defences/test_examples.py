"""What the docstrings of the inversion defences show runs, and says first that no guarantee comes with them."""

import doctest
import inspect

import pytest
import torch

import rp_tutorial as rp

NAMES = (
    "training.NegativeLabelSmoothing", "training.BilateralDependency", "training.InformationBottleneck",
    "training.freeze_early", "training.dependence", "training.divergence", "models.VariationalHead",
)  # fmt: skip


def documented(name: str) -> str:
    room, part = name.split(".")
    return inspect.getdoc(getattr(getattr(rp, room), part))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_docstring_shows_runs(name: str) -> None:
    shown = doctest.DocTestParser().get_doctest(documented(name), {"rp": rp, "torch": torch}, name, None, 0)
    assert shown.examples
    written: list[str] = []
    assert doctest.DocTestRunner().run(shown, out=written.append).failed == 0, "".join(written)


@pytest.mark.parametrize("name", NAMES[:4])
def test_the_first_lines_say_that_nothing_is_guaranteed(name: str) -> None:
    assert "NO privacy guarantee comes with it" in documented(name).split("\n\n")[0]
