"""Random ReLU nets of many shapes with inputs, and slow independent solvers of the exact radius for small ones."""

import copy
import itertools

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp, minimize
from torch import nn

NORMS = ("l1", "l2", "linf")
ORDER = {"l1": 1, "l2": 2, "linf": np.inf}
SHAPES = ((2, 6, 2), (4, 8, 3), (6, 8, 2), (3, 5, 5, 3), (5, 6, 6, 2), (2, 4, 4, 4, 3), (8, 10, 4), (5, 2))


def random_net(seed: int, widths: tuple[int, ...]) -> nn.Sequential:
    """Linear and ReLU layers of these widths; the last bias makes the mean logits equal, so that labels do change."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = nn.Linear(fan_in, fan_out).double()
        with torch.no_grad():
            linear.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            linear.bias.normal_(0, 0.5, generator=generator)
        layers += [linear, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        net[-1].bias -= net(torch.randn(200, widths[0], generator=generator, dtype=torch.float64)).mean(dim=0)
    return net


def with_batch_norm(seed: int, widths: tuple[int, ...]) -> nn.Sequential:
    """`random_net` in eval mode with a BatchNorm1d of random statistics, weights and biases behind every Linear."""
    generator, layers = torch.Generator().manual_seed(seed), []
    for layer in random_net(seed, widths):
        layers.append(layer)
        if isinstance(layer, nn.Linear):
            norm = nn.BatchNorm1d(layer.out_features).double()
            for part, most in ((norm.running_mean, 0.5), (norm.weight.data, 1.5), (norm.bias.data, 0.5)):
                part.uniform_(-most, most, generator=generator)
            norm.running_var.uniform_(0.3, 3, generator=generator)
            layers.append(norm)
    return nn.Sequential(*layers).eval()


@torch.no_grad()
def folded(net: nn.Sequential) -> nn.Sequential:
    """The net of `with_batch_norm` without BatchNorm1d, one neuron at a time: for the solvers below."""
    layers = []
    for layer in net:
        if not isinstance(layer, nn.BatchNorm1d):
            layers.append(copy.deepcopy(layer))
            continue
        for i in range(layer.num_features):
            factor = layer.weight[i] / np.sqrt(float(layer.running_var[i]) + layer.eps)
            layers[-1].weight[i] *= factor
            layers[-1].bias[i] = (layers[-1].bias[i] - layer.running_mean[i]) * factor + layer.bias[i]
    return nn.Sequential(*layers)


def random_inputs(seed: int, rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def in_ball(rng: np.random.Generator, x: np.ndarray, radius: float, norm: str, rows: int) -> torch.Tensor:
    """Points [rows, d] within `radius` of x [d], most of them near the sphere, corners included."""
    delta = rng.standard_normal((rows, len(x)))
    delta[: rows // 3] = np.sign(delta[: rows // 3])
    delta[rows // 3 : rows // 2, 1:] = 0
    delta *= radius * rng.uniform(0, 1, (rows, 1)) ** 0.1 / np.linalg.norm(delta, ord=ORDER[norm], axis=1)[:, None]
    return torch.from_numpy(x + delta * (1 - 1e-12))


def radius_by_milp(net: nn.Sequential, x: torch.Tensor, norm: str, *, reach: float) -> float:
    """Least l1 or linf distance from x [d] to a point where another class draws level, if it is below `reach`.

    A mixed-integer programme with big-M constraints on the box |delta| <= reach: another formulation than the
    package's, by another solver. Variables: delta+, delta-, t, then y and a binary s for each hidden neuron.
    """
    linears = [m for m in net if isinstance(m, nn.Linear)]
    weights = [m.weight.detach().numpy() for m in linears]
    biases = [m.bias.detach().numpy() for m in linears]
    d, hidden = len(x), [len(b) for b in biases[:-1]]
    total = 2 * d + 1 + 2 * sum(hidden)
    rows, low, high = [], [], []

    def add(row, lower, upper):
        rows.append(row), low.append(lower), high.append(upper)

    if norm == "l1":
        row = np.zeros(total)
        row[: 2 * d], row[2 * d] = 1, -1
        add(row, -np.inf, 0)
    else:
        for j in range(2 * d):
            row = np.zeros(total)
            row[j], row[2 * d] = 1, -1
            add(row, -np.inf, 0)
    inputs = np.zeros((d, total))  # the layer's inputs as affine functions of the variables
    inputs[:, :d], inputs[:, d : 2 * d] = np.eye(d), -np.eye(d)
    shift, bottom, top = x.numpy(), x.numpy() - reach, x.numpy() + reach
    start, integer = 2 * d + 1, np.zeros(total)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        z, offset = weight @ inputs, weight @ shift + bias
        z_low = weight.clip(0) @ bottom + weight.clip(max=0) @ top + bias
        z_high = weight.clip(0) @ top + weight.clip(max=0) @ bottom + bias
        n = len(bias)
        inputs, shift = np.zeros((n, total)), np.zeros(n)
        for i in range(n):
            y, s = np.zeros(total), np.zeros(total)
            y[start + i], s[start + n + i] = 1, 1
            integer[start + n + i] = 1
            add(y - z[i], offset[i], np.inf)  # y >= z
            add(y - z[i] - min(z_low[i], 0) * s, -np.inf, offset[i] - min(z_low[i], 0))  # y <= z - low (1 - s)
            add(y - max(z_high[i], 0) * s, -np.inf, 0)  # y <= high s
            inputs[i] = y
        bottom, top, start = z_low.clip(0), z_high.clip(0), start + 2 * n
    label = int(net(x[None]).argmax())
    upper = np.full(total, np.inf)
    upper[: 2 * d + 1] = reach * d
    upper[: 2 * d] = reach
    upper[integer > 0] = 1
    cost, best = np.eye(total)[2 * d], np.inf
    for other in set(range(len(biases[-1]))) - {label}:
        difference = weights[-1][label] - weights[-1][other]
        least = -(difference @ shift + biases[-1][label] - biases[-1][other])
        constraints = LinearConstraint(np.array([*rows, difference @ inputs]), [*low, -np.inf], [*high, least])
        options = {"mip_rel_gap": 0.0, "time_limit": 60}
        found = milp(cost, constraints=constraints, integrality=integer, bounds=Bounds(0, upper), options=options)
        if found.x is not None:
            best = min(best, found.fun)
    return best


def radius_by_patterns(net: nn.Sequential, x: torch.Tensor) -> float:
    """Least l2 distance from x [d] to a tie, for one hidden layer: every activation pattern, each a QP by SLSQP."""
    first, second = net[0], net[2]
    W, b = first.weight.detach().numpy(), first.bias.detach().numpy()
    V, v = second.weight.detach().numpy(), second.bias.detach().numpy()
    label, at, best = int(net(x[None]).argmax()), x.numpy(), np.inf
    for pattern in itertools.product([0.0, 1.0], repeat=len(b)):
        on = np.array(pattern)
        for other in set(range(len(v))) - {label}:
            w = (V[other] - V[label]) * on
            rows = np.vstack([(2 * on - 1)[:, None] * W, w @ W])
            least = -np.r_[(2 * on - 1) * (W @ at + b), w @ (W @ at + b) + v[other] - v[label]]
            found = minimize(
                lambda delta: delta @ delta, np.zeros(len(at)), jac=lambda delta: 2 * delta, method="SLSQP",
                constraints={"type": "ineq", "fun": lambda delta, g=rows, h=least: g @ delta - h,
                             "jac": lambda delta, g=rows: g},
                options={"ftol": 1e-15, "maxiter": 300},
            )  # fmt: skip
            if (rows @ found.x - least).min() > -1e-9:  # a tie, whatever stopped the search
                best = min(best, float(np.linalg.norm(found.x)))
    return best
