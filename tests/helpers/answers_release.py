"""A right answer and plausible wrong ones to each check of `rp_tutorial/checks/release.py`."""

import numpy as np
import torch

import rp_tutorial as rp


def noisy_vote(net, seed, *, sigma=1.6, n=1):
    return rp.VoteOracle(rp.Smoothing(net, num_classes=2, sigma=sigma, seed=seed), n=n)


def plain(net, seed):
    return rp.PlainOracle(net, num_classes=2)


def too_little_noise(net, seed):
    return noisy_vote(net, seed, sigma=0.6)


def too_many_votes(net, seed):
    return noisy_vote(net, seed, n=51)


def too_much_noise(net, seed):
    return noisy_vote(net, seed, sigma=6.0)


def careful(net, seed):
    return rp.PredictOracle(rp.Smoothing(net, num_classes=2, sigma=1.6, seed=seed), n=40, alpha=0.05)


def only_lies(net, seed):
    return rp.RandomizedResponse(plain(net, seed), epsilon=0.6, seed=seed)


class Always(rp.LabelOracle):
    def _release(self, x):
        return torch.ones(len(x), dtype=torch.int64)


def constant(net, seed):
    return Always(num_classes=2)


def fixed_noise(net, seed):
    return rp.VoteOracle(rp.Smoothing(net, num_classes=2, sigma=1.6, seed=seed, noise="fixed"), n=1)


def attacker(oracle, x, neighbour, seen, seed):
    size = oracle.num_classes + 1
    here, there = (np.bincount(oracle(v.repeat(200, 1)).numpy() + 1, minlength=size) + 0.5 for v in (x, neighbour))
    return bool(np.log(there / here)[seen.numpy() + 1].sum() > 0)


def attacker_by_coin(oracle, x, neighbour, seen, seed):
    return bool(np.random.default_rng(seed).random() < 0.5)


def attacker_by_name(oracle, x, neighbour, seen, seed):
    return bool(seen[0] == 0)


def attacker_of_the_first(oracle, x, neighbour, seen, seed):
    return attacker(oracle, x, neighbour, seen[:1], seed)


def attacker_deaf_to_silence(oracle, x, neighbour, seen, seed):
    laws = []
    for v in (x, neighbour):
        told = oracle(v.repeat(200, 1))
        counts = np.bincount(told[told >= 0].numpy(), minlength=oracle.num_classes) + 0.5
        laws.append(counts / counts.sum())
    return bool(np.log(laws[1] / laws[0])[seen[seen >= 0].numpy()].sum() > 0)


def attacker_beyond_its_budget(oracle, x, neighbour, seen, seed):
    oracle(x.repeat(300, 1))
    return attacker(oracle, x, neighbour, seen, seed)


ANSWERS = {
    "check_utility": (noisy_vote, [too_much_noise, constant, only_lies]),
    "check_promise": (
        noisy_vote,
        [plain, too_little_noise, too_many_votes, constant, careful, only_lies, fixed_noise],
    ),
    "check_attacker": (
        attacker,
        [
            attacker_by_coin,
            attacker_by_name,
            attacker_of_the_first,
            attacker_deaf_to_silence,
            attacker_beyond_its_budget,
        ],
    ),
}
