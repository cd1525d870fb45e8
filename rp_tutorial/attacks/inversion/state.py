"""What an inversion has reached so far, and its file: enough to go on after a kill as if nothing had happened.

The state of the oracle is part of the file, so this holds for oracles that answer at random, too. The file names the
run it belongs to by a fingerprint of everything the attack was given, except the oracle and the prior themselves:
they cannot be hashed, so one file belongs to one oracle and one prior, and the caller names it accordingly.
"""

import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from rp_tutorial.core.arguments import in_one_line, refuse
from rp_tutorial.core.files import as_bytes, from_bytes, read_sealed, write_sealed

WALK_ENDS = ("patience", "rejected steps", "iterations", "unbounded radius", "query limit")
REASONS = ("running", "not found", *WALK_ENDS)
RUNNING, NOT_FOUND = 0, 1


@dataclass
class State:
    """One entry a target in every tensor; `passes` counts the passes through the loop made so far by all."""

    chosen: Tensor  # [T] index of the candidate, -1: none
    start: Tensor  # [T, d]
    z: Tensor  # [T, d] current centre of the sphere
    latent: Tensor  # [T, d] at the last accepted expansion
    radius: Tensor  # [T] float64: products of 1.3 as exact as the authors' Python floats
    expansions: Tensor
    kept_expansions: Tensor
    accepted: Tensor
    rejected: Tensor
    since_expansion: Tensor  # accepted steps since the last expansion: what patience counts
    rejected_in_row: Tensor
    iterations: Tensor
    stopped: Tensor  # index into REASONS
    searched: int = 0
    search_done: bool = False
    passes: int = 0
    forward_passes: int = 0

    @classmethod
    def fresh(cls, targets: int, latent_dim: int, radius: float, device: torch.device | str) -> Self:
        points = [torch.full((targets, latent_dim), torch.nan, device=device) for _ in range(3)]
        zeros = [torch.zeros(targets, dtype=torch.int64, device=device) for _ in range(8)]
        radii = torch.full((targets,), radius, dtype=torch.float64, device=device)
        return cls(torch.full_like(zeros[0], -1), *points, radii, *zeros)

    def place(self, start: Tensor) -> None:
        """Begin at `start` [T, d]; a target whose row is not finite was not found and is over."""
        self.start, self.z, self.latent = start.clone(), start.clone(), start.clone()
        self.stopped[~start.isfinite().all(dim=1)] = NOT_FOUND
        self.search_done = True


class StateFile:
    """Reads and writes one state with the trace and the oracle's own state. Written whole or not at all."""

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self._path, self._fingerprint = Path(path), fingerprint
        if not self._path.parent.is_dir():
            raise refuse("state_path", str(path), "a file in a folder that exists")

    def save(self, state: State, trace: list[dict[str, Tensor]], oracle_state: dict[str, Any]) -> None:
        stored = {name: value.cpu() if isinstance(value, Tensor) else value for name, value in asdict(state).items()}
        content = {"fingerprint": self._fingerprint, "state": stored, "trace": trace, "oracle": oracle_state}
        try:
            write_sealed(self._path, as_bytes(content))
        except OSError as error:
            said = f"{self._path} ({error.strerror})"
            raise refuse("state_path", said, "a file that can be written, with room") from error

    def load(self, device: torch.device | str) -> tuple[State, list[dict[str, Tensor]], dict[str, Any]] | None:
        """State, trace and oracle state, or None where there is no file. Never executes pickled code."""
        if not self._path.exists():
            return None
        sealed = read_sealed(self._path)
        if sealed is None and not self._path.exists():  # another run was done with it meanwhile
            return None
        with in_one_line(
            "state_path", "a state of this attack (delete the file to start over)", what=f"{self._path}: "
        ):
            content = from_bytes(sealed)
            found, stored = content["fingerprint"], content["state"]
            state = State(**{field.name: stored[field.name] for field in fields(State)})
            trace, oracle_state = content["trace"], content["oracle"]
        if found != self._fingerprint:
            allowed = "a state of the same attack: this one has other settings, targets, points or seed"
            raise refuse("state_path", str(self._path), allowed)
        for name, value in vars(state).items():
            if isinstance(value, Tensor):
                setattr(state, name, value.to(device))
        return state, trace, oracle_state


def fingerprint(*parts: object) -> str:
    """A hash of the texts and tensors that define a run."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(repr((tuple(part.shape), part.dtype)).encode() + part.detach().cpu().numpy().tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
