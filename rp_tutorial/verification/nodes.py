"""The open nodes of a branch and bound: a table of tensors with a cheap "take the k least proven ones".

A node is an input, another class, and a sign for some of the hidden neurons; it stands for all points with these
signs. Bookkeeping only: what a node proves is computed in `complete.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class Nodes:
    """N nodes. `reach`: no label change of the node is nearer than that. The last three are [N, H], by neuron."""

    owner: Tensor  # [N] which input
    target: Tensor  # [N] the class that is to overtake the label
    reach: Tensor  # [N]
    signs: Tensor  # 1: z >= 0, -1: z <= 0, 0: open
    slope: Tensor  # lower line of an open neuron, where the parent's optimisation left it
    multiplier: Tensor  # Lagrange multiplier of the sign, >= 0

    def __len__(self) -> int:
        return len(self.owner)

    def __getitem__(self, rows: Tensor) -> Nodes:
        return Nodes(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(first: Nodes, second: Nodes) -> Nodes:
    """One table after the other."""
    return Nodes(*(torch.cat([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Nodes)))


class OpenNodes:
    """Nodes in tables that grow by doubling, so that a round costs what it takes and adds, not what lies there."""

    def __init__(self, nodes: Nodes) -> None:
        self._table = nodes
        self._used = len(nodes)
        self._key = nodes.reach.clone()  # inf marks a free row

    def __len__(self) -> int:
        return int(self._key.isfinite().sum())

    def take(self, most: int) -> Nodes:
        """Removes and returns up to `most` open nodes, those of least reach."""
        rows = self._key.topk(min(most, len(self)), largest=False).indices
        taken = self._table[rows]
        self._key[rows] = torch.inf
        return taken

    def drop(self, useless: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Removes the open nodes with useless(owner, reach); returns owner and reach of what is gone."""
        rows = self._key.isfinite().nonzero()[:, 0]
        owner, reach = self._table.owner[rows], self._key[rows]
        gone = useless(owner, reach)
        self._key[rows[gone]] = torch.inf
        return owner[gone], reach[gone]

    def add(self, nodes: Nodes) -> None:
        """Opens nodes; their reach must be finite."""
        if int(self._key.isinf().sum()) < len(nodes):
            spare = max(self._table, nodes, key=len)  # what stands in free rows does not matter
            self._table = join(self._table, spare)
            self._key = torch.cat([self._key, torch.full_like(spare.reach, torch.inf)])
        rows = self._key.isinf().nonzero()[: len(nodes), 0]
        for field in fields(Nodes):
            getattr(self._table, field.name)[rows] = getattr(nodes, field.name)
        self._key[rows] = nodes.reach
