"""Scattering: against the same wavelets written down and convolved in space, and what is invariant."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.scattering import Scattering

SIZE = 16


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def wavelet_in_space(scale: int, angle: float) -> np.ndarray:
    """The Morlet wavelet by its formula: a wave less what makes its mean 0, under a Gaussian, on periodic pixels."""
    width = 0.8 * 2**scale
    frequency, slant = 3 * math.pi / 4 / 2**scale, 0.5
    wave, bell = np.zeros((SIZE, SIZE), complex), np.zeros((SIZE, SIZE))
    for y in range(-3 * SIZE, 3 * SIZE):
        for x in range(-3 * SIZE, 3 * SIZE):
            along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
            weight = math.exp(-(along**2 + (slant * across) ** 2) / (2 * width**2)) * slant / (2 * math.pi * width**2)
            wave[y % SIZE, x % SIZE] += weight * cmath.exp(1j * frequency * along)
            bell[y % SIZE, x % SIZE] += weight
    return wave - wave.sum() / bell.sum() * bell


def modulus(image: np.ndarray, wavelet: np.ndarray) -> np.ndarray:
    """|image * wavelet|, one pixel of the wavelet at a time."""
    shifts = np.argwhere(np.abs(wavelet) > 0)
    return np.abs(sum(wavelet[y, x] * np.roll(image, (y, x), (0, 1)) for y, x in shifts))


def averaged(image: np.ndarray, side: int) -> np.ndarray:
    return image.reshape(side, SIZE // side, side, SIZE // side).mean(axis=(1, 3))


def test_it_is_the_cascade_of_wavelets_and_moduli_computed_in_space() -> None:
    directions, side = 2, 4
    features = Scattering(SIZE, scales=2, directions=directions, side=side)
    found = features(images(1))[0].numpy().reshape(3, -1, side, side)
    bank = {(j, k): wavelet_in_space(j, math.pi * k / directions) for j in range(2) for k in range(directions)}
    for channel, paths in zip(images(1)[0].double().numpy(), found, strict=True):
        first = {place: modulus(channel, wavelet) for place, wavelet in bank.items()}
        second = [modulus(first[0, k], bank[1, m]) for k in range(directions) for m in range(directions)]
        expected = [averaged(map_, side) for map_ in (channel, *first.values(), *second)]
        np.testing.assert_allclose(paths, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_a_shift_by_whole_fields_moves_the_averages_and_changes_nothing_else() -> None:
    features = Scattering(SIZE, side=4)
    moved = features(images().roll((4, 8), (2, 3)))
    torch.testing.assert_close(moved, features(images()).roll((1, 2), (2, 3)))


def test_light_without_structure_is_seen_by_the_average_alone() -> None:
    found = Scattering(SIZE, scales=1, directions=2)(torch.full((1, 1, SIZE, SIZE), 0.5))
    assert found[0, 0].allclose(torch.tensor(0.5))
    assert float(found[0, 1:].abs().max()) < 1e-6


def test_numbers_of_paths_and_no_parameters() -> None:
    features = Scattering(SIZE, scales=3, directions=4, side=2)
    assert features(images()).shape == (2, 3 * (1 + 3 * 4 + 16 * 3), 2, 2)
    assert not list(features.parameters())
    assert not features.state_dict()


@pytest.mark.parametrize("bad", [{"size": 0}, {"scales": 0}, {"directions": 0}, {"side": 0}, {"side": 5}])
def test_a_bad_number_is_refused(bad: dict) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        Scattering(**{"size": SIZE} | bad)
