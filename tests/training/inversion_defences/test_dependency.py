"""Dependence of kernel matrices: its definition by sums over pairs, 0 where rows are independent, and the objective."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.training.inversion_defences.dependency import (
    RIDGE,
    BilateralDependency,
    dependence,
    gaussian_kernel,
    normalised,
)


def rows(count: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def centred_by_hand(kernel: np.ndarray) -> np.ndarray:
    """<phi(x_i) - mean, phi(x_j) - mean> from the kernel, one pair after the other."""
    n = len(kernel)
    centred = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            means = sum(kernel[i, k] for k in range(n)) / n + sum(kernel[k, j] for k in range(n)) / n
            centred[i, j] = kernel[i, j] - means + sum(kernel[k, m] for k in range(n) for m in range(n)) / n**2
    return centred


def test_the_kernel_is_the_gaussian_of_every_pair() -> None:
    x = 3 * rows(6, 2, 4)
    wanted = [[math.exp(-float((a - b).square().sum()) / (2 * 25 * 8)) for b in x] for a in x]
    torch.testing.assert_close(
        gaussian_kernel(x).double(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-4, atol=0
    )


def test_dependence_is_its_definition_by_sums_over_pairs_and_an_inverse() -> None:
    kernels = [rows(7, 3, seed=seed) for seed in (0, 1)]
    kernels = [(x @ x.T).numpy() for x in kernels]
    parts = []
    for kernel in kernels:
        centred = centred_by_hand(kernel)
        parts.append(centred @ np.linalg.inv(centred + RIDGE * 7 * np.eye(7)))
    wanted = sum(parts[0][i, j] * parts[1][j, i] for i in range(7) for j in range(7))
    assert float(dependence(*map(torch.from_numpy, kernels))) == pytest.approx(wanted, rel=1e-8)


def test_it_is_nothing_where_every_value_meets_every_other_and_full_where_they_are_the_same() -> None:
    """A batch in which each of 4 values stands beside each of 5 others: independent, not merely uncorrelated."""
    ours, theirs = rows(4, 3).repeat_interleave(5, dim=0), rows(5, 2, seed=1).repeat(4, 1)
    k, l = (torch.exp(-torch.cdist(x, x).square()) for x in (ours, theirs))  # noqa: E741
    assert abs(float(dependence(k, l))) < 1e-9
    assert float(dependence(k, k)) == pytest.approx(3, rel=1e-2), "as many directions as values, less their mean"


def test_a_map_that_can_be_undone_depends_more_than_noise() -> None:
    x = rows(40, 2)
    near, far = gaussian_kernel(x @ rows(2, 2, seed=3)), gaussian_kernel(rows(40, 2, seed=4))
    assert dependence(gaussian_kernel(x), near) > 2 * dependence(gaussian_kernel(x), far)


def test_the_kernel_of_labels_is_linear_in_their_one_hot_vectors() -> None:
    labels = torch.arange(12) % 4
    hot = nn.functional.one_hot(labels).float()
    torch.testing.assert_close(normalised((labels[:, None] == labels).float()), normalised(hot @ hot.T))


def test_the_objective_is_cross_entropy_and_the_dependences_of_all_hidden_layers() -> None:
    net, labels = SmallFaceNet(4, seed=0).eval(), torch.arange(12) % 4
    x = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    stem, body, head = net.ir_parts()
    units = [stem(x)]
    for part in (*body, head):
        units.append(part(units[-1]))
    names = (labels[:, None] == labels).float()
    wanted = nn.functional.cross_entropy(net(x), labels)
    for layer in map(gaussian_kernel, units[1:]):
        wanted = wanted + 0.3 * dependence(gaussian_kernel(x), layer) - 0.2 * dependence(layer, names)
    loss = BilateralDependency(on_images=0.3, on_labels=0.2)(net, x, labels, 0.5)
    torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=0)
    loss.backward()
    assert all(bool(p.grad.isfinite().all()) and bool(p.grad.any()) for p in net.input_layer.parameters())


@pytest.mark.parametrize("bad", [{"on_images": -1.0, "on_labels": 0.1}, {"on_images": 0.1, "on_labels": math.nan}])
def test_a_weight_below_nothing_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"^on_"):
        BilateralDependency(**bad)
