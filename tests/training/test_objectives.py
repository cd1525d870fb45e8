"""The plain objective is cross-entropy; another one is asked for every batch, with the share of training done."""

import torch
from torch import nn

from rp_tutorial.training.classify import fit_classifier
from rp_tutorial.training.objectives import cross_entropy


def data() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    images = torch.randint(256, (12, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return net, images, torch.arange(12) % 3


def test_the_plain_objective_is_cross_entropy_in_full_precision() -> None:
    net, images, labels = data()
    x = images.bfloat16() / 255
    loss = cross_entropy(net.bfloat16(), x, labels, 0.3)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(net(x).float(), labels))


def test_an_objective_sees_every_batch_and_how_much_of_the_training_is_done() -> None:
    seen = []

    def objective(net: nn.Module, x: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        seen.append((net.training, len(x), len(labels), progress))
        return cross_entropy(net, x, labels, progress)

    net, images, labels = data()
    other = fit_classifier(data()[0], images, labels, epochs=2, batch_size=6)
    fit_classifier(net, images, labels, epochs=2, batch_size=6, objective=objective)
    assert seen == [(True, 6, 6, step / 4) for step in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
