"""White-box inversion: gradient ascent in a prior's latent space, against a net that the attacker owns.

Against a label oracle nothing here can run: it reads logits and their gradients. It runs on a copy, which a student of
`distillation.py` is, and costs no query at all. That is the attack "distil, then invert". The result has the fields
that `verdicts.evaluate` judges, so that it stands beside the walk of `boundary_repulsion.py`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.registry import Found
from rp_tutorial.attacks.inversion.starts import candidate_latents, check_points, check_targets
from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.models.priors import Prior

CHUNK_ROWS = 1024  # images that are alive at a time


@dataclass(frozen=True)
class WhiteBox:
    """Settings of the ascent. The loss of a latent is the cross-entropy of its target."""

    restarts: int = 4  # starting points a target: the surest of the candidates
    steps: int = 100  # of Adam
    learning_rate: float = 0.05
    latent_clamp: float | None = 3.0  # latents stay where the prior makes good images. None: they may go anywhere

    def __post_init__(self) -> None:
        count("restarts", self.restarts), count("steps", self.steps), positive("learning_rate", self.learning_rate)
        if self.latent_clamp is not None:
            positive("latent_clamp", self.latent_clamp)


@dataclass(frozen=True)
class WhiteBoxInversion(Found):
    """What the ascent found, one entry a target; tensors on the CPU, T targets, d latent dimensions.

    `latent` [T, d]: of all restarts the end that the net itself is surest of, by its margin; `start` [T, d]: the surest
    candidate. `margin`, `start_margin` [T]: logit of the target less the largest other, at the two. All targets
    are `found`; `kept_expansions` is 1 where the ascent raised the margin above that of `start`, else 0 and `latent`
    is `start`: what the evaluator's rules take for "it walked".
    """

    margin: Tensor
    start_margin: Tensor


def invert_white_box(
    net: nn.Module,
    prior: Prior,
    targets: Tensor,
    *,
    seed: int,
    candidates: Tensor | None = None,
    num_candidates: int = 4000,
    settings: WhiteBox | None = None,
    device: torch.device | str = "cpu",
) -> WhiteBoxInversion:
    """Images of the prior that `net` is surest show each target: ascent by Adam from several points, the best kept.

    net: images -> logits [B, K], differentiable; put into eval mode, its weights are not changed. prior: on `device`
    as the net is. targets: int64 [T]. candidates: float [P, d], the latents to start from; without them as
    many as `num_candidates`, as `candidate_latents` gives them from the seed, also to the label-only attack. The surest
    `restarts` of them for each target begin. No oracle takes part, so no query is spent. The same seed gives the same
    result.
    Nothing says that a net's surest image shows the person: that is for a second net to judge.
    Source: the loss of Zhang et al. 2020 (cross-entropy of the target, in latent space).
    """
    settings = WhiteBox() if settings is None else settings
    seed = count("seed", seed, minimum=0)
    if candidates is None:
        candidates = candidate_latents(num_candidates, prior.latent_dim, seed=seed, clamp=settings.latent_clamp)
    check_points(candidates, None, len(targets), prior.latent_dim)
    ascent = _Ascent(net, prior, settings, device)
    candidates = candidates.to(device, torch.float32)
    margins = ascent.margins(candidates)[:, check_targets(targets, ascent.num_classes).to(device)]
    restarts = min(settings.restarts, len(candidates))
    first = candidates[margins.topk(restarts, dim=0).indices.T]  # [T, restarts, d]
    own = targets.to(device).repeat_interleave(restarts)
    ends = ascent.climb(first.flatten(0, 1), own).view_as(first)
    return _best(ascent, targets, first[:, 0], ends)


class _Ascent:
    """A net and a prior as one differentiable map from latents to logits."""

    def __init__(self, net: nn.Module, prior: Prior, settings: WhiteBox, device: torch.device | str) -> None:
        self.net, self.prior, self.settings = net.eval(), prior.eval(), settings
        logits = self._all_logits(torch.zeros(1, prior.latent_dim, device=device))
        if logits.ndim != 2:
            raise refuse("net", f"outputs of shape {tuple(logits.shape)}", "logits [B, K]")
        self.num_classes = logits.shape[1]

    def margins(self, latents: Tensor) -> Tensor:
        """Margins [B, K] of latents [B, d]: every logit less the largest other."""
        logits = self._all_logits(latents)
        top = logits.topk(2, dim=1)
        leads = top.indices[:, :1] == torch.arange(self.num_classes, device=logits.device)
        return logits - torch.where(leads, top.values[:, 1:], top.values[:, :1])

    def climb(self, latents: Tensor, targets: Tensor) -> Tensor:
        """The ends [B, d] of the ascent from latents [B, d]."""
        chunks = zip(latents.split(CHUNK_ROWS), targets.split(CHUNK_ROWS), strict=True)
        return torch.cat([self._climb(z, own) for z, own in chunks])

    def _climb(self, latents: Tensor, targets: Tensor) -> Tensor:
        settings, z = self.settings, latents.clone().requires_grad_()
        optimiser = torch.optim.Adam([z], lr=settings.learning_rate)
        for _ in range(settings.steps):
            loss = nn.functional.cross_entropy(self.net(self.prior(z)), targets, reduction="sum")
            (z.grad,) = torch.autograd.grad(loss, [z])
            optimiser.step()
            if settings.latent_clamp is not None:
                with torch.no_grad():
                    z.clamp_(-settings.latent_clamp, settings.latent_clamp)
        return z.detach()

    @torch.no_grad()
    def _all_logits(self, latents: Tensor) -> Tensor:
        return torch.cat([self.net(self.prior(chunk)) for chunk in latents.split(CHUNK_ROWS)])


def _best(ascent: _Ascent, targets: Tensor, start: Tensor, ends: Tensor) -> WhiteBoxInversion:
    """Of every target's ends [T, restarts, d] the one of the largest margin, if it beats the start [T, d]."""
    own, rows = targets.to(start.device), torch.arange(len(targets))
    reached = ascent.margins(ends.flatten(0, 1)).view(*ends.shape[:2], -1)[rows, :, own]
    before = ascent.margins(start)[rows, own]
    margin, which = reached.max(dim=1)
    raised = margin > before
    latent = torch.where(raised[:, None], ends[rows, which], start)
    return WhiteBoxInversion(
        targets=targets.cpu(),
        start=start.cpu(),
        latent=latent.cpu(),
        margin=torch.maximum(margin, before).cpu(),
        start_margin=before.cpu(),
    )
