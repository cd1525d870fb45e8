"""What an experiment reads: faces, tables, or nothing. A kind of data knows its sources and how they are written.

`sources`: what `--data` may be, as a reader writes it. `takes`: whether it is, by its writing alone. `shown`: the same
without where it lies, which is nobody's business.
"""

from dataclasses import dataclass
from pathlib import Path

from rp_tutorial.data.faces.sources import face_sources, is_face_source, source_name
from rp_tutorial.data.tables.insurance import table_sources

A_CSV = "a CSV path"


@dataclass(frozen=True)
class Faces:
    """Sets of faces."""

    @property
    def sources(self) -> tuple[str, ...]:
        return face_sources()

    def takes(self, data: str) -> bool:
        return is_face_source(data)

    def shown(self, data: str) -> str:
        return source_name(data)


@dataclass(frozen=True)
class Tables:
    """Tables of people, but for those `without` the columns that the experiment needs."""

    without: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        return (*(name for name in table_sources() if name not in self.without), A_CSV)

    def takes(self, data: str) -> bool:
        return data not in self.without and (data in table_sources() or not is_face_source(data))

    def shown(self, data: str) -> str:
        return Path(data).name


@dataclass(frozen=True)
class Nothing:
    """No data are read: the word "synthetic" stands for what an experiment makes itself."""

    sources: tuple[str, ...] = ("synthetic",)

    def takes(self, data: str) -> bool:
        return data in self.sources

    def shown(self, data: str) -> str:
        return data


FACES, TABLES, NO_DATA = Faces(), Tables(), Nothing()
Kind = Faces | Tables | Nothing
