"""No open node is lost, doubled or taken before one with less reach."""

import torch

from rp_tutorial.verification.nodes import Nodes, OpenNodes, join


def some_nodes(reach, owner=0):
    n = len(reach)
    blank = torch.zeros(n, 3, dtype=torch.float64)
    reach = torch.tensor(reach, dtype=torch.float64)
    return Nodes(torch.full((n,), owner), torch.ones(n, dtype=torch.int64), reach, reach[:, None] + blank, blank, blank)


def test_nodes_come_back_in_order_of_reach_with_what_they_carry():
    waiting, added = OpenNodes(some_nodes([0.5])), [0.5]
    for block in ([3.0, 1.0], [2.0, 0.1, 0.2, 7.0, 8.0], [4.0]):
        waiting.add(some_nodes(block))
        added += block
    taken = []
    while len(waiting):
        nodes = waiting.take(2)
        assert torch.equal(nodes.signs[:, 0], nodes.reach)
        taken += sorted(nodes.reach.tolist())
    assert taken == sorted(added)


def test_freed_rows_are_used_again():
    waiting = OpenNodes(some_nodes([1.0, 2.0]))
    for k in range(100):
        waiting.take(1)
        waiting.add(some_nodes([2.0 + k]))
        assert len(waiting) == 2
    assert len(waiting._key) == 2


def test_drop_removes_exactly_the_useless_ones():
    waiting = OpenNodes(join(some_nodes([1.0, 2.0], owner=0), some_nodes([3.0, 4.0], owner=1)))
    owner, reach = waiting.drop(lambda owner, reach: (owner == 1) | (reach > 1.5))
    assert (owner.tolist(), reach.tolist()) == ([0, 1, 1], [2.0, 3.0, 4.0])
    assert waiting.take(5).reach.tolist() == [1.0]
