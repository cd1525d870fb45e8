"""What a chart's specification says to a reader: the colours of its legends, and the words of axes and tooltips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rp_tutorial.figures.palette import MECHANISMS, mechanism, page_name

CHANNELS = ("color", "fill", "stroke")


def misnamed_or_miscoloured(spec: dict[str, Any]) -> list[str]:
    """Mechanisms in a legend that have another name or another colour than everywhere else."""
    wrong = []
    values = _values(spec)
    for channel, encoding in _encodings(spec):
        if channel not in CHANNELS or encoding.get("type") != "nominal":
            continue
        scale = encoding.get("scale") or {}
        colours = dict(zip(scale.get("domain", []), scale.get("range", []), strict=False))
        for name in {*values.get(encoding["field"], set()), *colours}:
            known = mechanism(name)
            if known and (colours.get(name) != MECHANISMS[known] or page_name(name) != name):
                wrong.append(f"{name}: {colours.get(name)}")
    return sorted(set(wrong))


def raw_names(spec: dict[str, Any]) -> list[str]:
    """Titles that are names of columns, or logarithms where the axis could have the numbers themselves."""
    found = [(channel, encoding) for channel, encoding in _encodings(spec) if channel in ("x", "y", "tooltip")]
    titled = {channel for channel, encoding in found if encoding.get("title") and channel != "tooltip"}
    titles = [
        str(encoding.get("title") or encoding["field"])
        for channel, encoding in found
        if encoding.get("axis", "") is not None and (channel not in titled or encoding.get("title"))
    ]  # layers share an axis, and one that has a title gives it to all
    return sorted({title for title in titles if "_" in title.replace("p_A", "") or "log" in title})


def _encodings(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, list):
        for one in part:
            yield from _encodings(one)
    elif isinstance(part, dict):
        for channel, encoding in part.get("encoding", {}).items():
            for one in encoding if isinstance(encoding, list) else [encoding]:
                if "field" in one:
                    yield channel, one
        for key, value in part.items():
            if key not in ("encoding", "datasets", "data"):
                yield from _encodings(value)


def _values(spec: dict[str, Any]) -> dict[str, set[str]]:
    """The words in every column of the chart's data."""
    found: dict[str, set[str]] = {}
    for rows in spec.get("datasets", {}).values():
        for row in rows:
            for column, value in row.items():
                if isinstance(value, str):
                    found.setdefault(column, set()).add(value)
    return found
