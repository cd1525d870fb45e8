"""Randomized response: keep the label or lie about it, with probabilities that do not look at the input.

K-ary randomized response is the local-privacy baseline: its guarantee covers *every* pair of inputs, however far
apart, and its price is paid everywhere. Redrawn for every query it averages out; memoised it does not. Here are the
oracle and its three calibrations, by epsilon, by advantage and by accuracy; what averaging recovers is in
`attacks.averaging`.
"""

from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from rp_tutorial.core.arguments import InputError, positive, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, generator_from, torch_generator, unknown_seed
from rp_tutorial.oracles.base import LabelOracle, state_entry
from rp_tutorial.theory.response import keep_probability

KEY_BYTES = 16  # of a digest: an image is thousands of bytes, and two inputs that share 16 are not to be expected


class RandomizedResponse(LabelOracle):
    """Releases the label of `oracle` with probability e^eps / (e^eps + K - 1), each other label equally often else.

    One release is epsilon-locally private: for any two inputs the advantage is at most `advantage(epsilon, K)`.
    memoised=False: every query is drawn afresh, m queries of one input are m epsilon-private, and averaging wins.
    memoised=True: an input that was seen before gets the answer it got, so repeating it teaches nothing; its
    neighbours still draw their own. Costs what `oracle` costs. Without a `seed` the lies are seeded by the operating
    system. Raises InputError if `oracle` abstains.

    >>> truth = rp.PlainOracle(rp.models.half_space_net(), num_classes=2)
    >>> round(rp.RandomizedResponse(truth, epsilon=2.0).keep_probability, 4)
    0.8808

    Chapter: comparisons/randomized-response.
    """

    def __init__(self, oracle: LabelOracle, *, epsilon: float, seed: int | None = None, memoised: bool = False) -> None:
        super().__init__(num_classes=oracle.num_classes)
        self.oracle, self.epsilon, self.memoised = oracle, positive("epsilon", epsilon), memoised
        self.keep_probability = keep_probability(epsilon, oracle.num_classes)
        self._generator = torch_generator(Purpose.LIES, unknown_seed() if seed is None else seed)
        self._answers: dict[bytes, int] = {}

    def _release(self, x: Tensor) -> Tensor:
        before = self.oracle.forward_passes
        truth = self.oracle(x).cpu()
        self.forward_passes += self.oracle.forward_passes - before
        if bool((truth == ABSTAIN).any()):
            raise InputError("oracle: got one that abstains, allowed is one that always releases a label")
        lies = torch.rand(len(x), generator=self._generator) >= self.keep_probability
        shift = torch.randint(1, self.num_classes, (len(x),), generator=self._generator)
        released = torch.where(lies, (truth + shift) % self.num_classes, truth)
        return (self._remembered(x, released) if self.memoised else released).to(x.device)

    def _remembered(self, x: Tensor, released: Tensor) -> Tensor:
        rows = x.detach().cpu().flatten(1).contiguous().view(torch.uint8)  # NumPy knows no bfloat16
        keys = [blake2b(row.numpy().tobytes(), digest_size=KEY_BYTES).digest() for row in rows]
        return torch.tensor([self._answers.setdefault(k, int(r)) for k, r in zip(keys, released, strict=True)])

    def _randomness(self) -> dict[str, Any]:
        digests = bytearray(b"".join(self._answers))
        keys = torch.frombuffer(digests, dtype=torch.uint8) if digests else torch.empty(0, dtype=torch.uint8)
        return {
            "oracle": self.oracle.state(),
            "generator": self._generator.get_state(),
            "memo_keys": keys.view(-1, KEY_BYTES),
            "memo_answers": torch.tensor(list(self._answers.values()), dtype=torch.int64),
        }

    def _set_randomness(self, randomness: dict[str, Any]) -> None:
        names = ("oracle", "generator", "memo_keys", "memo_answers")
        inner, generator, keys, answers = (state_entry(randomness, name) for name in names)
        own, remembered = generator_from(generator), _memory(keys, answers)
        self.oracle.restore(inner)  # may still refuse, so nothing of ours has changed yet
        self._generator, self._answers = own, remembered


def _memory(keys: Tensor, answers: Tensor) -> dict[bytes, int]:
    """The memo table from its two columns."""
    shapes = [(part.dtype, tuple(part.shape)) for part in (keys, answers) if isinstance(part, Tensor)]
    if shapes != [(torch.uint8, (len(answers), KEY_BYTES)), (torch.int64, (len(answers),))]:
        raise refuse("state", shapes, f"a memo table of digests, uint8 [M, {KEY_BYTES}], and answers, int64 [M]")
    return {digest.tobytes(): answer for digest, answer in zip(keys.cpu().numpy(), answers.tolist(), strict=True)}
