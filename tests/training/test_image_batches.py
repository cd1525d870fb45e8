"""Batches: every image is drawn as often as it should be, and changed only as asked."""

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.training.image_batches import (
    augmented,
    batches_an_epoch,
    check_images,
    epoch_batches,
)

IMAGES = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("rows", "batch_size", "batches"), [(10, 4, 2), (8, 4, 2), (3, 4, 1), (1, 1, 1)])
def test_an_epoch_shows_no_image_twice_and_batches_are_full_where_one_can_be(rows, batch_size, batches):
    one, other = (list(epoch_batches(rows, batch_size, generator(), epochs=epochs)) for epochs in (1, 2))
    assert len(one) == batches == batches_an_epoch(rows, batch_size)
    assert len(other) == 2 * batches
    for epoch in (one, other[:batches], other[batches:]):
        shown = torch.cat(epoch).tolist()
        assert len(set(shown)) == len(shown) == min(rows, batches * batch_size)


def test_without_flips_and_shifts_the_images_come_as_they_are():
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(augmented(IMAGES, rows, flips=False, shifts=0, generator=generator()), to_float(IMAGES[rows]))


def test_every_augmented_image_is_one_of_the_allowed_mirrors_and_shifts_of_its_own_and_all_of_them_occur():
    """Each of 18 variants misses 600 draws with probability (17/18)^600 < 1e-14."""
    edged = torch.nn.functional.pad(IMAGES[2:3].float(), (1, 1, 1, 1), mode="replicate").to(torch.uint8)
    windows = [edged[0, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    allowed = {w.contiguous().numpy().tobytes() for window in windows for w in (window, window.flip(2))}
    rows = torch.full((600,), 2)
    drawn = augmented(IMAGES, rows, flips=True, shifts=1, generator=generator())
    assert {(image * 255).round().to(torch.uint8).numpy().tobytes() for image in drawn} == allowed


def test_flips_alone_mirror_half_of_the_images():
    """600 fair coins fall outside 240..360 with probability below 1e-6."""
    rows = torch.zeros(600, dtype=torch.int64)
    drawn = augmented(IMAGES, rows, flips=True, shifts=0, generator=generator())
    mirrored = (drawn == to_float(IMAGES[0]).flip(2)).flatten(1).all(dim=1)
    assert ((drawn == to_float(IMAGES[0])).flatten(1).all(dim=1) ^ mirrored).all()
    assert 240 <= int(mirrored.sum()) <= 360


@pytest.mark.parametrize(
    "bad",
    [None, IMAGES.float(), IMAGES[0], IMAGES[:0], IMAGES[:, :1], IMAGES[..., :7], IMAGES.to(torch.int64), [[1]]],
)
def test_what_is_not_a_batch_of_square_colour_bytes_is_refused_in_one_line(bad):
    with pytest.raises(InputError, match=r"^faces: got .*allowed is a uint8 tensor") as error:
        check_images("faces", bad)
    assert len(str(error.value).splitlines()) == 1
