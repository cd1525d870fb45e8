"""Gaussian noise on a label that is constant on intervals: exact probabilities, and where they cross, with proof.

With f(z) constant on intervals and u ~ N(0, sigma^2), p_c(z) = Pr[f(z + u) = c] is a sum of differences of normal
distribution functions. Where the leader changes, or where p_c passes a level, is a root of a smooth function; here
roots are enclosed, not guessed. Units and nets are not here: z is a number, pieces come from `pieces`.

The certificate of a search cell [c - h, c + h]. Every function D followed here is E[s(z + u)] minus a constant, for
some s with values in [-1, 1]. So |D'| <= E|xi| / sigma = .798 / sigma and |D''| <= E|xi^2 - 1| / sigma^2 =
.968 / sigma^2, xi standard normal, and Taylor's formula around c leaves three cases: D has no root in the cell, or D
is monotone there and its one root is enclosed by the mean value theorem, or the cell is cut in two. What is still
open at a width near that of the last digit is left out as a gap. All bounds allow for the rounding of D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rp_tutorial.attributes.pieces import LabelPieces, padded
from rp_tutorial.core.arguments import positive, refuse
from rp_tutorial.core.threads import side_by_side

FIRST, SECOND = 0.7979, 0.9679  # E|xi| and E|xi^2 - 1| = 4 phi(1), rounded up
EPS = torch.finfo(torch.float64).eps
LEVELS = (1e-3, 1 - 1e-3)  # nearer to 0 and 1 these bounds on the slope, which know no tails, would need many cells
RECORDS = 1024  # processed together, on one core
MAX_DEPTH, OPEN_CELLS = 44, 1024  # bisections; open cells, beside those it began with, at which a record's search ends


def probabilities(base: LabelPieces, z: Tensor, *, sigma: float, num_classes: int) -> Tensor:
    """p_c(z) = Pr[f(z + u) = c], u ~ N(0, sigma^2), exactly: z [B], one a record -> float64 [B, num_classes].

    The rounding is that of a few float64 additions, also in the tails: each interval's mass is taken on the side where
    the distribution function is small.
    """
    kernel, z = _Kernel(base, positive("sigma", sigma), num_classes), z.to(base.low)
    parts = torch.arange(len(base), device=z.device).split(RECORDS)
    return torch.cat(side_by_side(lambda rows: kernel.value(rows, z[rows]), parts, device=z.device))


def leader_pieces(base: LabelPieces, *, sigma: float, num_classes: int) -> LabelPieces:
    """Where g(z) = argmax_c p_c(z) is constant: closed intervals that lie inside the true ones.

    Two neighbours leave a gap around their boundary, a few units in the last digit of z wide where p_a - p_b crosses 0
    at an angle, wider (rounding divided by slope) where it is flat. Left of the first and right of the last boundary
    of f, and wherever one interval of f reaches at least one sigma to both sides, g is f.
    """
    sigma = positive("sigma", sigma)

    def work(rows: Tensor) -> LabelPieces:
        kernel = _Kernel(base.rows(rows), sigma, num_classes)
        # One boundary: p_a = Phi(distance / sigma), so g is f for every sigma.
        single = kernel.base.used.sum(dim=1) <= 2
        return _search(kernel, reach=1.0, values=kernel.with_slope, alone=single)

    parts = torch.arange(len(base), device=base.low.device).split(RECORDS)
    return LabelPieces.together(side_by_side(work, parts, device=base.low.device))


def level_pieces(base: LabelPieces, label: Tensor, level: float, *, sigma: float) -> LabelPieces:
    """Where p_label(z) >= level: pieces labelled 1 there and 0 where it is below, inside the true ones.

    label: int64 [B]. Gaps as in `leader_pieces`. Raises InputError for a level outside [.001, .999].
    """
    if not LEVELS[0] <= level <= LEVELS[1]:
        raise refuse("level", level, f"a number from {LEVELS[0]} to {LEVELS[1]}")
    of_label = LabelPieces(base.low, base.high, torch.where(base.used, (base.label == label[:, None]).long(), -1))
    kernel = _Kernel(of_label, positive("sigma", sigma), 2)

    def values(record: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        p, slope = kernel.with_slope(record, z)
        p[:, 0], slope[:, 0] = level, 0.0
        return p, slope

    # Beyond `reach` sigma of every boundary p_label is within 2 Phi(-reach) of 0 or 1, so on a known side of the level.
    reach = -float(torch.special.ndtri(torch.tensor(min(level, 1 - level) / 2.2, dtype=torch.float64)))
    return _search(kernel, reach=reach, values=values, alone=base.used.sum(dim=1) <= 1)


@dataclass(frozen=True)
class _Kernel:
    """The pieces of f under noise of scale sigma."""

    base: LabelPieces
    sigma: float
    num_classes: int

    def value(self, record: Tensor, z: Tensor) -> Tensor:
        """p_c at z [n], each on the pieces of its record [n]: [n, K]."""
        low, high = self._scaled(record, z)
        return self._by_class(record, _normal_mass(low, high))

    def with_slope(self, record: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """p_c and its derivative, both [n, K]."""
        low, high = self._scaled(record, z)
        slope = (_density(low) - _density(high)) / self.sigma
        return self._by_class(record, _normal_mass(low, high)), self._by_class(record, slope)

    def rounding(self, record: Tensor, z: Tensor) -> Tensor:
        """A bound on the error of a difference of two of these probabilities [n], and of z itself in units of p."""
        return EPS * (16 + 4 * self.base.low.shape[1] + 4 * z.abs() / self.sigma)

    def _scaled(self, record: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        low = (self.base.low[record] - z[:, None]) / self.sigma
        high = (self.base.high[record] - z[:, None]) / self.sigma
        return low, torch.where(self.base.used[record], high, torch.inf)  # filling: from inf to inf

    def _by_class(self, record: Tensor, part: Tensor) -> Tensor:
        total = part.new_zeros(len(part), self.num_classes + 1)  # the last column takes the filling, label -1
        return total.scatter_add_(1, self.base.label[record] % (self.num_classes + 1), part)[:, :-1]


def _normal_mass(low: Tensor, high: Tensor) -> Tensor:
    """Phi(high) - Phi(low), taken in the left tail where both are positive."""
    right = low > 0
    return _phi(torch.where(right, -low, high)) - _phi(torch.where(right, -high, low))


def _phi(z: Tensor) -> Tensor:
    """The normal distribution function, relatively exact in the left tail, where torch.special.ndtr rounds to 0."""
    return 0.5 * torch.special.erfc(z * -(0.5**0.5))


def _density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) * 0.3989422804014327


@dataclass(frozen=True)
class _Parts:
    """A flat list of intervals, each of one record; label -1 while it is not known."""

    record: Tensor
    low: Tensor
    high: Tensor
    label: Tensor

    def where(self, chosen: Tensor) -> _Parts:
        return _Parts(self.record[chosen], self.low[chosen], self.high[chosen], self.label[chosen])

    @staticmethod
    def together(parts: list[_Parts]) -> _Parts:
        columns = zip(*((p.record, p.low, p.high, p.label) for p in parts), strict=True)
        return _Parts(*(torch.cat(column) for column in columns))


Values = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _search(kernel: _Kernel, *, reach: float, values: Values, alone: Tensor) -> LabelPieces:
    """Decide every z: outside the windows around f's boundaries by their distance, inside by cells.

    `alone` [B]: records whose pieces are those of f.
    """
    base = kernel.base
    far, cells = _windows(base, reach * kernel.sigma, ~alone)
    done = [_all_parts(base, alone), far]
    limit = OPEN_CELLS + 2 * torch.bincount(cells.record, minlength=len(base))
    for _ in range(MAX_DEPTH):
        if not len(cells.record):
            break
        known, roots, cells = _judge(kernel, values, cells)
        done += [known, *roots]
        crowded = torch.bincount(cells.record, minlength=len(base)) > limit
        middle = cells.low / 2 + cells.high / 2
        splits = (middle > cells.low) & (middle < cells.high) & ~crowded[cells.record]  # the others stay out
        cells, middle = cells.where(splits), middle[splits]
        left = _Parts(cells.record, cells.low, middle, cells.label)
        cells = _Parts.together([left, _Parts(cells.record, middle, cells.high, cells.label)])
    return _assembled(_Parts.together(done), len(base))


def _all_parts(base: LabelPieces, chosen: Tensor) -> _Parts:
    record, piece = (base.used & chosen[:, None]).nonzero(as_tuple=True)
    return _Parts(record, base.low[record, piece], base.high[record, piece], base.label[record, piece])


def _windows(base: LabelPieces, width: float, chosen: Tensor) -> tuple[_Parts, _Parts]:
    """The stretches at least `width` from every boundary of f, and the windows around the boundaries.

    A window ends half-way to the next boundary where that is nearer.
    """
    pieces = _all_parts(base, chosen)
    long = pieces.high - pieces.low > 2 * width
    middle = pieces.low / 2 + pieces.high / 2
    from_low = torch.where(long, pieces.low + width, middle)
    to_high = torch.where(long, pieces.high - width, middle)
    far = _Parts(pieces.record, from_low, to_high, pieces.label).where(from_low < to_high)
    unknown = torch.full_like(pieces.label, -1)
    after = _Parts(pieces.record, pieces.low, from_low, unknown).where(pieces.low > -torch.inf)
    before = _Parts(pieces.record, to_high, pieces.high, unknown).where(pieces.high < torch.inf)
    cells = _Parts.together([after, before])
    return far, cells.where(cells.low < cells.high)


def _judge(kernel: _Kernel, values: Values, cells: _Parts) -> tuple[_Parts, list[_Parts], _Parts]:
    """Cells with one proven leader; the two sides of an enclosed root, for cells with one; cells that stay open."""
    centre, half = cells.low / 2 + cells.high / 2, (cells.high - cells.low) / 2
    half = half * (1 + 4 * EPS) + EPS * centre.abs()  # around the rounded centre
    p, slope = values(cells.record, centre)
    leader = p.argmax(dim=1, keepdim=True)
    lead, lead_slope = p.gather(1, leader) - p, slope.gather(1, leader) - slope  # [n, K]
    bend = SECOND / kernel.sigma**2 * half
    fall = torch.minimum(
        lead_slope.abs() * half[:, None] + (bend * half / 2)[:, None], (FIRST / kernel.sigma * half)[:, None]
    )
    noise = kernel.rounding(cells.record, centre.abs() + half)
    rival = (lead - fall <= noise[:, None]).scatter(1, leader, False)
    number = rival.sum(dim=1)
    other = rival.long().argmax(dim=1, keepdim=True)
    steepness = lead_slope.gather(1, other)[:, 0]
    monotone = (number == 1) & (steepness.abs() > 2 * bend + kernel.rounding(cells.record, centre) / kernel.sigma)
    known = _Parts(cells.record, cells.low, cells.high, leader[:, 0]).where(number == 0)
    pairs = (leader[monotone, 0], other[monotone, 0])
    # The difference leader - other has a slope of one sign, of at least `least`, all over the cell.
    least = steepness.abs()[monotone] / 2
    roots = _enclose(cells.where(monotone), pairs, steepness[monotone].sign(), least, noise[monotone], values)
    return known, roots, cells.where((number > 0) & ~monotone)


def _enclose(
    cells: _Parts, pair: tuple[Tensor, Tensor], sign: Tensor, least: Tensor, noise: Tensor, values: Values
) -> list[_Parts]:
    """The sides of the root of D = p_first - p_second in cells where sign * D rises at least at the rate `least`.

    With z near the root, D(z) known up to `noise`: right of z + (noise - sign D(z)) / least, sign * D is above 0.
    """
    first, second = (side[:, None] for side in pair)

    def difference(z: Tensor) -> list[Tensor]:
        """sign * D and its slope."""
        return [(part.gather(1, first) - part.gather(1, second))[:, 0] * sign for part in values(cells.record, z)]

    low, high = cells.low, cells.high
    at_low, at_high = difference(low)[0], difference(high)[0]
    z = low / 2 + high / 2
    for _ in range(60):
        d, rate = difference(z)
        low, high = torch.where(d > 0, low, z), torch.where(d > 0, z, high)
        newton = z - d / rate
        better = torch.where((newton > low) & (newton < high), newton, low / 2 + high / 2)
        moved = (better - z).abs() > 2 * EPS * z.abs()
        z = better
        if not bool(moved.any()):
            break
    z = torch.where(at_low > 0, cells.low, torch.where(at_high < 0, cells.high, z))
    d, digit = difference(z)[0], 4 * EPS * z.abs()
    right_of = torch.maximum(z + (noise - d).clamp_min(0) / least + digit, cells.low)
    left_of = torch.minimum(z - (noise + d).clamp_min(0) / least - digit, cells.high)
    right_of = torch.where(at_low > noise, cells.low, right_of)
    left_of = torch.where(at_high < -noise, cells.high, left_of)
    rising = sign > 0
    above = _Parts(cells.record, right_of, cells.high, torch.where(rising, *pair))
    below = _Parts(cells.record, cells.low, left_of, torch.where(rising, *reversed(pair)))
    return [part.where(part.low < part.high) for part in (above, below)]


def _assembled(parts: _Parts, records: int) -> LabelPieces:
    """In order, with neighbours joined that touch and have one label."""
    order = parts.low.argsort(stable=True)
    order = order[parts.record[order].argsort(stable=True)]
    parts = parts.where(order)
    new = torch.ones_like(parts.record, dtype=torch.bool)
    same = (parts.record[1:] == parts.record[:-1]) & (parts.label[1:] == parts.label[:-1])
    new[1:] = ~(same & (parts.low[1:] == parts.high[:-1]))
    last = new.roll(-1)  # what comes after it is new; after the last of all comes the first, which is
    return padded(parts.record[new], parts.low[new], parts.high[last], parts.label[new], records=records)
