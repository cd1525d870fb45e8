"""Files that are whole or not there, or can tell whether they are what was written; and tensors as bytes for them."""

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

ABANDONED = 3600  # seconds after which a file that nobody finished may go


def write_atomically(path: Path, content: str | bytes) -> None:
    """The whole file or the old one: what reads `path` never sees half of it. Text is UTF-8, whatever the locale."""
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well, and vanishes when it does not.

    The name is nobody else's, in another container that shares the folder neither. What a kill left is cleared away,
    of other files too: theirs may have been finished since, and are never written again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".*.{'[0-9a-f]' * 32}.part"):
        with suppress(OSError):  # finished by another run meanwhile, or not ours to clear away
            if abs(time.time() - left.stat().st_mtime) > ABANDONED:  # in the future, where a clock was set back
                left.unlink()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written)  # a name must not survive a loss of power that its content did not
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_sealed(path: Path, content: bytes) -> None:
    """`content` at `path`, under a digest of itself and of the name of the file."""
    write_atomically(path, _seal(path, content) + content)


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote under this name; None if that is not what is there, or nothing is."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    content = found[len(_seal(path, b"")) :]
    return content if found == _seal(path, content) + content else None


def as_bytes(content: Any) -> bytes:
    """What `torch.save` writes."""
    memory = BytesIO()
    torch.save(content, memory)
    return memory.getvalue()


def from_bytes(content: bytes) -> Any:
    """Tensors, on the CPU, and plain containers; an exception of torch's choice for bytes that are anything else.

    No code that the bytes bring along is run.
    """
    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def _seal(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + b"\0" + content).hexdigest().encode() + b"\n"
