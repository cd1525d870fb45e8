"""A right answer and plausible wrong ones to each check of `rp_tutorial/checks/inversion.py`."""

from hashlib import sha256

import torch

import rp_tutorial as rp


def push(u, inside):
    return -(u * ~inside[:, None]).mean(dim=0)


def push_towards(u, inside):
    return (u * ~inside[:, None]).mean(dim=0)


def push_by_outside_alone(u, inside):
    return -u[~inside].mean(dim=0)


def push_and_pull(u, inside):
    return torch.where(inside[:, None], u, -u).mean(dim=0)


def walk(oracle, start, target, budget, seed, *, push=push, guarded=True, grows=True):
    draw = torch.Generator().manual_seed(seed)
    v, rho = start, 0.1
    for _ in range(budget // 33):
        u = torch.randn(32, len(v), generator=draw)
        u = u / u.norm(dim=1, keepdim=True)
        inside = oracle(v + rho * u) == target
        if grows and inside.sum() >= 29:
            rho = 1.3 * rho
        moved = v + rho * push(u, inside)
        if not guarded or oracle(moved[None])[0] == target:
            v = moved
    return v


def walk_nowhere(oracle, start, target, budget, seed):
    return start


def walk_to_the_wall(oracle, start, target, budget, seed):
    return walk(oracle, start, target, budget, seed, push=push_towards)


def walk_unguarded(oracle, start, target, budget, seed):
    return walk(oracle, start, target, budget, seed, push=push_towards, guarded=False)


def walk_without_growth(oracle, start, target, budget, seed):
    return walk(oracle, start, target, budget, seed, grows=False)


def walk_beyond_its_budget(oracle, start, target, budget, seed):
    return walk(oracle, start, target, 2 * budget, seed)


def repeated(oracle, x, repeats):
    votes = torch.zeros(len(x), oracle.num_classes + 1, dtype=torch.int64)
    for _ in range(repeats):
        votes[torch.arange(len(x)), oracle(x) + 1] += 1
    return votes[:, 1:].argmax(dim=1)


def asked_once(oracle, x, repeats):
    return oracle(x)


def repeated_with_silence(oracle, x, repeats):
    return torch.stack([oracle(x) for _ in range(repeats)]).mode(dim=0).values


def repeated_mean(oracle, x, repeats):
    return torch.stack([oracle(x) for _ in range(repeats)]).double().mean(dim=0).round().long().clamp_min(0)


def repeated_too_often(oracle, x, repeats):
    return repeated(oracle, x, 2 * repeats)


class Remembers(rp.LabelOracle):
    def __init__(self, net, sigma, n, secret):
        super().__init__(num_classes=2)
        self.net, self.sigma, self.n, self.secret = net, sigma, n, secret

    def key(self, x, row):
        return self.secret + x[row].numpy().tobytes()

    def _release(self, x):
        labels = []
        for row in range(len(x)):
            seed = int.from_bytes(sha256(self.key(x, row)).digest()[:7], "big")
            noise = torch.randn(self.n, *x.shape[1:], generator=torch.Generator().manual_seed(seed))
            ones = self.net(x[row] + self.sigma * noise).argmax(dim=1).sum()
            labels.append(int(2 * ones > self.n))
        return torch.tensor(labels)


class RemembersOneNoise(Remembers):
    def key(self, x, row):
        return self.secret


class RemembersPlaces(Remembers):
    def key(self, x, row):
        return self.secret + bytes([row % 256, row // 256])


class RemembersWithoutSecret(Remembers):
    def key(self, x, row):
        return x[row].numpy().tobytes()


class RemembersNothing(Remembers):
    def key(self, x, row):
        self.asked = getattr(self, "asked", 0) + 1
        return super().key(x, row) + self.asked.to_bytes(8, "big")


ANSWERS = {
    "check_push": (push, [push_towards, push_by_outside_alone, push_and_pull]),
    "check_inversion": (
        walk,
        [walk_nowhere, walk_to_the_wall, walk_unguarded, walk_without_growth, walk_beyond_its_budget],
    ),
    "check_repeated": (repeated, [asked_once, repeated_with_silence, repeated_mean, repeated_too_often]),
    "check_memory": (
        Remembers,
        [RemembersOneNoise, RemembersPlaces, RemembersWithoutSecret, RemembersNothing],
    ),
}
