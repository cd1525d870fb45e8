"""What an experiment reads: faces, tables, or nothing. A kind of data knows its sources and how they are written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rp_tutorial.data.faces.sources import face_sources, is_face_source, source_name
from rp_tutorial.data.tables.insurance import table_sources

A_CSV = "a CSV path"


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    sources: what `--data` may be, as a reader writes it. takes: whether it is, by its writing alone. shown: the same
    without where it lies, which is nobody's business.
    """

    sources: Callable[[], tuple[str, ...]]
    takes: Callable[[str], bool]
    shown: Callable[[str], str]


def tables_but(*without: str) -> Kind:
    """Tables of people, but for those without the columns that the experiment needs."""
    return Kind(
        lambda: (*(name for name in table_sources() if name not in without), A_CSV),
        lambda data: data not in without and (data in table_sources() or not is_face_source(data)),
        lambda data: Path(data).name,
    )


FACES, TABLES = Kind(face_sources, is_face_source, source_name), tables_but()
NO_DATA = Kind(lambda: ("synthetic",), lambda data: data == "synthetic", str)  # what an experiment makes itself
