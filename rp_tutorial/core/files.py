"""Files that are whole or not there: what reads one never sees half of it."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """The whole file or the old one: what reads `path` never sees half of it."""
    with replacing(path) as part:
        part.write_text(text)


class replacing:  # noqa: N801  (reads as a verb: with replacing(path) as part)
    """A temporary name beside `path` that takes its place when the block ends well, and vanishes when it does not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.{os.getpid()}.part")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            os.replace(self.part, self.path)
        else:
            self.part.unlink(missing_ok=True)
