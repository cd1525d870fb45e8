"""Frozen early layers: training moves none of their numbers, statistics included, and moves all that come later."""

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.training.classify import fit_classifier
from rp_tutorial.training.inversion_defences.frozen import freeze_early


@pytest.mark.parametrize("units", [0, 2, 3])
def test_frozen_layers_do_not_move_and_later_ones_do(units: int) -> None:
    net = freeze_early(SmallFaceNet(2, seed=0), units)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8, generator=generator)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fit_classifier(net, images, torch.arange(8) % 2, epochs=2, batch_size=4)
    frozen = tuple(["input_layer.", *(f"body.{unit}." for unit in range(units))])
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith(frozen), name


@pytest.mark.parametrize("bad", [-1, 4, 1.5, True])
def test_a_number_of_units_that_there_is_not_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match=r"^units: got "):
        freeze_early(SmallFaceNet(2), bad)
