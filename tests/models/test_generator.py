"""Generators: the published names and shapes, images in [0, 1], seeds, refusals."""

import json

import pytest
import torch
from close import assert_close_to_scale
from torch.nn import functional

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.checkpoints import load_weights
from rp_tutorial.models.generator import Generator, SmallGenerator


def latents(count, latent_dim, seed=0):
    return torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def with_random_weights(net, seed=0):
    g = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.3, 1.3, generator=g)
        elif tensor.is_floating_point():
            tensor.normal_(std=tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.5, generator=g)
    return net.eval()


def published_images(weights, z):
    """The published generator as a list of tensor operations."""

    def norm_relu(x, name):
        entries = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *entries, eps=1e-5).clamp_min(0)

    x = norm_relu(z @ weights["l1.0.weight"].T, "l1.1").reshape(-1, 512, 4, 4)
    for layer in range(3):
        x = functional.conv_transpose2d(x, weights[f"l2_5.{layer}.0.weight"], None, 2, padding=2, output_padding=1)
        x = norm_relu(x, f"l2_5.{layer}.1")
    x = functional.conv_transpose2d(x, weights["l2_5.3.weight"], weights["l2_5.3.bias"], 2, 2, output_padding=1)
    return 1 / (1 + torch.exp(-x))


def test_names_and_shapes_are_those_of_the_published_checkpoint(real_data):
    path = real_data / "published_nets" / "state_dicts.json"
    if not path.is_file():
        pytest.skip("real data are absent: no published_nets/state_dicts.json in the folder of real data")
    published, net = json.loads(path.read_text())["Generator"], Generator(100)
    assert {key: list(tensor.shape) for key, tensor in net.state_dict().items()} == published["state_dict"]
    assert sum(parameter.numel() for parameter in net.parameters()) == published["parameters"]
    assert net.eval()(latents(1, 100)).numel() == published["output_numel_per_image"]


def test_a_file_in_the_published_format_gives_the_images_of_the_published_generator(tmp_path):
    weights, z = with_random_weights(Generator(100)).state_dict(), latents(3, 100)
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}}, tmp_path / "g.tar")
    net = load_weights(Generator(100, seed=1), tmp_path / "g.tar")
    with torch.inference_mode():
        images, expected = net(z), published_images(weights, z)
    assert float(expected.std()) > 0.05
    assert_close_to_scale(images, expected)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (Generator(20), 64),
        (SmallGenerator(20), 32),
        (SmallGenerator(20, size=64), 64),
        (SmallGenerator(5, width=16), 32),
    ],
)
def test_images_are_floats_in_the_unit_interval_and_depend_on_z(net, size):
    assert net.size == size
    images = with_random_weights(net)(latents(4, net.latent_dim)).detach()
    assert images.shape == (4, 3, size, size)
    assert images.dtype == torch.float32
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert float((images[0] - images[1]).abs().max()) > 1e-3


def test_same_seed_same_weights_and_the_callers_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = (SmallGenerator(8, seed=seed).seed_layer[0].weight for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradients_reach_the_latent():
    z = latents(2, 8).requires_grad_()
    SmallGenerator(8).eval()(z).sum().backward()
    assert float(z.grad.abs().sum()) > 0


@pytest.mark.parametrize("shape", [(3, 7), (8,), (2, 8, 1)])
def test_a_z_of_another_shape_is_refused_in_one_line(shape):
    with pytest.raises(InputError, match=r"^z: got .*\[B, 8\]$"):
        SmallGenerator(8)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("argument", "bad"), [("latent_dim", 0), ("latent_dim", 2.0), ("size", 48), ("width", 4), ("seed", -1)]
)
def test_bad_settings_are_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got "):
        SmallGenerator(**{"latent_dim": 8, argument: bad})
