"""Results documents: those that the package ships, those that a reader's runs have written, and several as one.

A document is what results.json holds. The shipped ones are longer runs, stored with their settings, their versions and
the hash of the code that computed them (`python -m tools.publish`).
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path
from typing import Any

from rp_tutorial.core.arguments import InputError, in_one_line, refuse
from rp_tutorial.experiments.engine.experiment import experiment

Document = dict[str, Any]
NEEDED = ("experiment", "profile", "data", "results")


def published(experiment: str | None = None, data: str | None = None, *, profile: str | None = "cpu") -> list[Document]:
    """The runs shipped with the package, each a whole results document with its settings and versions.

    experiment, data, profile: those of one experiment, on one data set, of one profile only, or of all where None; the
    seeds of a run stand together, in order.

    >>> runs = rp.published("inversion", "synthetic")
    >>> [run["seed"] for run in runs], runs[0]["settings"]["targets"]
    ([0, 1, 2], 40)

    Chapter: appendix/ledger.
    """
    files = resources.files("rp_tutorial").joinpath("published").iterdir()
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".json")]
    found.sort(key=lambda d: (d["experiment"], d["data"] != "synthetic", d["data"], d["profile"], d["seed"]))
    wanted = {"experiment": experiment, "data": data, "profile": profile}
    return [d for d in found if all(value in (None, d[name]) for name, value in wanted.items())]


def measured_devices() -> list[Document]:
    """What was measured on devices that are not at hand whenever the code changes, a document a device, by its name.

    Of each what `benchmarks/device.py` measured of FaceNet64: peaks of the device's own matrix product, then images a
    second, rounding, kernels and memory. Where an attack was run on it, `inversion` is the results document of that
    run without its pictures, of the code of its day, which `code` is the hash of.

    >>> [card["device"] for card in rp.experiments.measured_devices()]
    ['NVIDIA H100 80GB HBM3']

    Chapter: faces/facenet64.
    """
    files = resources.files("rp_tutorial").joinpath("published/devices").iterdir()
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".json")]
    return sorted(found, key=lambda document: document["device"])


def read_documents(folder: str | Path) -> list[Document]:
    """All results.json below a folder. Raises InputError if there is none or one is not a results document."""
    paths = sorted(Path(folder).rglob("results.json"))
    if not paths:
        raise InputError(
            f"results: got {str(folder)!r}, which holds no results.json; allowed is a folder written by run"
        )
    return [_document(path) for path in paths]


def joined(documents: Sequence[Document]) -> dict[str, Any]:
    """The results of several seeds of one run as one set of results. Raises InputError if they cannot be joined.

    >>> runs = rp.published("inversion", "synthetic")
    >>> rp.joined(runs)["targets"], sum(run["results"]["targets"] for run in runs)
    (120, 120)

    Chapter: faces/defended.
    """
    names = {document["experiment"] for document in documents}
    if len(names) != 1:
        raise refuse("documents", sorted(names), "documents of one experiment, at least one")
    join = experiment(names.pop()).join
    if join is None:
        raise refuse("documents", documents[0]["experiment"], "those of an experiment whose seeds can be joined")
    return join([document["results"] for document in documents])


def seeds_joined(documents: Iterable[Document]) -> list[Document]:
    """Documents that differ in their seed only as one, where the experiment knows how to join them."""
    runs: dict[tuple[str, str, str], list[Document]] = {}
    for document in documents:
        runs.setdefault((document["experiment"], document["profile"], document["data"]), []).append(document)
    return [document for run in runs.values() for document in _joined(run)]


def stale(documents: Iterable[Document]) -> list[tuple[Document, str]]:
    """Those that the present code would compute differently, each with the reason."""
    return [(document, reason) for document in documents if (reason := _reason(document))]


def _joined(run: list[Document]) -> list[Document]:
    if len(run) == 1 or experiment(run[0]["experiment"]).join is None:
        return run
    with as_run_writes(run[0]):
        return [run[0] | {"results": joined(run)}]


def as_run_writes(document: Document) -> AbstractContextManager[None]:
    """What goes wrong in results that anybody may have changed since a run wrote them, in one line."""
    return in_one_line("results", "what `rp-tutorial run` writes", what=f"those of {document['experiment']}: ")


def _reason(document: Document) -> str:
    asked = experiment(document["experiment"])
    if "code" not in document:
        return "stored without a hash of its code"
    return "" if document["code"] == asked.code else "the code or a setting of the profile has changed"


def _document(path: Path) -> Document:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        missing = [field for field in NEEDED if field not in document]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"results: {path} cannot be read as JSON ({type(error).__name__}); allowed is what run writes"
        ) from None
    if missing:
        raise InputError(f"results: {path} lacks {', '.join(missing)}; allowed is what `rp-tutorial run` writes")
    kinds = {"experiment": str, "profile": str, "data": str, "results": dict}
    if not isinstance(document, dict) or any(not isinstance(document[field], kind) for field, kind in kinds.items()):
        raise InputError(f"results: {path} has another kind of field; allowed is what `rp-tutorial run` writes")
    experiment(document["experiment"])
    return document
