"""One name and one look for each mechanism, in every chart of the book; looks of whatever else a chart compares.

The stored runs have short names of their own for their arms ("none", "smoothing, sigma 0.18, N = 10"); a chart has the
names of the text. How a chart is drawn is in `base.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

REFERENCE, ABOVE, BELOW = "#718096", "#2b6cb0", "#dd6b20"  # grey; the paper's blue and orange
# By name on the page. At least 3 to 1 on a white page and on a dark one; no two of them are alike.
MECHANISMS = {
    "no defence": REFERENCE,
    "VOTE": ABOVE,
    "PREDICT": BELOW,
    "plain noise": "#2f855a",
    "fixed noise": "#9f5fe0",
    "training under noise": "#b83280",
    "VOTE and training under noise": "#0c8599",
    "randomized response": "#c53030",
    "memoised response": "#ee5c93",
    "DP-SGD": "#80611a",
    "exact attribute smoothing": "#4a90e2",
    "abstaining net": "#c08a00",
    "deterministic certificate": "#5c940d",
    # Ways to train the net; whatever releases the labels of such a net has the colour of the net.
    "negative label smoothing": "#d023d0",
    "bilateral dependency": "#6f42f5",
    "information bottleneck": "#96605a",
    "frozen early layers": "#3fa34d",
}
STORED = {  # what tables and stored runs call some of them
    "none": "no defence",
    "undefended": "no defence",
    "smoothing": "VOTE",
    "abstaining": "PREDICT",
    "abstaining vote": "PREDICT",
    "attribute smoothing, exact": "exact attribute smoothing",
}
COLOURS = tuple(MECHANISMS.values())
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
SOLID, REFERENCE_DASH = [1, 0], [5, 4]
DASHES = (SOLID, [10, 3], [2, 3], [10, 3, 2, 3], [6, 2], [14, 4])
TRAINED, RECIPE = ", net trained under ", ", net trained with "
_WORDS = [(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"), name) for name in sorted(MECHANISMS, key=len, reverse=True)]


@dataclass(frozen=True)
class Look:
    """Colour, shape of a point and dash of a line."""

    colour: str
    shape: str
    dash: list[int]


def page_name(name: str) -> str:
    """The name on the page of a mechanism, or of an arm with its settings, that a stored run calls `name`.

    What is no mechanism keeps its name, as does what has its name on the page already.
    Chapter: comparisons/frontier.

    >>> page_name("smoothing, sigma 0.18, N = 10"), page_name("none"), page_name("K = 2")
    ('VOTE, sigma 0.18, N = 10', 'no defence', 'K = 2')
    """
    if name.startswith(f"none{TRAINED}"):
        return name.replace(f"none{TRAINED}", "training under noise, sigma ")
    if name.startswith(f"none{RECIPE}"):
        return name.removeprefix(f"none{RECIPE}")
    ends = (", ", " and ")
    head = max((w for w in STORED if name == w or name.startswith(tuple(w + e for e in ends))), key=len, default="")
    return STORED[head] + name.removeprefix(head) if head else name


def mechanism(name: str) -> str | None:
    """The mechanism whose colour an arm has, by the name in a legend: the longest one that the name contains."""
    name = page_name(name)
    found = next((word for words, word in _WORDS if words.search(name)), None)
    return "VOTE and training under noise" if found == "VOTE" and TRAINED in name else found


def on_page(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table with the names of the page in those columns."""
    return table.assign(
        **{c: [page_name(name) if isinstance(name, str) else name for name in table[c]] for c in columns}
    )


def styles(names: Sequence[str], *, first: Sequence[str] = (), dashed: Sequence[str] = ()) -> dict[str, Look]:
    """A look for each name, in the order of a legend: mechanisms, then the rest; a reference is dashed.

    A mechanism has its colour whoever else is drawn, and arms of one mechanism differ in shape and dash. Others take
    the colours that are left, those in `first` before the rest, drawn or not.
    """
    order = list(dict.fromkeys([*first, *names]))
    known = {name: found for name in order if (found := mechanism(str(name)))}
    free = [colour for colour in COLOURS if colour not in {MECHANISMS[found] for found in known.values()}]
    free = free or list(COLOURS)
    # Grey is for references; where nothing else is grey, it comes after the colours.
    free.sort(key=lambda colour: colour == REFERENCE)
    seen: dict[str, int] = {}
    found: dict[str, Look] = {}
    for place, name in enumerate(sorted(order, key=lambda name: _place(known.get(name), order.index(name)))):
        own = known.get(name)
        if own:
            nth = seen[own] = seen.get(own, -1) + 1
            colour, shape = MECHANISMS[own], list(MECHANISMS).index(own) + nth
        else:
            nth = seen[""] = seen.get("", -1) + 1
            colour, shape = free[nth % len(free)], place
            nth //= len(free)
        dash = REFERENCE_DASH if name in dashed else DASHES[nth % len(DASHES)]
        found[name] = Look(colour, SHAPES[shape % len(SHAPES)], dash)
    return {name: look for name, look in found.items() if name in set(names)}


def looks(field: str, names: Sequence[str], *, columns: int = 3, lines: bool = False, **how: Any) -> dict[str, Any]:
    """`styles` as encodings of the field, in one legend: color and shape, and strokeDash too where there are lines.

    how: `first` and `dashed`.
    """
    found = styles(names, **how)
    legend = alt.Legend(columns=columns, symbolOpacity=1, symbolLimit=0)

    def by_name(channel: type, part: str) -> Any:
        scale = alt.Scale(domain=list(found), range=[getattr(look, part) for look in found.values()])
        return channel(f"{field}:N", title=None, sort=list(found), scale=scale, legend=legend)

    encodings = {"color": by_name(alt.Color, "colour"), "shape": by_name(alt.Shape, "shape")}
    return encodings | ({"strokeDash": by_name(alt.StrokeDash, "dash")} if lines else {})


def _place(own: str | None, given: int) -> tuple[int, int]:
    return (list(MECHANISMS).index(own) if own else len(MECHANISMS), given)
