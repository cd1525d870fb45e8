"""Complete verification: the exact distance to the nearest label change, by branch and bound over unstable ReLUs.

A node fixes the signs of some neurons. Its bound is CROWN's backward pass with a Lagrange multiplier for every sign;
each choice of slopes in [0, 1] and multipliers >= 0 proves a distance, and a few gradient steps look for good ones.
Every minimiser of a bound is tried as a label change. When no neuron is open, `region.py` solves the rest exactly.
Bounds are in `bounds.py`, the first label change in `nearest.py`, the table of open nodes in `nodes.py`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import one_thread
from rp_tutorial.verification.bounds import MAX_RADIUS, Box, bisect_radius, crown_reach, own
from rp_tutorial.verification.dual import tighten
from rp_tutorial.verification.nearest import attack, keep_nearest
from rp_tutorial.verification.nodes import Nodes, OpenNodes, join
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.region import describe_region, nearest_in_region, push_behind
from rp_tutorial.verification.relu_net import Norm, ReluNet, check_norm, read_inputs

EXACT, BUDGET, NONE, TIE = "exact to tolerance", "budget used up", "no change within max_radius", "tie, not crossed"
STRIDE = 1.25  # a node is next bounded on a ball wider than its reach by this factor
ROUND = 256  # nodes bounded together
NUDGES = (1e-11, 1e-9, 1e-7)  # relative: how far behind a boundary point the label is looked at
POLISHES = 8  # regions walked through from a new label change


@dataclass(frozen=True)
class ExactRadius:
    """What the search proved, one entry an input; NumPy arrays.

    For every x' with ||x' - x|| <= lower the net's label is `label`; at `point`, at distance `upper`, it is another
    one. So the exact radius lies in [lower, upper]. `status`: "exact to tolerance" (upper - lower <= tolerance),
    "budget used up" (the interval is wider), "no change within max_radius" (lower is max_radius, upper inf, point x),
    "tie, not crossed" (another class draws level at lower, and no point was met where it wins). `nodes`: bounded.
    """

    label: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    point: np.ndarray
    status: tuple[str, ...]
    nodes: np.ndarray


def exact_radius(
    net: nn.Module | ReluNet,
    x: Tensor,
    *,
    norm: Norm,
    tolerance: float = 1e-4,
    budget: int = 20_000,
    max_radius: float = MAX_RADIUS,
    seed: int = 0,
) -> ExactRadius:
    """The exact radius of every input of x [B, ...] between a proof and a counterexample: see `ExactRadius`.

    tolerance: absolute, in the unit of x. budget: nodes an input; after it the interval found so far is returned.
    `seed` moves the first attack, never what is proven. `lower` is rounded down and never below `crown_radius`.
    Raises InputError as `crown_radius` does, and for tolerance <= 0 or budget < 1.
    Source: Wang et al. 2021, "Beta-CROWN"; here on distances instead of margins at one radius, for l1, l2 and linf.
    """
    plain = read_net(net)
    x, norm = read_inputs(plain, x), check_norm(norm)
    positive("tolerance", tolerance), count("budget", budget), positive("max_radius", max_radius)
    generator = torch_generator(Purpose.LABEL_CHANGES, seed)
    with one_thread(), torch.no_grad():
        change = attack(plain, x, norm, restarts=1, steps=15, max_radius=max_radius, generator=generator)
        return _Search(plain, x, norm, tolerance, budget, max_radius, change).run()


@dataclass(eq=False)
class _Search:
    """One branch and bound for all inputs together: nodes of different inputs share the rounds."""

    net: ReluNet
    x: Tensor
    norm: Norm
    tolerance: float
    budget: int
    max_radius: float
    best: tuple[Tensor, Tensor]  # the nearest label change that is known: points [B, d] and distances [B]

    def __post_init__(self) -> None:
        self.label = self.net.labels(self.x)
        self.proven = bisect_radius(self.net, self.x, self.norm, self.max_radius, crown_reach)
        self.nodes = torch.zeros(len(self.x), dtype=torch.int64)
        self.closed = torch.full_like(self.proven, torch.inf)  # least reach of any closed node
        self._polish(list(range(len(self.x))))

    @property
    def goal(self) -> Tensor:
        """The distance [B] up to which the absence of a label change is still to be shown; a hair to spare."""
        return (self.best[1] - 0.999 * self.tolerance).clamp_max(self.max_radius)

    def run(self) -> ExactRadius:
        waiting = OpenNodes(self._roots())
        while True:
            self._close(*waiting.drop(self._settled))
            if not len(waiting):
                return self._result()
            waiting.add(self._round(waiting.take(ROUND)))

    def _roots(self) -> Nodes:
        """One node for every input and other class, no sign fixed."""
        owner, target = (~own(self.net, self.label)).nonzero(as_tuple=True)
        blank = torch.zeros(len(owner), self.net.num_hidden, dtype=torch.float64)
        return Nodes(owner, target, self.proven[owner], blank, blank - 1, blank.clone())

    def _round(self, nodes: Nodes) -> Nodes:
        """Bounds the nodes and closes those that are done; returns what stays open: raised nodes and children.

        A node is bounded on a ball a little wider than what is proven of it, not at once on the ball up to the goal:
        there its lines would be loose. If it proves that ball it is raised: open as before, with more reach.
        """
        goal = self.goal[nodes.owner]
        radius = torch.minimum(goal, torch.maximum(STRIDE * nodes.reach, goal / 4))
        self.nodes += torch.bincount(nodes.owner, minlength=len(self.x))
        label = self.label[nodes.owner]
        x = self.x[nodes.owner]
        lowest, met, box = tighten(self.net, x, label, radius, nodes, self.norm)
        gain = _gain(nodes, met, box)
        leaf = (nodes.reach < radius) & (gain <= 0).all(dim=1)
        further = x + (goal / radius)[:, None] * (lowest - x)
        self._try(torch.cat([lowest, further]), nodes.owner.repeat(2))
        for i in leaf.nonzero()[:, 0].tolist():
            self._solve_leaf(nodes, i, float(radius[i]), box)
        raised = nodes.reach >= radius
        leaf &= ~raised
        self._close(nodes.owner[leaf], nodes.reach[leaf])
        split = ~(raised | leaf)
        return join(nodes[raised], _split(nodes[split], gain[split]))

    def _settled(self, owner: Tensor, reach: Tensor) -> Tensor:
        """Open nodes that need no more work: proven far enough, or out of budget (then their reach is what counts)."""
        return (reach >= self.goal[owner]) | (self.nodes[owner] >= self.budget)

    def _close(self, owner: Tensor, reach: Tensor) -> None:
        self.closed.scatter_reduce_(0, owner, reach, "amin")

    def _try(self, y: Tensor, owner: Tensor) -> None:
        """Keeps candidates [N, d] that change the label nearer to x than any before, and walks on from them."""
        before = self.best[1]
        self.best = keep_nearest(self.net, self.x, self.label, self.norm, self.best, y, owner)
        self._polish((self.best[1] < before).nonzero()[:, 0].tolist())

    def _polish(self, inputs: list[int]) -> None:
        """From each input's label change to the nearest one in its linear region, then on from there."""
        everyone = torch.ones(self.net.num_hidden, dtype=torch.bool)
        for i in inputs:
            for _ in range(POLISHES):
                distance = float(self.best[1][i])
                if not self.tolerance < distance < np.inf:
                    break
                point = self.best[0][i : i + 1]
                signs = torch.where(self.net.preactivations(point)[0][0] > 0, 1.0, -1.0).double()
                self._solve(i, int(self.net.overtaken(point, self.label[i : i + 1])[1]), signs, everyone, distance)
                if float(self.best[1][i]) > distance * (1 - 1e-6):
                    break

    def _solve_leaf(self, nodes: Nodes, i: int, radius: float, box: Box) -> None:
        """A node without open neurons is one linear region: its reach becomes exact, its nearest change is kept."""
        signs = torch.where(nodes.signs[i] != 0, nodes.signs[i], torch.where(box[0][i] >= 0, 1.0, -1.0).double())
        proven = self._solve(int(nodes.owner[i]), int(nodes.target[i]), signs, nodes.signs[i] != 0, radius)
        nodes.reach[i] = max(float(nodes.reach[i]), min(proven, radius))

    def _solve(self, i: int, target: int, signs: Tensor, held: Tensor, radius: float) -> float:
        """A proven distance of the region from input i; its nearest label change is kept if it is the best so far.

        At the nearest point itself the classes draw level. The label changes straight behind it, or, where that is
        another region already, at the nearest point with a margin a little below 0.
        """
        region = describe_region(self.net, self.x[i], int(self.label[i]), target, signs, held, radius)
        proven, delta = nearest_in_region(region, self.norm, reach=radius)
        for nudge in NUDGES:
            if delta is None or float(self.best[1][i]) <= proven * (1 + 2 * nudge):
                return proven
            self._keep(i, (1 + nudge) * torch.from_numpy(delta))
            if float(self.best[1][i]) > proven * (1 + 2 * nudge):
                _, behind = nearest_in_region(push_behind(region, nudge, radius), self.norm, reach=radius)
                if behind is not None:
                    self._keep(i, torch.from_numpy(behind))
        return proven

    def _keep(self, i: int, delta: Tensor) -> None:
        candidate = (self.x[i] + delta)[None]
        self.best = keep_nearest(self.net, self.x, self.label, self.norm, self.best, candidate, torch.tensor([i]))

    def _result(self) -> ExactRadius:
        proven = torch.maximum(self.proven, self.closed)
        lower = torch.minimum(proven, self.best[1]).clamp_max(self.max_radius).numpy()
        point, upper, nodes = self.best[0].numpy(), self.best[1].numpy(), self.nodes.numpy()
        ends = {EXACT: upper - lower <= self.tolerance, NONE: lower >= self.max_radius, BUDGET: nodes >= self.budget}
        status = np.select(list(ends.values()), list(ends), TIE)
        return ExactRadius(self.label.numpy(), lower, upper, point, tuple(status.tolist()), nodes)


def _gain(nodes: Nodes, met: Tensor, box: Box) -> Tensor:
    """How much of the bound [N, H] a split could win between relu and its lines; -1 where the sign is known."""
    low, high = box
    upper_line = -met.clamp_max(0) * torch.minimum(-low, high)
    lower_line = met.clamp_min(0) * torch.minimum(nodes.slope * -low, (1 - nodes.slope) * high)
    return torch.where((low < 0) & (high > 0), upper_line + lower_line + 1e-9, -1.0)


def _split(nodes: Nodes, gain: Tensor) -> Nodes:
    """Two children a node: the neuron with the largest gain [N, H] at least 0, and at most 0."""
    if not len(nodes):
        return nodes
    children = join(nodes, nodes)
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(len(nodes))
    children.signs[torch.arange(len(children)), gain.argmax(dim=1).repeat(2)] = sign
    return children
