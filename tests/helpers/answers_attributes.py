"""A right answer and plausible wrong ones to each check of `rp_tutorial/checks/attributes.py`."""

import numpy as np
import torch

import rp_tutorial as rp


def compatible(oracle, record, label, candidates, column):
    probes = record.repeat(len(candidates), 1)
    probes[:, column] = torch.as_tensor(candidates, dtype=record.dtype)
    return (oracle(probes) == label).numpy()


def compatible_complement(oracle, record, label, candidates, column):
    return ~compatible(oracle, record, label, candidates, column)


def compatible_between_ends(oracle, record, label, candidates, column):
    fits = candidates[compatible(oracle, record, label, candidates, column)]
    return (candidates >= fits.min()) & (candidates <= fits.max()) if len(fits) else np.zeros(len(candidates), bool)


def compatible_of_nobody(oracle, record, label, candidates, column):
    return compatible(oracle, torch.zeros_like(record), label, candidates, column)


def compatible_until_the_first_change(oracle, record, label, candidates, column):
    fits = compatible(oracle, record, label, candidates, column)
    return fits & (np.cumsum(np.diff(fits, prepend=fits[:1])) < 2)


def posterior(prior, likelihood):
    weight = prior * likelihood
    return weight / weight.sum()


def posterior_unscaled(prior, likelihood):
    return prior * likelihood


def posterior_without_prior(prior, likelihood):
    return likelihood / likelihood.sum()


def posterior_of_a_function(prior, likelihood):
    return posterior(prior, (likelihood >= 0.5) + 1e-15)


def bits(prior, fits):
    return -np.log2(prior[fits].sum())


def bits_of_length(prior, fits):
    return -np.log2(fits.mean())


def nats(prior, fits):
    return -np.log(prior[fits].sum())


def bits_on_average(prior, fits):
    p = prior[fits].sum()
    return -p * np.log2(p) - (1 - p) * np.log2(max(1 - p, 1e-300))


class Majority(rp.LabelOracle):
    def __init__(self, net, sigma, scale, n, seed):
        super().__init__(num_classes=2)
        self.net, self.deviation, self.n = net, sigma * scale, n
        self.generator = torch.Generator().manual_seed(seed)

    def noise(self, x):
        return torch.randn(self.n, *x.shape, generator=self.generator)

    def _release(self, x):
        votes = sum(self.net(x + self.deviation * e).argmax(dim=1) for e in self.noise(x))
        return (2 * votes > self.n).long()


class MajorityOfTheSameNoise(Majority):
    def noise(self, x):
        return torch.randn(self.n, *x.shape, generator=torch.Generator().manual_seed(0))


class MajorityWithNoiseOfTheBatch(Majority):
    def noise(self, x):
        return super().noise(x[:1])


class MajorityOfScores(Majority):
    def _release(self, x):
        return sum(self.net(x + self.deviation * e) for e in self.noise(x)).argmax(dim=1)


def one_copy(net, sigma, scale, n, seed):
    return Majority(net, sigma, scale, 1, seed)


def majority_of_variance(net, sigma, scale, n, seed):
    return Majority(net, sigma**2, scale, n, seed)


def majority_everywhere(net, sigma, scale, n, seed):
    return Majority(net, sigma, torch.ones_like(scale), n, seed)


def no_noise(net, sigma, scale, n, seed):
    return rp.PlainOracle(net, num_classes=2)


ANSWERS = {
    "check_compatible": (
        compatible,
        [
            compatible_complement,
            compatible_between_ends,
            compatible_of_nobody,
            compatible_until_the_first_change,
        ],
    ),
    "check_posterior": (posterior, [posterior_unscaled, posterior_without_prior, posterior_of_a_function]),
    "check_bits": (bits, [bits_of_length, nats, bits_on_average]),
    "check_vote_oracle": (
        Majority,
        [
            MajorityOfTheSameNoise,
            MajorityWithNoiseOfTheBatch,
            MajorityOfScores,
            one_copy,
            majority_of_variance,
            majority_everywhere,
            no_noise,
        ],
    ),
}
