"""Pages beside results.json: the figure of an experiment that has one, whole and without a network."""

from __future__ import annotations

from sample_charts import CHARTS

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.figures.pages import page, pages


def test_a_page_of_its_own_needs_no_network() -> None:
    assert "<script src=" not in page(CHARTS["lines"]())


def test_the_threshold_experiment_has_figure_1_as_a_page() -> None:
    (document,) = published("insurance-threshold", "synthetic")
    found = pages(document)
    assert set(found) == {"figure1.html"}
    assert "Histograms of the bmi of inputs released as class 1" in found["figure1.html"]


def test_an_experiment_without_a_chart_of_its_own_has_no_page() -> None:
    assert pages({"experiment": "inversion", "results": {}}) == {}
