"""Where faces can come from: sources register themselves by name, beside their loaders."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.registry import Registry
from rp_tutorial.data.faces.task import FaceTask

Loader = Callable[..., FaceTask]


@dataclass(frozen=True)
class FaceSource:
    """A source by the name that `--data` takes; `with_path`: written name:PATH."""

    name: str
    load: Loader
    with_path: bool

    def __call__(self, **wanted: Any) -> FaceTask:
        """The task, from those of path, size, limits, seed and download that the loader has a parameter for."""
        return self.load(**{name: wanted[name] for name in inspect.signature(self.load).parameters})


FACE_SOURCES: Registry[FaceSource] = Registry("data", "rp_tutorial.data.faces")


def face_source(name: str, *, with_path: bool = False) -> Callable[[Loader], Loader]:
    """Registers a loader: `@face_source("mine", with_path=True)` above `def load(path, size, limits, seed)`.

    From then on `load_faces`, every experiment on faces and the command line know it. The loader's parameters are any
    of: path (str), size (pixels of a side), limits (`Limits`), seed, download (bool).
    Raises InputError for a name that is taken, or has a colon in it.

    >>> @rp.face_source("two people")
    ... def two_people(size, seed):
    ...     few = {"identities": 2, "train_images": 4, "test_images": 2, "public_images": 10}
    ...     return rp.load_faces("synthetic", size=size, seed=seed, **few)
    >>> rp.load_faces("two people", size=16).num_classes
    2

    Chapter: faces/label-only-inversion.
    """
    if ":" in name:
        raise refuse("name", name, "a word without a colon")
    return FACE_SOURCES.registering(name, lambda load: FaceSource(name, load, with_path))
