"""A scene of inversion whose answer is known: five people whose pictures are a centre each in the prior's latents.

Images are 8x8, made by a PCA prior of ten dimensions; the net behind the release reads the latent back and says whose
centre is nearest. So a person's region is a cell around a known point, and its score is highest at that point.
"""

from types import SimpleNamespace

import torch
from torch import nn

from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.attacks.inversion.white_box import WhiteBox
from rp_tutorial.data.faces.task import to_bytes
from rp_tutorial.models.priors import PCAPrior
from rp_tutorial.oracles.plain import PlainOracle

DIM, PEOPLE, SIDE = 10, 5, 8


def prior() -> PCAPrior:
    found = PCAPrior(DIM, size=SIDE)
    draws = torch.randn(3 * SIDE * SIDE, DIM, generator=torch.Generator().manual_seed(0))
    found.components.copy_(torch.linalg.qr(draws).Q.T.reshape(DIM, 3, SIDE, SIDE))
    found.deviations.fill_(0.25)  # pixels stay inside [0, 1], but for rare ones
    return found.requires_grad_(False)


class Nearest(nn.Module):
    """Logit k of an image: minus half of the squared latent distance to the centre of person k, times `sharpness`."""

    def __init__(self, sharpness: float = 2.0) -> None:
        super().__init__()
        self.prior, self.sharpness = prior(), sharpness
        draws = torch.randn(PEOPLE, DIM, generator=torch.Generator().manual_seed(1))
        self.register_buffer("centres", 2 * nn.functional.normalize(draws))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -self.sharpness * torch.cdist(self.prior.project(x), self.centres).square() / 2

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def oracle() -> PlainOracle:
    return PlainOracle(Nearest(), num_classes=PEOPLE)


def scene(
    *, targets: tuple[int, ...] = (3, 0, 4), budget: int = 330, pool: int = 400, seed: int = 5
) -> SimpleNamespace:
    """What an attacker has of it. The shadow sees all pixels and knows nobody; images are draws of the prior."""
    made, generator = prior(), torch.Generator().manual_seed(2)
    total = pool + len(targets) * budget
    asked, held_out = (made(torch.randn(n, DIM, generator=generator)) for n in (total, 500))
    truth = Nearest()

    def accuracy(net: nn.Module) -> float:
        with torch.no_grad():
            return float((net(held_out).argmax(dim=1) == truth(held_out).argmax(dim=1)).double().mean())

    return SimpleNamespace(
        prior=made,
        targets=torch.tensor(targets),
        candidates=candidate_latents(pool, DIM, seed=seed),
        budget=budget,
        seed=seed,
        images=to_bytes(asked),
        shadow=Nearest(),
        num_classes=PEOPLE,
        accuracy=accuracy,
        settings=SimpleNamespace(
            attack=BoundaryRepulsion(step_fraction=1.0, latent_clamp=3.0, patience=20, rejected_limit=40),
            white_box=WhiteBox(restarts=2, steps=40),
            pool=pool,
            device="cpu",
        ),
    )
