"""Public pretraining: photographs change and people do not, nothing private comes in, and runs repeat."""

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.whitened_head import WhitenedHead
from rp_tutorial.training import pretrain
from rp_tutorial.training.pretrain import changed, fit_exemplars, image_features


@pytest.fixture(autouse=True)
def short_products_on_one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def public() -> torch.Tensor:
    task = load_faces("synthetic", size=32, identities=2, train_images=1, test_images=1, public_images=256, seed=4)
    return task.public


def net_with_head(classes: int = 3) -> SmallFaceNet:
    net = SmallFaceNet(classes, size=32, seed=0)
    net.fc_layer = WhitenedHead(128, classes, kept=16)
    return net


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_an_image_seen_twice_is_changed_twice_and_stays_itself():
    """Against other images: the same one, changed, correlates with itself far more than with them."""
    images = to_float(
        load_faces("synthetic", size=32, identities=2, train_images=1, test_images=1, public_images=200).public
    )
    first, second = changed(images, generator(1)), changed(images, generator(2))
    assert first.shape == images.shape
    assert not torch.equal(first, second)
    middle = [(x[:, :, 8:24, 8:24] - x[:, :, 8:24, 8:24].mean(dim=0)).flatten(1) for x in (first, second)]
    likeness = nn.functional.normalize(middle[0]) @ nn.functional.normalize(middle[1]).T
    assert float(likeness.diag().mean()) > float(likeness.mean()) + 0.2


def test_the_background_is_another_image_and_the_middle_is_not(monkeypatch):
    for name in ("LIGHT", "SLOPE", "COLOUR", "OFFSET", "PIXEL_NOISE", "SHIFT", "ROTATION", "SCALE"):
        monkeypatch.setattr(pretrain, name, 0.0)
    plain = torch.linspace(0, 1, 50)[:, None, None, None].expand(50, 3, 32, 32)
    shown = changed(plain.clone(), generator())
    torch.testing.assert_close(shown[:, :, 16, 16], plain[:, :, 16, 16], atol=1e-2, rtol=0)
    others = (shown[:, 0, 0, 0] - plain[:, 0, 0, 0]).abs() > 0.01
    assert int(others.sum()) > 40
    assert int(torch.unique(shown[:, 0, 0, 0].round(decimals=2)).numel()) > 30


def test_without_noise_and_without_changes_an_image_is_itself_or_its_mirror_image(monkeypatch):
    for name in ("LIGHT", "SLOPE", "COLOUR", "OFFSET", "PIXEL_NOISE", "SHIFT", "ROTATION", "SCALE"):
        monkeypatch.setattr(pretrain, name, 0.0)
    for name in ("FACE_WIDTH", "FACE_HEIGHT", "FACE_EDGE"):
        monkeypatch.setattr(pretrain, name, 1e3)
    images = torch.rand(40, 3, 32, 32, generator=generator())
    shown = changed(images, generator(1))
    same = [bool(torch.allclose(a, b, atol=1e-3)) for a, b in zip(shown, images, strict=True)]
    mirrored = [bool(torch.allclose(a, b.flip(-1), atol=1e-3)) for a, b in zip(shown, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 5 < sum(same) < 35


def test_features_learn_to_tell_public_people_apart_and_the_head_whitens_them(public):
    net = fit_exemplars(net_with_head(), public, epochs=12, batch_size=64)
    assert isinstance(net.fc_layer, WhitenedHead)
    assert not net.fc_layer.scores.weight.any()  # no private class is known yet
    assert not any(module.training for module in net.modules())

    def recognised(net: nn.Module) -> float:
        """How often the nearest of 256 features of another photograph is that of the same person."""
        with torch.inference_mode():
            shown = [net.fc_layer.unit(net.features(changed(to_float(public), generator(seed)))) for seed in (8, 9)]
        return float(((shown[0] @ shown[1].T).argmax(1) == torch.arange(len(public))).float().mean())

    untrained = net_with_head().eval()
    untrained.fc_layer.whiten(image_features(untrained, public))
    assert recognised(net) > 2 * recognised(untrained)


def test_same_seed_same_features_and_the_global_generator_is_left_alone(public):
    def weights(seed: int) -> torch.Tensor:
        return fit_exemplars(net_with_head(), public[:64], epochs=1, batch_size=32, seed=seed).fc_layer.directions

    torch.manual_seed(1)
    first, untouched = weights(5), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"seed": -1}, {"device": "abacus"}]
)
def test_bad_input_is_one_line_that_names_the_argument(public, bad):
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got ") as caught:
        fit_exemplars(net_with_head(), public[:64], **{"epochs": 1} | bad)
    assert "\n" not in str(caught.value)


def test_images_that_are_not_bytes_and_nets_without_that_head_are_refused(public):
    with pytest.raises(InputError, match=r"^public: got "):
        fit_exemplars(net_with_head(), to_float(public))
    with pytest.raises(InputError, match=r"^net: got 'a last layer Linear'"):
        fit_exemplars(SmallFaceNet(3, size=32, seed=0), public)
