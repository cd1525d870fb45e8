"""What a page shows and needs offline besides its text: MathJax, Vega, and the diagrams of book/assets/diagrams/.

The scripts are taken from installed distributions at build time and land in book/assets/vendor/, which git ignores.
Nothing is downloaded here and nothing is edited: what makes the charts live is book/assets/rp-charts.js, which is
ours, and the diagrams are written by hand.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import vl_convert

from tools.chapters import ROOT, configuration

MATHJAX_DISTRIBUTION = "sphinx-mathjax-offline"
MATHJAX_FILE = "tex-svg.js"
VEGA_FILE = "vega-bundle.js"
DIAGRAMS = Path("book", "assets", "diagrams")


@dataclass(frozen=True)
class Diagram:
    """One drawing of the book, by the name of its file."""

    name: str

    @property
    def path(self) -> Path:
        """Where its SVG lies."""
        return ROOT / DIAGRAMS / f"{self.name}.svg"

    def svg(self) -> str:
        """The SVG, to stand in a page: its text is text of the page, in the page's colour."""
        return self.path.read_text(encoding="utf-8")

    def description(self) -> str:
        """What it shows, for who cannot see it: its `desc`."""
        return " ".join(ElementTree.fromstring(self.svg()).findtext("{*}desc", "").split())

    def address(self) -> str:
        """Where a notebook finds it: in the repository, since Colab shows neither attachments nor relative paths."""
        repository = configuration()["repository"]
        return f"{repository['url']}/raw/{repository['branch']}/{(DIAGRAMS / self.path.name).as_posix()}"


def prepare(vendor: Path) -> None:
    """Put MathJax and the Vega bundle into `vendor`, doing nothing for a file that is already the right one."""
    vendor.mkdir(parents=True, exist_ok=True)
    _copy_mathjax(vendor / MATHJAX_FILE)
    _bundle_vega(vendor / VEGA_FILE)


def mathjax_source() -> Path:
    """The one MathJax file the book uses, inside the installed distribution.

    Its folder has a hyphen in its name, so it cannot be imported: its list of files says where it lies.
    """
    files = importlib.metadata.files(MATHJAX_DISTRIBUTION) or []
    found = [file for file in files if file.name == MATHJAX_FILE]
    if not found:
        raise FileNotFoundError(f"{MATHJAX_DISTRIBUTION} is installed without {MATHJAX_FILE}")
    return Path(str(found[0].locate()))


def bundle_stamp() -> str:
    """What the bundle depends on: the version of vl-convert and the Vega libraries inside it."""
    lite = vl_convert.get_vegalite_versions()[-1]
    return f"vl-convert {vl_convert.__version__}, Vega {vl_convert.get_vega_version()}, Vega-Lite {lite}"


def _copy_mathjax(target: Path) -> None:
    source = mathjax_source()
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)


def _bundle_vega(target: Path) -> None:
    first_line = f"/* {bundle_stamp()} */"
    if target.exists():
        with target.open(encoding="utf-8") as bundle:
            if bundle.readline().rstrip("\n") == first_line:
                return
    lite = vl_convert.get_vegalite_versions()[-1]
    bundle = vl_convert.javascript_bundle(vl_version=lite)
    # A module loaded as a plain script would put its short names beside those of the page ("_" is Sphinx's).
    target.write_text(f"{first_line}\n(function () {{\n{bundle}\n}})();\n", encoding="utf-8")
