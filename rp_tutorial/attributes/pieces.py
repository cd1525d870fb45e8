"""A ReLU net along one input coordinate: its affine pieces, and the intervals on which its label is constant.

Everything else fixed, a stack of linear layers and ReLUs is piecewise affine in one coordinate z. One hidden layer of
h units bends in at most h places, -c_i / w_i, so all pieces follow from one sort and a few running sums; deeper nets
are refined layer by layer. Within a piece the K logits are K lines, whose upper envelope gives the label. Vectorised
over records, float64. It has a room of its own because three others stand on it: exact attribute smoothing, exact
inference sets, and the exact interval of the undefended net. Noise and units are not here: z is the net's own input.

A piece's weights are sums over the *active* units only, never differences of larger sums. So where every unit is dead
the logits tie exactly, and the tie goes to the lowest index, as argmax has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import ReluNet, read_inputs

FAR = 1e150  # a bend further out than this is taken as never reached; its square still fits a float64
CHUNK_MIB = 4  # fits a cache


@dataclass(frozen=True)
class LabelPieces:
    """Closed intervals of z with a constant label, one row a record, from left to right.

    low, high: float64 [B, M]; label: int64 [B, M]. A record with fewer than M pieces is filled up with low = inf,
    high = -inf, label = -1. Neighbours share their end point, at which the label is that of the lower index. A gap
    between two pieces, where there is one, is a stretch that was not decided. Single points with a label of their own
    (two logits that touch) are left out.
    """

    low: Tensor
    high: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.low)

    @property
    def used(self) -> Tensor:
        """Which entries are pieces and not filling: bool [B, M]."""
        return self.label >= 0

    def of_label(self, label: Tensor | int) -> tuple[Tensor, Tensor]:
        """low, high [B, M] of the pieces with this label (one for all records, or [B]); the others as filling."""
        chosen = self.used & (self.label == torch.as_tensor(label, device=self.label.device).unsqueeze(-1))
        return torch.where(chosen, self.low, torch.inf), torch.where(chosen, self.high, -torch.inf)

    def around(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """low, high and label [B] of the piece that holds z [B]; z, z and -1 where z lies in a gap.

        On a shared end point: the piece of the lower label.
        """
        holds = self.used & (self.low <= z[:, None]) & (z[:, None] <= self.high)
        rank = torch.where(holds, self.label, torch.iinfo(torch.int64).max)
        at = rank.argmin(dim=1, keepdim=True)
        found = holds.any(dim=1)
        low, high, label = (part.gather(1, at)[:, 0] for part in (self.low, self.high, self.label))
        return torch.where(found, low, z), torch.where(found, high, z), torch.where(found, label, -1)

    @classmethod
    def together(cls, parts: Sequence[LabelPieces]) -> LabelPieces:
        """Tables of several batches as one."""
        width = max(part.low.shape[1] for part in parts)
        columns = zip(*((part.low, part.high, part.label) for part in parts), strict=True)
        filled = [
            torch.cat([nn.functional.pad(part, (0, width - part.shape[1]), value=filling) for part in column])
            for column, filling in zip(columns, (torch.inf, -torch.inf, -1), strict=True)
        ]
        return cls(*filled)

    def rows(self, index: Tensor) -> LabelPieces:
        """The chosen records, in that order."""
        return LabelPieces(self.low[index], self.high[index], self.label[index])


@dataclass(frozen=True)
class Lines:
    """Affine pieces: on [edges[b, s], edges[b, s + 1]] output n is slope[n, b, s] * z + intercept[n, b, s].

    edges [B, S + 1] ascend from -inf to inf; pieces that start at inf are filling.
    """

    edges: Tensor
    slope: Tensor
    intercept: Tensor


def label_pieces(net: nn.Module, x: Tensor, *, attribute: int, chunk_mib: float = CHUNK_MIB) -> LabelPieces:
    """Every interval of input `attribute` on which argmax net(x) is constant, the other inputs as in x.

    Exact up to the rounding of float64: the pieces are those of the net in real arithmetic, with weights as stored. A
    boundary is the crossing of two lines and inherits their rounding, divided by the angle at which they cross.
    x: [B, d], or [B, ...] if the net flattens it, `attribute` then counting the flattened inputs; its own value at
    `attribute` is not read. `chunk_mib` bounds memory and moves last digits at most.
    Raises InputError for a net that `read_net` refuses, and for bad x, attribute or chunk_mib.
    """
    plain = read_net(net)
    rows = read_inputs(plain, x)
    layers = _above_class_zero(plain, x.device)
    (weight, bias), rest = layers[0], layers[1:]
    if count("attribute", attribute, minimum=0) >= weight.shape[1]:
        raise refuse("attribute", attribute, f"a column from 0 to {weight.shape[1] - 1}")
    others = weight.clone()
    others[:, attribute] = 0
    alike = len(x) > 1 and not bool(others.any())  # a net that reads nothing else has the same pieces for all records
    chunk = _chunk_records([len(bias) for _, bias in layers], positive("chunk_mib", chunk_mib))
    parts = rows[: 1 if alike else None].split(chunk)

    def work(part: Tensor) -> tuple[Tensor, ...]:
        return _runs(weight[:, attribute], part.to(weight) @ others.T + bias, rest, chunk_mib)

    runs = side_by_side(work, parts, device=x.device)
    pieces = _from_runs(runs, [len(part) for part in parts])
    if alike:  # one row, shown B times
        return LabelPieces(*(part.expand(len(x), -1) for part in (pieces.low, pieces.high, pieces.label)))
    return pieces


def _above_class_zero(net: ReluNet, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Its layers with the logits of classes 1, 2, ... measured from that of class 0: one line fewer to follow."""
    *hidden, (weight, bias) = [(w.to(device), b.to(device)) for w, b in zip(net.weights, net.biases, strict=True)]
    return [*hidden, (weight[1:] - weight[0], bias[1:] - bias[0])]


def _chunk_records(widths: list[int], mib: float) -> int:
    """Records at a time, so that a handful of arrays of the first layer's pieces fit in `mib`."""
    per_record = 8 * (widths[0] + 1) * (6 + 4 * widths[-1] if len(widths) <= 2 else 2 * widths[1])
    return max(1, int(mib * 2**20 // per_record))


def _runs(slope: Tensor, offset: Tensor, rest: list[tuple[Tensor, Tensor]], mib: float) -> tuple[Tensor, ...]:
    """Runs (record, where it starts, label) of records whose first layer is slope [n] * z + offset [B, n]."""
    if len(rest) == 1:
        return _label_runs(_one_hidden_layer(slope, offset, *rest[0]))
    whole_line = offset.new_tensor([-torch.inf, torch.inf]).expand(len(offset), 2)
    lines = Lines(whole_line, slope[:, None, None].expand(-1, len(offset), 1), offset.T[:, :, None])
    return _refine(lines, rest, mib)


def _one_hidden_layer(slope: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Lines:
    """Outputs weight @ relu(slope z + offset) + bias: one sort, then running sums over the active units.

    A unit of positive slope is active right of its bend, one of negative slope left of it. The first kind is summed
    from the left and the second from the right, so that an inactive unit never enters a sum.
    """
    moves = slope != 0
    still = offset[:, ~moves].relu() @ weight[:, ~moves].T + bias  # [B, K]
    slope, offset, weight = slope[moves], offset[:, moves], weight[:, moves]
    order = _order((offset / -slope).clamp_(-FAR, FAR))
    slope, offset = _pick(slope, order), offset.gather(1, order)
    edges = offset.new_full((len(offset), offset.shape[1] + 2), torch.inf)
    edges[:, 0], edges[:, 1:-1] = -torch.inf, (offset / -slope).clamp_(-FAR, FAR)
    rises = slope > 0
    sums = offset.new_zeros(2, len(weight), len(offset), edges.shape[1] - 1)  # slopes, intercepts
    for k in range(len(weight)):
        unit = _pick(weight[k], order)
        rising = unit * rises
        falling = unit - rising
        for total, input_weight in zip(sums[:, k], (slope, offset), strict=True):
            torch.cumsum(rising * input_weight, dim=1, out=total[:, 1:])
            total[:, :-1] += (falling * input_weight).flip(1).cumsum_(dim=1).flip(1)
        sums[1, k] += still[:, k : k + 1]
    return Lines(edges, sums[0], sums[1])


def _order(bends: Tensor) -> Tensor:
    """argsort of every row; NumPy's is several times faster than torch's on a CPU."""
    if bends.device.type == "cpu":
        return torch.from_numpy(np.argsort(bends.numpy(), axis=1))
    return bends.argsort(dim=1)


def _pick(table: Tensor, order: Tensor) -> Tensor:
    """table[order] for a table [n] and an order [B, n]; gather is the fast way to write it."""
    return table.expand(len(order), -1).gather(1, order)


def _refine(lines: Lines, rest: list[tuple[Tensor, Tensor]], mib: float) -> tuple[Tensor, ...]:
    """Through the remaining layers; a chunk that outgrows `mib` goes on in halves."""
    for depth, (weight, bias) in enumerate(rest):
        records, pieces = lines.edges.shape[0], lines.edges.shape[1] - 1
        if records > 1 and 8 * records * pieces * (len(bias) + weight.shape[1]) * 4 > mib * 2**20:
            halves = (slice(0, records // 2), slice(records // 2, None))
            parts = [
                _refine(Lines(lines.edges[h], lines.slope[:, h], lines.intercept[:, h]), rest[depth:], mib)
                for h in halves
            ]
            return tuple(torch.cat(p) for p in zip(parts[0], (parts[1][0] + records // 2, *parts[1][1:]), strict=True))
        lines = _relu(lines)
        mixed = [torch.einsum("nm,mbs->nbs", weight, part) for part in (lines.slope, lines.intercept)]
        lines = Lines(lines.edges, mixed[0], mixed[1] + bias[:, None, None])
    return _label_runs(lines)


def _relu(lines: Lines) -> Lines:
    """Cut every piece where an output crosses 0, then keep the outputs that are positive inside."""
    low, high = lines.edges[:, :-1], lines.edges[:, 1:]
    root = -lines.intercept / lines.slope
    inside = (root > low) & (root < high) & (root.abs() < FAR)  # NaN and inf, from a slope of 0, are not inside
    most = int(inside.sum(dim=(0, 2)).max()) if len(low) else 0
    cuts = torch.where(inside, root, torch.inf).permute(1, 2, 0).flatten(1).topk(most, largest=False).values
    edges = torch.cat([lines.edges, cuts], dim=1).sort(dim=1).values
    middle = _inner_point(edges)
    parent = torch.searchsorted(lines.edges[:, 1:-1].contiguous(), middle)  # pieces left of the point
    index = parent.expand(len(lines.slope), -1, -1)
    slope, intercept = lines.slope.gather(2, index), lines.intercept.gather(2, index)
    active = slope * middle + intercept > 0
    return Lines(edges, slope * active, intercept * active)


def _inner_point(edges: Tensor) -> Tensor:
    """A finite point inside every piece [B, S]; 0 in those that are filling."""
    low, high = edges[:, :-1], edges[:, 1:]
    middle = low / 2 + high / 2
    middle = torch.where(high == torch.inf, low + low.abs() + 1, middle)
    middle = torch.where(low == -torch.inf, high - high.abs() - 1, middle)
    return torch.where(middle.isfinite(), middle, 0.0)


def _label_runs(lines: Lines) -> tuple[Tensor, Tensor, Tensor]:
    """Runs of a constant label: record, start and label, ordered by record and start; the first starts at -inf.

    A class that leads at both ends of a piece leads all along it, because lines cross once. So only the pieces whose
    two leaders differ, a few in each record, are walked crossing by crossing.
    """
    low, high = lines.edges[:, :-1], lines.edges[:, 1:]
    leader = torch.empty(lines.edges.shape, dtype=torch.int64, device=low.device)  # at every edge
    leader[:, 0] = _leader_above_zero(-lines.slope[:, :, 0], lines.intercept[:, :, 0])  # at -inf the least slope leads
    leader[:, 1:] = _leader_at(lines, high)
    end = (low < torch.inf).sum(dim=1) - 1  # the piece that ends at inf
    at_end = end.expand(len(lines.slope), -1)[:, :, None]
    final = _leader_above_zero(*(part.gather(2, at_end)[:, :, 0] for part in (lines.slope, lines.intercept)))
    torch.where(high == torch.inf, final[:, None], leader[:, 1:], out=leader[:, 1:])
    record, piece = ((leader[:, 1:] != leader[:, :-1]) & (low < high)).nonzero(as_tuple=True)
    every = torch.arange(len(low), device=low.device)
    events = [(every, torch.zeros_like(every), torch.zeros_like(every), low[:, 0], leader[:, 0])]
    events += _walk(lines, record, piece, leader)
    record, piece, step, start, label = (torch.cat(part) for part in zip(*events, strict=True))
    order = ((record * low.shape[1] + piece) * (len(lines.slope) + 3) + step).argsort()
    return _merged(record[order], start[order], label[order])


def _leader_at(lines: Lines, z: Tensor) -> Tensor:
    """The leading class at the points z [B, S], one in each piece; ties: lowest index. Anything where z is infinite."""
    best, label = torch.zeros_like(z), torch.zeros_like(z, dtype=torch.int64)
    for k in range(len(lines.slope)):
        value = torch.addcmul(lines.intercept[k], lines.slope[k], z)
        label[value > best] = k + 1
        best = torch.maximum(best, value)
    return label


def _leader(main: Tensor, second: Tensor) -> Tensor:
    """Largest `main`, among equals the largest `second`, among equals the lowest index: [K, n] -> [n]."""
    best, runner, label = main[0], second[0], torch.zeros_like(main[0], dtype=torch.int64)
    for k in range(1, len(main)):
        better = (main[k] > best) | ((main[k] == best) & (second[k] > runner))
        best, runner = torch.where(better, main[k], best), torch.where(better, second[k], runner)
        label = torch.where(better, k, label)
    return label


def _leader_above_zero(main: Tensor, second: Tensor) -> Tensor:
    """`_leader` of lines [K - 1, n] and of class 0, whose line is 0."""
    return _leader(_with_zero(main), _with_zero(second))


def _with_zero(part: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(part[:1]), part])


def _walk(lines: Lines, record: Tensor, piece: Tensor, leader: Tensor) -> list[tuple[Tensor, ...]]:
    """The leaders along the given pieces, as events (record, piece, step, start, label).

    The first event of a piece is its leader just inside, which a tie may hide at the edge itself; the last hands over
    to the leader at the right edge.
    """
    slope, intercept = (_with_zero(part[:, record, piece]) for part in (lines.slope, lines.intercept))  # [K, n]
    at, end = lines.edges[record, piece], lines.edges[record, piece + 1]
    value = slope * torch.where(at.isfinite(), at, 0.0) + intercept
    now = torch.where(at.isfinite(), _leader(value, slope), leader[record, piece])
    events = [(record, piece, torch.ones_like(piece), at, now)]
    for step in range(2, len(slope) + 1):
        steeper = slope > slope.gather(0, now[None])
        cross = (intercept.gather(0, now[None]) - intercept) / (slope - slope.gather(0, now[None]))
        cross = torch.where(steeper, torch.maximum(cross, at), torch.inf)
        nearest = _leader(-cross, slope)
        at = cross.gather(0, nearest[None])[0]
        changes = at < end
        at, now = torch.where(changes, at, torch.inf), torch.where(changes, nearest, now)
        here = changes.nonzero()[:, 0]
        events.append((record[here], piece[here], torch.full_like(here, step), at[here], now[here]))
    inner = (end < torch.inf).nonzero()[:, 0]
    record, piece, end = record[inner], piece[inner], end[inner]
    events.append((record, piece, torch.full_like(piece, len(slope) + 1), end, leader[record, piece + 1]))
    return events


def _merged(record: Tensor, start: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ordered runs without those of width 0, neighbours of one label joined."""
    wide = torch.ones_like(record, dtype=torch.bool)
    wide[:-1] = (record[1:] != record[:-1]) | (start[1:] > start[:-1])
    record, start, label = record[wide], start[wide], label[wide]
    new = torch.ones_like(record, dtype=torch.bool)
    new[1:] = (record[1:] != record[:-1]) | (label[1:] != label[:-1])
    return record[new], start[new], label[new]


def _from_runs(runs: list[tuple[Tensor, ...]], sizes: list[int]) -> LabelPieces:
    """The runs of consecutive chunks of records, as one table."""
    before = torch.tensor([0, *sizes]).cumsum(0)
    record = torch.cat([run[0] + int(shift) for run, shift in zip(runs, before[:-1], strict=True)])
    start, label = torch.cat([run[1] for run in runs]), torch.cat([run[2] for run in runs])
    high = torch.full_like(start, torch.inf)
    same = record[1:] == record[:-1]
    high[:-1] = torch.where(same, start[1:], torch.inf)
    return padded(record, start, high, label, records=int(before[-1]))


def padded(record: Tensor, low: Tensor, high: Tensor, label: Tensor, *, records: int) -> LabelPieces:
    """A flat list of pieces, ordered by record and position, as a table with filling."""
    number = torch.bincount(record, minlength=records)
    place = torch.arange(len(record), device=record.device) - (number.cumsum(0) - number)[record]
    shape = (records, int(number.max()) if records else 1)
    table = LabelPieces(low.new_full(shape, torch.inf), low.new_full(shape, -torch.inf), label.new_full(shape, -1))
    for whole, part in zip((table.low, table.high, table.label), (low, high, label), strict=True):
        whole[record, place] = part
    return table
