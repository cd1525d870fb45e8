"""Training a prior of any kind, from public images and nothing else.

There is one door to all priors, and no private image fits through it: what comes in is the tensor of public images of
a `FaceTask`, never the task itself. How each kind learns is in `pca.py`, `vae.py` and `gan.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.models.priors import PRIORS, DecoderPrior, PCAPrior, Prior
from rp_tutorial.training.gan import fit_gan
from rp_tutorial.training.pca import fit_pca
from rp_tutorial.training.vae import fit_vae

FITS: dict[str, Callable[..., Prior]] = {"pca": fit_pca, "vae": fit_vae, "gan": fit_gan, "published": fit_gan}


def fill_prior(
    prior: Prior,
    public: Tensor,
    *,
    kind: str,
    epochs: int | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    **settings: Any,
) -> Prior:
    """Train `prior`, made empty by new_prior(kind, ...), on `public`; returns it in eval mode, on `device`.

    It then depends on `public`, the seed and the settings only: the weights it comes with have no influence.
    kind: "pca", "vae", "gan", or "published" (the paper's generator, trained as "gan" is). public uint8 [M, 3, S, S].
    epochs: passes over the images of a vae or a gan, their own default if None; a pca has none and leaves it unread.
    `settings` go to fit_pca, fit_vae or fit_gan.
    Raises InputError for an unknown kind, a prior that is not of that kind, or whatever the fit refuses.
    """
    one_of("kind", kind, PRIORS)
    if not isinstance(prior, PCAPrior if kind == "pca" else DecoderPrior):
        raise refuse("prior", type(prior).__name__, f"a prior made by new_prior({kind!r})")
    if epochs is not None and kind != "pca":
        settings["epochs"] = epochs
    return FITS[kind](prior, public, seed=seed, device=device, **settings)
