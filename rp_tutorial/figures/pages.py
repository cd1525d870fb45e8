"""Charts that stand beside results.json as web pages of their own, made from a document after its run."""

import importlib.util
from typing import Any

from rp_tutorial.experiments.tables import threshold
from rp_tutorial.figures.tables import release_histogram


def pages(document: dict[str, Any]) -> dict[str, str]:
    """The pages of a results document, by file name; none for an experiment without a chart of its own."""
    if document["experiment"] != "insurance-threshold":
        return {}
    results = document["results"]
    told = {"attribute": results["attribute"], "unit": results["unit"], "width": results["bin_width"]}
    figure1 = release_histogram(threshold.tables(results)["figure1"], threshold=results["threshold"], **told)
    return {"figure1.html": page(figure1)}


def page(chart: Any) -> str:
    """The chart as a web page of its own: without a network where vl-convert is installed, else from Altair's CDN."""
    return chart.to_html(inline=importlib.util.find_spec("vl_convert") is not None)
