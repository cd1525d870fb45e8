"""Training a classifier of images: it learns, repeats exactly, keeps its labels under noise, and refuses bad input."""

import math

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.batches import BATCH_ROWS
from rp_tutorial.training import classify
from rp_tutorial.training.classify import fit_classifier, image_logits

CLASSES, SIDE = 4, 8
PATTERNS = torch.randint(60, 196, (CLASSES, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(9)).float()


@pytest.fixture(autouse=True)
def short_products_on_one_thread():
    with one_thread():
        yield


def images_and_labels(rows: int = 160, *, seed: int = 0, spread: float = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Each class a pattern of its own plus pixel noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (rows,), generator=generator)
    noise = torch.randn(rows, 3, SIDE, SIDE, generator=generator)
    return (PATTERNS[labels] + spread * noise).clamp(0, 255).to(torch.uint8), labels


def small_net(seed: int = 0, classes: int = CLASSES) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(8 * 16, classes),
        )


def linear_layer() -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(3 * SIDE * SIDE, 2)


def trained(**settings) -> nn.Module:
    images, labels = images_and_labels()
    return fit_classifier(small_net(), images, labels, **{"epochs": 4, "batch_size": 32, "shifts": 0} | settings)


def right_share(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    return float((image_logits(net, images).argmax(1) == labels).double().mean())


def test_training_learns_what_separates_the_classes():
    net = trained(flips=False, epochs=10)
    fresh, labels = images_and_labels(400, seed=1)
    assert right_share(net, fresh, labels) > 0.95
    assert not any(module.training for module in net.modules())


def test_same_seed_same_weights_whatever_the_global_generator_and_another_seed_gives_others():
    def weights(seed: int) -> torch.Tensor:
        return trained(seed=seed, noise_sigma=0.1, shifts=1, epochs=1)[0].weight.detach()

    torch.manual_seed(1)
    first, untouched = weights(7), torch.rand(1)
    torch.manual_seed(2)
    assert torch.equal(weights(7), first)
    assert not torch.equal(weights(8), first)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)


def test_noise_in_training_is_gaussian_of_that_size_and_is_not_clipped():
    """Black images: what the net sees is the noise alone. 40,960 x 3 values fix the deviation to 1 % with ease."""
    seen = []
    net = small_net()
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if module.training else None)
    black = torch.zeros(640, 3, SIDE, SIDE, dtype=torch.uint8)
    fit_classifier(net, black, torch.zeros(640, dtype=torch.int64), epochs=1, noise_sigma=0.25)
    noise = torch.cat(seen)
    assert noise.std().item() == pytest.approx(0.25, rel=0.01)
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert noise.unique().numel() > 0.9 * noise.numel()


def test_a_net_trained_with_noise_keeps_more_of_its_labels_under_that_noise():
    """One pixel tells the classes apart exactly but by little, twenty others by much but not always."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(2, (1000,), generator=generator)
    values = 128 + 60 * torch.randn(1000, 3 * SIDE * SIDE, generator=generator)
    values[:, 1:21] += 40 * (labels[:, None] - 0.5)
    values[:, 0] = 100 + 10 * labels
    images = values.clamp(0, 255).to(torch.uint8).view(-1, 3, SIDE, SIDE)
    noisy = to_float(images) + 0.4 * torch.randn(images.shape, generator=generator)

    def accuracy_under_noise(sigma: float) -> float:
        net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * SIDE * SIDE, affine=False), linear_layer())
        settings = {"epochs": 8, "learning_rate": 0.05, "flips": False, "shifts": 0}
        fit_classifier(net, images, labels, noise_sigma=sigma, **settings)
        assert sigma or right_share(net, images, labels) > 0.99
        return float((net(noisy).argmax(1) == labels).double().mean())

    assert accuracy_under_noise(0.4) > accuracy_under_noise(0.0) + 0.1


def test_weight_decay_shrinks_kernels_and_spares_batch_norm(monkeypatch):
    nets = []
    for decay in (5.0, 0.0):
        monkeypatch.setattr(classify, "WEIGHT_DECAY", decay)
        nets.append(trained(learning_rate=1e-2, epochs=10))
    heavy, light = nets
    assert heavy[0].weight.norm() < 0.5 * light[0].weight.norm()
    assert heavy[1].weight.norm() > 0.8 * light[1].weight.norm()


def test_logits_are_those_of_eval_mode_in_the_order_of_the_images_whatever_the_batches():
    net = small_net()
    images, _ = images_and_labels(2 * BATCH_ROWS + 7)
    found = image_logits(net.train(), images)
    with torch.no_grad():
        assert_close_to_scale(found, net.eval()(to_float(images)))


IMAGES, LABELS = images_and_labels(8)
BAD = [
    *(("images", {"images": bad}) for bad in (IMAGES.float(), IMAGES[:0], IMAGES[0], None)),
    *(("labels", {"labels": bad}) for bad in (LABELS[:7], LABELS.float(), LABELS - 5, LABELS + CLASSES, None)),
    *(("epochs", {"epochs": bad}) for bad in (0, 2.5)),
    ("batch_size", {"batch_size": 0}),
    *(("learning_rate", {"learning_rate": bad}) for bad in (0, math.nan, "fast")),
    *(("noise_sigma", {"noise_sigma": bad}) for bad in (-0.1, math.inf)),
    *(("shifts", {"shifts": bad}) for bad in (-1, 1.5)),
    ("seed", {"seed": -1}),
    ("device", {"device": "abacus"}),
]


@pytest.mark.parametrize(("argument", "bad"), BAD)
def test_bad_input_is_refused_in_one_line_and_the_net_left_as_it_was(argument, bad):
    net = small_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        fit_classifier(net, **{"images": IMAGES, "labels": LABELS} | bad)
    assert len(str(error.value).splitlines()) == 1
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
