"""Slopes and multipliers only ever improve what a node proves, and never prove too much."""

import pytest
import torch
from random_nets import NORMS, random_inputs, random_net

from rp_tutorial.verification.bounds import crown_radius
from rp_tutorial.verification.complete import exact_radius
from rp_tutorial.verification.dual import tighten
from rp_tutorial.verification.nodes import Nodes
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import length


@pytest.mark.parametrize("norm", NORMS)
def test_a_root_node_proves_more_than_crown_and_less_than_exact(norm):
    net, x = random_net(1, (5, 12, 2)), random_inputs(2, 12, 5)
    exact, crown = exact_radius(net, x, norm=norm), torch.from_numpy(crown_radius(net, x, norm=norm))
    plain, blank = read_net(net), torch.zeros(12, 12, dtype=torch.float64)
    label = plain.labels(x)
    nodes = Nodes(torch.arange(12), 1 - label, crown.clone(), blank.clone(), blank - 1, blank.clone())
    radius = 1.1 * crown
    lowest, _, (low, high) = tighten(plain, x, label, radius, nodes, norm)
    assert (nodes.reach >= crown).all()
    assert (nodes.reach <= torch.from_numpy(exact.upper)).all()
    assert (nodes.reach > crown + 1e-6).any()
    assert (length(lowest - x, norm) <= radius * (1 + 1e-12)).all()
    assert (low <= high).all()
    assert (nodes.slope >= 0).all()
    assert (nodes.slope <= 1).all()


def test_a_node_whose_signs_no_point_of_the_ball_has_is_proven_at_once():
    net, x = read_net(random_net(1, (3, 6, 2))), random_inputs(2, 1, 3)
    blank = torch.zeros(1, 6, dtype=torch.float64)
    against = -net.preactivations(x)[0].sign()
    nodes = Nodes(torch.zeros(1, dtype=torch.int64), 1 - net.labels(x), blank[:, 0], against, blank - 1, blank)
    radius = torch.tensor([1e-6], dtype=torch.float64)
    tighten(net, x, net.labels(x), radius, nodes, "l2")
    assert torch.equal(nodes.reach, radius)
