"""Procedural faces: the same for the same seed, one image for one row, every factor visible, people kept apart."""

import pytest
import torch
from torch import Tensor

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces import drawn_pixels as face_drawing
from rp_tutorial.data.faces.drawn import (
    IDENTITY,
    LIMIT,
    NUISANCE,
    drawn_people,
    render,
    sample_identities,
    sample_nuisance,
)
from rp_tutorial.data.faces.files import Limits
from rp_tutorial.data.faces.sources import load_faces

SMALL = {"identities": 5, "train_images": 4, "test_images": 2, "public_images": 12}


def pair(n: int) -> tuple[Tensor, Tensor]:
    return sample_identities(n, seed=1), sample_nuisance(n, seed=2)


def plain(n: int = 1) -> tuple[Tensor, Tensor]:
    """The middle person in the middle photograph, n times, with the noise turned down."""
    nuisance = torch.zeros(n, len(NUISANCE))
    nuisance[:, list(NUISANCE).index("noise_level")] = -LIMIT
    return torch.zeros(n, len(IDENTITY)), nuisance


@pytest.mark.parametrize("size", [32, 64])
def test_images_are_bytes_of_the_asked_size_and_use_the_range(size):
    images = render(*pair(40), size=size)
    assert images.dtype == torch.uint8
    assert images.shape == (40, 3, size, size)
    assert int(images.min()) < 20
    assert int(images.max()) > 235
    assert (images.float().std(dim=(1, 2, 3)) > 10).all()  # no blank image


def test_factors_are_standardised_bounded_and_seeded():
    people, photographs = pair(3000)
    for factors, table in ((people, IDENTITY), (photographs, NUISANCE)):
        assert factors.dtype == torch.float32
        assert factors.shape == (3000, len(table))
        assert factors.abs().max() <= LIMIT
        assert factors.mean(dim=0).abs().max() < 0.12  # 5.7 standard errors at the largest spread, uniform on [-2, 2]
    assert torch.equal(people, sample_identities(3000, seed=1))
    assert not torch.equal(people, sample_identities(3000, seed=2))


def test_the_place_of_the_pixel_noise_is_uniform():
    places = sample_nuisance(4000, seed=3)[:, -1].double() / (2 * LIMIT) + 0.5
    distance = (places.sort().values - torch.arange(4000) / 4000).abs().max()
    assert distance < 2.3 / 4000**0.5  # Kolmogorov's bound; passed by chance with probability 5e-5


def test_an_image_does_not_depend_on_the_batch_the_chunk_or_the_threads(monkeypatch):
    people, photographs = pair(37)
    together = render(people, photographs, size=32)
    assert torch.equal(render(people, photographs, size=32), together)
    alone = [render(people[b : b + 1], photographs[b : b + 1], size=32) for b in range(37)]
    assert torch.equal(torch.cat(alone), together)
    threads = torch.get_num_threads()
    for number, rows in ((1, 7), (2, 3)):
        monkeypatch.setitem(face_drawing.CHUNK_PIXELS, "cpu", rows * 32**2)
        torch.set_num_threads(number)
        try:
            assert torch.equal(render(people, photographs, size=32), together)
            assert torch.get_num_threads() == number  # the caller's own setting is put back
        finally:
            torch.set_num_threads(threads)


def test_an_empty_batch_gives_no_images():
    people, photographs = pair(1)
    assert render(people[:0], photographs[:0], size=32).shape == (0, 3, 32, 32)


def sweep(table: dict, name: str, size: int) -> Tensor:
    """Images of the middle face with one factor at both ends, among settings in which every factor can show."""
    person, photograph = plain(2)
    shown = {
        "glasses": 1.5,
        "mole_strength": 2.0,
        "mole_u": 1.0,
        "noise_level": 0.0,
        "mouth_open": 1.0,
        "ground_change": 1.0,
    }
    for factor, value in shown.items():
        (person if factor in IDENTITY else photograph)[:, list(_table(factor)).index(factor)] = value
    target = person if table is IDENTITY else photograph
    target[:, list(table).index(name)] = torch.tensor([-LIMIT, LIMIT])
    return render(person, photograph, size=size).float()


def _table(factor: str) -> dict:
    return IDENTITY if factor in IDENTITY else NUISANCE


@pytest.mark.parametrize("size", [32, 64])
def test_every_factor_changes_pixels_visibly(size):
    for table in (IDENTITY, NUISANCE):
        for name in table:
            low, high = sweep(table, name, size)
            assert (low - high).abs().amax() >= 12, name  # of 255


def test_a_picture_moves_little_when_a_person_changes_little():
    """No jumps: of a tenth of the step a tenth of the change is left, twice that where a slope is steep, and rounding.

    A hundredth of a standard deviation in all factors moves the sharpest edge by 10 to 14 levels of 255 (5 seeds).
    """
    people, photographs = pair(200)
    before, step = render(people, photographs, size=32).float(), sample_identities(200, seed=5)
    little, less = ((render(people + t * step, photographs, size=32) - before).abs() for t in (0.01, 0.001))
    assert little.max() <= 20
    assert little.mean() < 0.3
    assert less.max() <= 1 + 0.2 * little.max()


def test_two_images_of_a_person_are_closer_than_images_of_two():
    people = sample_identities(60, seed=4)
    one, other = (render(people, sample_nuisance(60, seed=seed), size=32).flatten(1).float() for seed in (5, 6))
    distances = torch.cdist(one, other)
    same, different = distances.diag(), distances[~torch.eye(60, dtype=torch.bool)]
    assert same.mean() < different.mean()
    assert (same[:, None] < distances).float().mean() > 0.55  # a half by chance


def test_the_same_person_in_the_same_photograph_differs_in_noise_alone():
    person, photograph = plain(2)
    photograph[:, list(NUISANCE).index("noise_level")] = 0.0
    photograph[1, -1] = 1.0
    first, second = render(person, photograph, size=32).float()
    assert not torch.equal(first, second)
    assert (first - second).std() == pytest.approx(4 * 2**0.5, rel=0.1)  # sigma is 4 of 255 in the middle


def test_the_task_has_the_promised_shapes_and_labels():
    task = load_faces("synthetic", size=16, **SMALL)
    assert task.x_train.shape == (20, 3, 16, 16)
    assert task.x_test.shape == (10, 3, 16, 16)
    assert task.public.shape == (12, 3, 16, 16)
    assert task.y_train.dtype == task.y_test.dtype == torch.int64
    assert task.y_train.bincount().tolist() == [4] * 5
    assert task.y_test.bincount().tolist() == [2] * 5
    assert (task.num_classes, task.size, task.source, task.real_people) == (5, 16, "synthetic", False)
    private, public = drawn_people(Limits(**SMALL), seed=0)
    assert private.shape == (5, len(IDENTITY))
    assert public.shape == (12, len(IDENTITY))


def test_the_task_depends_on_its_seed_alone():
    first, again, other = (load_faces("synthetic", size=16, **SMALL, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x_train, again.x_train)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not torch.equal(*(drawn_people(Limits(**SMALL), seed=seed)[0] for seed in (0, 1)))


def test_no_person_is_both_private_and_public_and_no_image_is_in_two_sets():
    many = {"identities": 40, "train_images": 3, "test_images": 2, "public_images": 400}
    for seed in range(3):
        assert torch.cdist(*drawn_people(Limits(**many), seed=seed)).min() > 1.0
        task = load_faces("synthetic", size=16, **many, seed=seed)
        images = torch.cat([task.x_train, task.x_test, task.public]).flatten(1)
        assert len(images.unique(dim=0)) == len(images)


@pytest.mark.parametrize(
    ("people", "photographs", "size", "word"),
    [
        (torch.zeros(2, 3), torch.zeros(2, len(NUISANCE)), 32, "identity"),
        ([[0.0]], torch.zeros(1, len(NUISANCE)), 32, "identity"),
        (torch.full((1, len(IDENTITY)), torch.nan), torch.zeros(1, len(NUISANCE)), 32, "identity"),
        (torch.zeros(2, len(IDENTITY)), torch.zeros(3, len(NUISANCE)), 32, "nuisance"),
        (torch.zeros(2, len(IDENTITY)), torch.zeros(len(NUISANCE)), 32, "nuisance"),
        (torch.zeros(1, len(IDENTITY)), torch.zeros(1, len(NUISANCE)), 33, "size"),
        (torch.zeros(1, len(IDENTITY)), torch.zeros(1, len(NUISANCE)), 12, "size"),
        (torch.zeros(1, len(IDENTITY)), torch.zeros(1, len(NUISANCE)), 32.0, "size"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_line(people, photographs, size, word):
    with pytest.raises(InputError, match=f"^{word}: got ") as caught:
        render(people, photographs, size=size)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["size", "identities", "train_images", "test_images", "public_images", "seed"])
def test_a_task_of_a_wrong_count_is_refused_by_name(name):
    with pytest.raises(InputError, match=f"^{name}: got -1"):
        load_faces("synthetic", **({"size": 16} | SMALL | {name: -1}))


def test_samples_of_a_wrong_count_or_seed_are_refused():
    with pytest.raises(InputError, match=r"^n: got 0"):
        sample_identities(0, seed=0)
    with pytest.raises(InputError, match=r"^seed: got -1"):
        sample_nuisance(1, seed=-1)
