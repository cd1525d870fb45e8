"""A right answer and plausible wrong ones to each check of `rp_tutorial/checks/counting.py`."""

import numpy as np
import torch
from scipy import stats


def bound(k, n, alpha):
    return stats.beta.ppf(alpha, k, n - k + 1) if k else 0.0


def bound_of_two_sides(k, n, alpha):
    return bound(k, n, alpha / 2)


def share(k, n, alpha):
    return k / n


def normal_bound(k, n, alpha):
    p = k / n
    return p - stats.norm.ppf(1 - alpha) * (p * (1 - p) / n) ** 0.5


def hoeffding(k, n, alpha):
    return max(0.0, k / n - np.sqrt(np.log(1 / alpha) / (2 * n)))


def radius(p_low, sigma):
    return sigma * stats.norm.ppf(p_low) if p_low > 0.5 else 0.0


def radius_of_variance(p_low, sigma):
    return sigma**2 * stats.norm.ppf(p_low) if p_low > 0.5 else 0.0


def radius_below_half(p_low, sigma):
    return sigma * stats.norm.ppf(p_low)


def radius_of_probability(p_low, sigma):
    return sigma * (p_low - 0.5) if p_low > 0.5 else 0.0


def predict(counts, alpha):
    b, a = sorted(counts)[-2:]
    return int(np.argmax(counts)) if stats.binomtest(a, a + b, 0.5).pvalue <= alpha else -1


def predict_one_sided(counts, alpha):
    b, a = sorted(counts)[-2:]
    return int(np.argmax(counts)) if stats.binomtest(a, a + b, 0.5, alternative="greater").pvalue <= alpha else -1


def predict_against_all(counts, alpha):
    a, n = max(counts), sum(counts)
    return int(np.argmax(counts)) if 2 * a > n and stats.binomtest(a, n, 0.5).pvalue <= alpha else -1


def predict_always(counts, alpha):
    return int(np.argmax(counts))


def predict_the_reverse(counts, alpha):
    b, a = sorted(counts)[-2:]
    return int(np.argmax(counts)) if stats.binomtest(a, a + b, 0.5).pvalue > alpha else -1


def noisy_counts(net, x, sigma, n, generator):
    copies = x + sigma * torch.randn(n, *x.shape, generator=generator)
    return torch.bincount(net(copies).argmax(dim=1), minlength=2)


def counts_of_variance(net, x, sigma, n, generator):
    return noisy_counts(net, x, sigma**2, n, generator)


def counts_of_one_noise(net, x, sigma, n, generator):
    copies = (x + sigma * torch.randn(x.shape, generator=generator)).expand(n, -1)
    return torch.bincount(net(copies).argmax(dim=1), minlength=2)


def counts_of_scores(net, x, sigma, n, generator):
    copies = x + sigma * torch.randn(n, *x.shape, generator=generator)
    return net(copies).softmax(dim=1).sum(dim=0)


def counts_of_global_noise(net, x, sigma, n, generator):
    own = torch.Generator().manual_seed(0)
    return noisy_counts(net, x, sigma, n, own)


def counts_of_uniform_noise(net, x, sigma, n, generator):
    copies = x + sigma * (2 * torch.rand(n, *x.shape, generator=generator) - 1)
    return torch.bincount(net(copies).argmax(dim=1), minlength=2)


def certificate(sample, n0, n, alpha, sigma):
    label = int(np.argmax(sample(n0)))
    low = bound(sample(n)[label], n, alpha)
    return (label, sigma * stats.norm.ppf(low)) if low > 0.5 else (-1, 0.0)


def certificate_reused(sample, n0, n, alpha, sigma):
    first = sample(n0)
    label = int(np.argmax(first))
    low = bound(first[label] + sample(n)[label], n0 + n, alpha)
    return (label, sigma * stats.norm.ppf(low)) if low > 0.5 else (-1, 0.0)


def certificate_chosen_late(sample, n0, n, alpha, sigma):
    sample(n0)
    votes = sample(n)
    low = bound(votes.max(), n, alpha)
    return (int(votes.argmax()), sigma * stats.norm.ppf(low)) if low > 0.5 else (-1, 0.0)


def certificate_of_one_sample(sample, n0, n, alpha, sigma):
    votes = sample(n)
    low = bound(votes.max(), n, alpha)
    return (int(votes.argmax()), sigma * stats.norm.ppf(low)) if low > 0.5 else (-1, 0.0)


def certificate_two_sided(sample, n0, n, alpha, sigma):
    return certificate(sample, n0, n, alpha / 2, sigma)


def certificate_never_silent(sample, n0, n, alpha, sigma):
    label = int(np.argmax(sample(n0)))
    return label, radius(bound(sample(n)[label], n, alpha), sigma)


ANSWERS = {
    "check_lower_bound": (bound, [bound_of_two_sides, share, normal_bound, hoeffding]),
    "check_certified_radius": (radius, [radius_of_variance, radius_below_half, radius_of_probability]),
    "check_predict": (predict, [predict_one_sided, predict_against_all, predict_always, predict_the_reverse]),
    "check_noisy_counts": (
        noisy_counts,
        [
            counts_of_variance,
            counts_of_one_noise,
            counts_of_scores,
            counts_of_global_noise,
            counts_of_uniform_noise,
        ],
    ),
    "check_certificate": (
        certificate,
        [
            certificate_reused,
            certificate_chosen_late,
            certificate_of_one_sample,
            certificate_two_sided,
            certificate_never_silent,
        ],
    ),
}
