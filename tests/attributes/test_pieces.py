"""The pieces of a ReLU net along one coordinate agree with the net itself: any depth, number of classes, and tie."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rp_tutorial.attributes.pieces import LabelPieces, label_pieces
from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net

COLUMN = 1


def random_net(widths: list[int], *, seed: int, gain: float = 2.0, inputs: int = 4) -> nn.Sequential:
    """Linear layers and ReLUs, the logits centred, so that several classes lead somewhere."""
    generator = torch.Generator().manual_seed(seed)
    sizes, layers = [inputs, *widths], []
    for before, after in itertools.pairwise(sizes):
        layer = nn.Linear(before, after)
        with torch.no_grad():
            layer.weight.copy_(gain * torch.randn(after, before, generator=generator) / before**0.5)
            layer.bias.copy_(torch.randn(after, generator=generator))
        layers += [layer, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        net[-1].bias -= net(2 * torch.randn(500, inputs, generator=generator)).mean(dim=0)
    return net.eval()


def rows(number: int, *, seed: int = 0, inputs: int = 4) -> torch.Tensor:
    return torch.randn(number, inputs, generator=torch.Generator().manual_seed(seed))


def net_along(net: nn.Module, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Logits [B, G, K] of the net itself, in float64, at attribute values grid [G] or [B, G]."""
    probes = x.double()[:, None, :].repeat(1, grid.shape[-1], 1)
    probes[..., COLUMN] = grid
    with torch.no_grad():
        return copy.deepcopy(net).double()(probes.flatten(0, 1)).view(*probes.shape[:2], -1)


def label_on(pieces: LabelPieces, grid: torch.Tensor) -> torch.Tensor:
    """The label [B, G] that the pieces give; every point must lie in one."""
    grid = grid.expand(len(pieces), -1)
    inside = (pieces.low[..., None] <= grid[:, None]) & (grid[:, None] <= pieces.high[..., None])
    assert (inside.sum(dim=1) >= 1).all()
    return torch.where(inside, pieces.label[..., None], 99).amin(dim=1)


def assert_agree(net: nn.Module, x: torch.Tensor, pieces: LabelPieces, *, reach: float = 12.0) -> None:
    """On a dense grid and close to every boundary, wherever the net's two top logits are apart."""
    grid = torch.linspace(-reach, reach, 601, dtype=torch.float64) + 1e-4
    cuts = torch.where(pieces.low.isfinite(), pieces.low, 0.0)
    near = torch.cat([cuts - 1e-7, cuts + 1e-7], dim=1)
    for points in (grid.expand(len(x), -1), near):
        logits = net_along(net, x, points)
        top = logits.topk(2, dim=-1).values
        clear = top[..., 0] - top[..., 1] > 1e-11 * (1 + top.abs().amax(dim=-1))
        assert (label_on(pieces, points) == logits.argmax(dim=-1))[clear].all()


def assert_well_formed(pieces: LabelPieces) -> None:
    used = pieces.used
    assert (pieces.low[:, 0] == -torch.inf).all()
    assert (pieces.low < pieces.high)[used].all()
    assert ((pieces.low == torch.inf) & (pieces.high == -torch.inf) & (pieces.label == -1))[~used].all()
    following = used[:, 1:]
    assert torch.equal(pieces.high[:, :-1][following], pieces.low[:, 1:][following])
    assert (pieces.label[:, :-1] != pieces.label[:, 1:])[following].all()
    assert torch.equal(torch.where(used, pieces.high, -torch.inf).amax(dim=1), torch.full((len(pieces),), torch.inf))


WIDTHS = {
    "no hidden layer": [[2], [3], [5]],
    "one hidden layer": [[1, 2], [16, 2], [16, 3], [16, 5]],
    "two hidden layers": [[10, 8, 2], [10, 8, 5]],
    "three hidden layers": [[8, 7, 6, 2], [8, 7, 6, 3]],
    "four hidden layers": [[6, 6, 6, 6, 4]],
}


@pytest.mark.parametrize("depth", WIDTHS)
def test_pieces_have_the_label_of_the_net(depth):
    for widths in WIDTHS[depth]:
        for seed in range(3):
            net, x = random_net(widths, seed=seed), rows(12, seed=seed)
            pieces = label_pieces(net, x, attribute=COLUMN)
            assert_well_formed(pieces)
            assert_agree(net, x, pieces)


@settings(deadline=None, max_examples=25)
@given(
    widths=st.lists(st.integers(1, 9), min_size=0, max_size=3),
    classes=st.integers(2, 5),
    seed=st.integers(0, 10**6),
    gain=st.sampled_from([0.05, 1.0, 3.0]),
)
def test_pieces_have_the_label_of_any_random_net(widths, classes, seed, gain):
    net, x = random_net([*widths, classes], seed=seed, gain=gain), rows(6, seed=seed)
    pieces = label_pieces(net, x, attribute=COLUMN)
    assert_well_formed(pieces)
    assert_agree(net, x, pieces)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), hidden=st.integers(1, 6), classes=st.integers(2, 4))
def test_ties_go_to_the_lowest_index_as_argmax_has_it(data, hidden, classes):
    """Small whole weights: bends coincide, units die, logits tie on whole stretches, and floats are exact."""
    whole = st.integers(-2, 2)
    net = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    with torch.no_grad():
        for parameter in net.parameters():
            values = data.draw(st.lists(whole, min_size=parameter.numel(), max_size=parameter.numel()))
            parameter.copy_(torch.tensor(values, dtype=torch.float32).view(parameter.shape))
    x = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    pieces = label_pieces(net, x, attribute=COLUMN)
    assert_well_formed(pieces)
    # Boundaries of such nets are fractions with small denominators: these points are none of them.
    grid = torch.arange(-40, 40, dtype=torch.float64) / 4 + 0.0625 + 2**-20
    logits = net_along(net, x, grid)
    assert torch.equal(label_on(pieces, grid), logits.argmax(dim=-1))


def test_the_short_way_and_the_refinement_find_the_same_pieces():
    """One hidden layer is done by sorting; layer by layer it must come out the same."""
    for seed, classes in ((0, 2), (1, 3), (2, 6)):
        net, x = random_net([14, classes], seed=seed), rows(25, seed=seed)
        deep = nn.Sequential(*net[:2], nn.Linear(14, 14), nn.ReLU(), net[2])  # an identity that changes nothing
        with torch.no_grad():
            deep[2].weight.copy_(torch.eye(14))
            deep[2].bias.zero_()
        short, long = (label_pieces(each, x, attribute=COLUMN) for each in (net, deep))
        assert torch.equal(short.label, long.label)
        for a, b in ((short.low, long.low), (short.high, long.high)):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("widths", [[20, 3], [9, 8, 3], [6, 6, 6, 3]], ids=str)
def test_pieces_do_not_depend_on_the_chunk_size(widths):
    net, x = random_net(widths, seed=3), rows(70)
    expected = label_pieces(net, x, attribute=COLUMN)
    for chunk_mib in (1e-6, 0.02, 0.2, 1000):
        chunked = label_pieces(net, x, attribute=COLUMN, chunk_mib=chunk_mib)
        assert torch.equal(chunked.label, expected.label)
        np.testing.assert_allclose(chunked.low, expected.low, rtol=1e-12, atol=1e-12)


def test_a_net_that_reads_nothing_else_has_the_same_pieces_for_every_record():
    net = random_net([12, 3], seed=4)
    with torch.no_grad():
        net[0].weight[:, [0, 2, 3]] = 0
    x = rows(30)
    pieces = label_pieces(net, x, attribute=COLUMN)
    assert len(pieces) == 30
    assert (pieces.low == pieces.low[0]).all()
    assert_agree(net, x, pieces)


def test_the_attributes_own_value_is_not_read():
    net, x = random_net([12, 3], seed=5), rows(5)
    moved = x.clone()
    moved[:, COLUMN] = 1e6
    before, after = (label_pieces(net, each, attribute=COLUMN) for each in (x, moved))
    assert torch.equal(before.low, after.low)


def test_a_net_that_does_not_read_the_attribute_has_one_piece():
    net = random_net([12, 3], seed=6)
    with torch.no_grad():
        net[0].weight[:, COLUMN] = 0
        expected = net(rows(9)).argmax(dim=1)
    pieces = label_pieces(net, rows(9), attribute=COLUMN)
    assert pieces.low.shape == (9, 1)
    assert torch.equal(pieces.label[:, 0], expected)


def test_logits_that_coincide_leave_the_lowest_class():
    net = random_net([12, 3], seed=7)
    with torch.no_grad():
        net[2].weight.copy_(net[2].weight[:1].expand(3, -1))
        net[2].bias.fill_(1.5)
    pieces = label_pieces(net, rows(9), attribute=COLUMN)
    assert (pieces.label == 0).all()
    assert pieces.low.shape == (9, 1)


def test_where_every_unit_is_dead_the_tie_is_exact():
    """relu(z - 2.1) and relu(-z - 0.7) against 0: class 0 between -0.7 and 2.1, though no sum there is rounded."""
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net[0].bias.copy_(torch.tensor([-2.1, -0.7]))
        net[2].weight.copy_(torch.tensor([[0.0, 0.0], [0.3, 0.1]]))
        net[2].bias.fill_(0.1)
    pieces = label_pieces(net, torch.zeros(1, 1), attribute=0)
    assert pieces.label.tolist() == [[1, 0, 1]]
    np.testing.assert_allclose(pieces.low[0, 1:], [-0.7, 2.1], rtol=1e-7)  # the biases are float32


def test_bends_further_out_than_any_number_change_nothing():
    net = random_net([8, 2], seed=8)
    with torch.no_grad():
        net[0].weight[:4, COLUMN] = torch.tensor([1e-38, -1e-38, 1e-44, -1e-44])
    x = rows(8)
    pieces = label_pieces(net, x, attribute=COLUMN)
    assert_well_formed(pieces)
    assert_agree(net, x, pieces)


def test_batch_norm_dropout_and_nested_parts_are_read_as_the_net_runs_them():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.5),
        nn.Sequential(nn.Linear(9, 7, bias=False), nn.Identity(), nn.BatchNorm1d(7, affine=False)),
        nn.ReLU(), nn.Linear(7, 5), nn.Linear(5, 3),
    )  # fmt: skip
    for _ in range(20):
        net(torch.randn(64, 4) * 2 + 1)
    net.eval()
    x = rows(9)
    assert_agree(net, x, label_pieces(net, x, attribute=COLUMN))


@pytest.mark.parametrize("at", ["front", "back"])
def test_a_relu_at_either_end_is_read_too(at):
    net = random_net([9, 3], seed=9)
    net = nn.Sequential(nn.ReLU(), *net) if at == "front" else nn.Sequential(*net, nn.ReLU())
    x = rows(9)
    assert_agree(net, x, label_pieces(net, x, attribute=COLUMN))


def test_a_point_belongs_to_the_piece_around_it():
    net, x = random_net([16, 3], seed=1), rows(40)
    pieces = label_pieces(net, x, attribute=COLUMN)
    z = x[:, COLUMN].double()
    low, high, label = pieces.around(z)
    assert ((low <= z) & (z <= high)).all()
    with torch.no_grad():
        assert torch.equal(label, net(x).argmax(dim=1))
    gap = LabelPieces(torch.tensor([[-torch.inf, 2.0]]), torch.tensor([[1.0, torch.inf]]), torch.tensor([[0, 1]]))
    assert [float(part) for part in gap.around(torch.tensor([1.5]))] == [1.5, 1.5, -1]


def test_no_record_gives_no_pieces():
    for widths in ([5, 2], [5, 4, 2]):
        assert label_pieces(random_net(widths, seed=0), rows(0), attribute=COLUMN).low.shape[0] == 0


def test_records_are_put_together_in_order():
    net, x = random_net([16, 3], seed=2), rows(20)
    whole = label_pieces(net, x, attribute=COLUMN)
    parts = LabelPieces.together([label_pieces(net, part, attribute=COLUMN) for part in x.split(7)])
    assert torch.equal(parts.label, whole.label)
    np.testing.assert_allclose(parts.low, whole.low, rtol=1e-12)
    picked = whole.rows(torch.tensor([3, 1]))
    assert torch.equal(picked.low, whole.low[[3, 1]])


class Odd(nn.Linear):
    """A subclass may have a forward of its own."""


BAD_NETS = [
    nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)),
    nn.Sequential(Odd(4, 2)),
    nn.Sequential(nn.Linear(4, 1)),
    nn.Sequential(nn.ReLU()),
    nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)).train(),
    nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)).eval(),
]


@pytest.mark.parametrize("net", BAD_NETS, ids=lambda net: type(net[0]).__name__)
def test_a_net_that_cannot_be_read_is_refused(net):
    with pytest.raises(InputError, match=r"^net: got ") as error:
        label_pieces(net, rows(2), attribute=COLUMN)
    assert len(str(error.value).splitlines()) == 1


def test_bad_input_is_refused_in_one_line():
    net = two_layer_net(4)
    for argument, call in (
        ("attribute", lambda: label_pieces(net, rows(2), attribute=4)),
        ("attribute", lambda: label_pieces(net, rows(2), attribute=-1)),
        ("x", lambda: label_pieces(net, rows(2, inputs=5), attribute=0)),
        ("x", lambda: label_pieces(net, rows(2) * torch.nan, attribute=0)),
        ("chunk_mib", lambda: label_pieces(net, rows(2), attribute=0, chunk_mib=0)),
    ):
        with pytest.raises(InputError, match=rf"^{argument}: got "):
            call()
