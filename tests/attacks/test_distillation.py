"""Distillation: what is asked, what is paid, what a student may know, and that copies are copies."""

import pytest
import torch
from torch import nn

from rp_tutorial.attacks.distillation import ask, distil, query_images, train_student
from rp_tutorial.attacks.inversion.queries import strict_plurality
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import PCAPrior
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.training.classify import image_logits

CLASSES = 4


class Brightness(nn.Module):
    """A teacher that is easy to learn: which of four quarters of the image is the brightest."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x.mean(dim=1), 2).flatten(1)


class Silent(LabelOracle):
    """Abstains on dark images, and asks nobody."""

    def _release(self, x):
        self.forward_passes += 3 * len(x)
        return torch.where(x.mean(dim=(1, 2, 3)) < 0.5, ABSTAIN, 1)


def images(amount, seed=0):
    """Blurred noise: bytes whose quarters differ."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(amount, 3, 4, 4, generator=generator)
    return (nn.functional.interpolate(coarse, size=32, mode="bilinear") * 255).to(torch.uint8)


def prior(seed=0):
    made = PCAPrior(20)
    generator = torch.Generator().manual_seed(seed)
    made.components.copy_(torch.linalg.qr(torch.randn(3072, 20, generator=generator))[0].T.reshape(20, 3, 32, 32))
    made.deviations.fill_(1.0)  # too small to clip
    return made


def teacher():
    return PlainOracle(Brightness(), num_classes=CLASSES)


def weights(net):
    return torch.cat([value.flatten().double() for value in net.state_dict().values()])


@pytest.mark.parametrize("budgets", [(1, 30, 99, 100), (70, 3000, 4500), (150, 201, 250, 5000)])
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(budgets):
    public = images(100) if budgets[-1] != 4500 else images(2100)
    largest = query_images(public, budgets[-1], prior=prior(), copies=1, seed=3)
    for budget in budgets:
        asked = query_images(public, budget, prior=prior(), copies=1, seed=3)
        assert (asked.dtype, len(asked)) == (torch.uint8, budget)
        assert torch.equal(asked, largest[:budget])


def test_public_images_come_first_then_their_copies_then_the_prior():
    public = images(100)
    asked = query_images(public, 1000, prior=prior(), copies=2, seed=1)
    own = {image.numpy().tobytes() for image in public}
    assert {image.numpy().tobytes() for image in asked[:100]} == own
    order = [next(i for i in range(100) if torch.equal(public[i], image)) for image in asked[:100]]
    assert order != sorted(order)
    for copy in (asked[100:200], asked[200:300]):
        for image, row in zip(copy, order, strict=True):
            middle = image[:, 4:28, 4:28]
            views = [public[row], public[row].flip(-1)]
            windows = [v[:, 4 + i : 28 + i, 4 + j : 28 + j] for v in views for i in range(-2, 3) for j in range(-2, 3)]
            assert any(torch.equal(middle, window) for window in windows), "a copy is not a moved public image"
    residual = to_float(asked[300:]) - prior().mean
    made = torch.einsum("bchw,dchw->bd", residual, prior().components)
    back = torch.einsum("bd,dchw->bchw", made, prior().components)
    assert float((residual - back).abs().max()) < 3 / 255, "a sample is not of the prior"
    assert len({image.numpy().tobytes() for image in asked[300:]}) == 700


def test_what_is_asked_follows_from_the_seed_and_ignores_the_global_generator():
    public = images(60)
    torch.manual_seed(1)
    one = query_images(public, 300, prior=prior(), seed=5)
    torch.manual_seed(2)
    assert torch.equal(one, query_images(public, 300, prior=prior(), seed=5))
    assert not torch.equal(one, query_images(public, 300, prior=prior(), seed=6))


def test_without_a_prior_the_budget_ends_with_the_copies():
    public = images(60)
    assert len(query_images(public, 180, copies=2, seed=0)) == 180
    with pytest.raises(InputError, match="budget: got 181, allowed is at most 180 without a prior"):
        query_images(public, 181, copies=2, seed=0)


def test_every_repeat_is_a_query_and_a_forward_pass():
    asked = images(70)
    oracle = RandomizedResponse(teacher(), epsilon=1.0, seed=2)
    answers = ask(oracle, asked, repeats=5)
    assert (answers.queries, answers.forward_passes, oracle.queries) == (350, 350, 350)
    again = RandomizedResponse(teacher(), epsilon=1.0, seed=2)
    released = torch.stack([again(to_float(asked)) for _ in range(5)])
    assert torch.equal(answers.labels, strict_plurality(released, CLASSES))


def test_what_was_not_answered_is_paid_for_and_dropped():
    """The student is the one of the answered images alone."""
    asked, oracle = images(200), Silent(num_classes=CLASSES)
    student, other = SmallFaceNet(CLASSES, seed=3), SmallFaceNet(CLASSES, seed=3)
    found = distil(oracle, asked, student, images_seen=256, seed=4)
    silent = ask(Silent(num_classes=CLASSES), asked).labels == ABSTAIN
    assert (found.queries, found.forward_passes) == (200, 600)
    assert found.abstained == int(silent.sum()) > 0
    assert found.released == 200 - found.abstained > 0
    train_student(other, asked[~silent], torch.ones(found.released, dtype=torch.int64), images_seen=256, seed=4)
    assert torch.equal(weights(student), weights(other))


@pytest.mark.parametrize("amount", [1, 63, 64, 65, 100, 129, 500, 1000])
def test_effort_does_not_depend_on_the_number_of_labels(amount):
    """The number of images seen is the one asked for, but for what whole epochs of full batches leave over."""
    labels = torch.zeros(amount, dtype=torch.int64)
    seen = train_student(Linear(), images(amount), labels, images_seen=4096, seed=0)
    epoch = -(-amount // 64) * 64
    assert 4096 - min(epoch, 4096 // 8) <= seen <= 4096


class Linear(nn.Sequential):
    """A student that costs nothing."""

    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, CLASSES))


def test_two_oracles_of_the_same_labels_teach_the_same_student():
    """Nothing but labels passes: behind the second door stands a net with other scores."""

    class Louder(Brightness):
        def forward(self, x):
            return 100 * super().forward(x) - 3

    asked, students = images(128), [SmallFaceNet(CLASSES, seed=1) for _ in range(2)]
    for net, student in zip((Brightness(), Louder()), students, strict=True):
        distil(PlainOracle(net, num_classes=CLASSES), asked, student, images_seen=256, seed=0)
    assert torch.equal(weights(students[0]), weights(students[1]))


def test_a_student_agrees_with_its_teacher_on_images_it_has_not_seen():
    """At chance it would agree on a quarter: 150 of 400 has probability below 1e-7."""
    public, unseen = images(600), images(400, seed=9)
    student = SmallFaceNet(CLASSES, seed=1)
    found = distil(teacher(), public, student, images_seen=3000, seed=0)
    assert found.student is student
    assert not student.training
    truth = teacher()(to_float(unseen))
    assert int((image_logits(student, unseen).argmax(dim=1) == truth).sum()) > 150


def test_bad_input_is_refused_in_one_line():
    asked, labels = images(100), torch.zeros(100, dtype=torch.int64)
    student = SmallFaceNet(CLASSES)
    cases = {
        "public": lambda: query_images(to_float(asked), 10, seed=0),
        "budget": lambda: query_images(asked, 0, seed=0),
        "copies": lambda: query_images(asked, 10, copies=-1, seed=0),
        "prior": lambda: query_images(images(3)[..., :16, :16].contiguous(), 30, prior=prior(), seed=0),
        "images": lambda: ask(teacher(), to_float(asked)),
        "repeats": lambda: ask(teacher(), asked, repeats=0),
        "labels": lambda: train_student(student, asked, labels[:50], images_seen=1000, seed=0),
        "images_seen": lambda: train_student(student, asked, labels, images_seen=127, seed=0),
        "seed": lambda: train_student(student, asked, labels, images_seen=128, seed=-1),
    }
    for argument, call in cases.items():
        with pytest.raises(InputError, match=f"^{argument}: got") as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"^labels: got ABSTAIN for every image"):
        train_student(student, asked, torch.full_like(labels, ABSTAIN), images_seen=128, seed=0)
