"""Every stream of random numbers of the package: what it is for, a key, and a generator that depends on nothing else.

Two parts of a program that call `manual_seed` with the same seed draw the same numbers; a coin that an oracle shares
with the adversary, or noise that DP-SGD shares with the data it protects, makes a measurement wrong without a sign of
it. So no other file seeds a generator: it names its purpose here, and adds the seed and whatever else tells it apart.

What is promised: for one key no two purposes share a stream, whatever the key is, and the length of a key is part of
it ((11,) and (11, 0) differ). Keys that differ give unrelated streams; a torch generator on a CPU keeps 32 bits of its
seed, so two given ones of these agree by accident once in 2^32 times.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, unique
from functools import lru_cache

import numpy as np
import torch

from rp_tutorial.core.arguments import count, in_one_line, refuse

SPREAD = 0x9E3779B1  # odd, so that purposes of one key have different seeds, and far apart


@unique
class Purpose(IntEnum):
    """What random numbers are for. A number, once given, is not given again: stored results rest on it."""

    # Oracles
    SMOOTHING_NOISE = 1
    LIES = 2  # of randomized response
    CERTIFICATE_NOISE = 3  # so that a certificate and a release never share a sample
    COMPANY = 4  # rows beside a user's own, to see whether a net mixes them

    # Nets and their training
    INITIAL_WEIGHTS = 20
    LAYER_DRAWS = 21  # what a layer draws by itself, as dropout does
    LATENTS = 22  # samples of a prior
    BATCH_ORDER = 23
    AUGMENTATION = 24  # mirrors and shifts
    TRAINING_NOISE = 25  # on the pixels, for a net that is to be smoothed
    CODE_NOISE = 26  # between encoder and decoder of a VAE
    GAN_LATENTS = 27
    GAN_PENALTY = 28  # the points between real and made images
    PCA_BASIS = 29
    CHANGED_IMAGES = 30  # an exemplar as other photographs of the same person
    PRIVATE_SAMPLES = 31  # the records of each step of DP-SGD
    PRIVATE_NOISE = 32  # what DP-SGD hides a record in

    # Verification and statistics
    LABEL_CHANGES = 40  # where the search for a point with another label begins
    BOOTSTRAP = 41
    HALVES = 42  # one to choose the best of several on, one to judge it on
    SIGN_FLIPS = 43
    SIMULATED_STUDIES = 44

    # Data
    TABLE_ROWS = 50  # those kept of a larger table
    TABLE_SPLIT = 51
    INSURED = 52  # the drawn insurance table
    PRIVATE_PEOPLE = 53
    PUBLIC_PEOPLE = 54
    PHOTOGRAPHS = 55
    IDENTITY_FACTORS = 56
    NUISANCE_FACTORS = 57
    PIXEL_NOISE = 58  # the one pool of it in all drawn faces
    FACE_FILES = 59  # the photographs kept of a person, and the people kept of a data set

    # Attacks
    COINS = 70  # which world a round of the game is played in
    TIES = 71  # guesses where the evidence says nothing
    CANARY_COINS = 72
    NEARBY_POINTS = 73  # the directions of an averaging attacker
    LOTS = 74  # its choice between labels that were equally frequent
    CANDIDATES = 75  # the pool of latents an inversion starts from
    DIRECTIONS = 76  # on the spheres of an inversion
    FAR_DIRECTIONS = 77  # on the one wide sphere around a candidate start
    CLOUD = 78  # the latents of a search without gradients
    ASKED_ORDER = 80  # of the public images, as an extraction asks about them
    ASKED_COPIES = 81
    ASKED_SAMPLES = 82
    SHOWN_AGAIN = 83  # images that fill a student's last batch

    # Experiments: what is chosen
    TARGETS = 100
    TEST_IMAGES = 101
    HELD_OUT = 102  # public images on which students are measured
    WALK_DIRECTIONS = 103
    GRID_DIRECTIONS = 104
    MANY_DIRECTIONS = 105
    TIMED_IMAGES = 106
    AUDIT_SETTINGS = 107
    DRAWN_RELEASES = 108  # one a record, from its exact law

    # Experiments: seeds of the nets that are trained in one run
    EVALUATOR = 120
    PRIVATE_NET = 121
    PUBLIC_FEATURES = 122
    STUDENT = 123
    SURROGATE = 124

    # Experiments: seeds of the release mechanisms, so that no two uses of one meet the same noise
    ATTACK = 140
    ACCURACY = 141
    PICKED_IMAGES = 142
    PROBES = 143  # of the attack's spheres, asked again to see what went wrong
    LESSONS = 144  # labels that a student learns from
    MEASUREMENT = 145  # labels that a student is compared with
    VOTES = 146
    CERTIFICATES = 147
    TRUE_LABELS = 148  # of the ideal smoothed net, from many votes
    TIMED_VOTES = 149
    THRESHOLD_TABLE = 150
    THRESHOLD_TRAJECTORY = 151
    THRESHOLD_ABLATION = 152
    SHARED_NOISE = 153  # one set of it for all values of an attribute
    AUDIT_CERTIFICATES = 154
    AUDIT_EDGE = 155
    AUDIT_DEPLOYABLE = 156
    AUDIT_SINGLE = 157
    AUDIT_REPEATED = 158
    AUDIT_CONTROL = 159

    # Benchmarks
    BENCHMARK_INPUTS = 200
    BENCHMARK_NOISE = 201

    # Tools
    FUZZED_INPUTS = 210


def torch_generator(purpose: Purpose, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that depends on the purpose and the whole key, whatever was drawn before."""
    return torch.Generator(device).manual_seed(torch_seed(purpose, *key))


def numpy_generator(purpose: Purpose, *key: int) -> np.random.Generator:
    """The same for NumPy, with 128 bits of state that depend on purpose and key."""
    return np.random.default_rng(np.random.SeedSequence([purpose, *_words(key)]))


def unknown_seed() -> int:
    """A seed of 63 bits from the operating system, for noise that nobody shall be able to draw again."""
    return secrets.randbits(63)


def child_seed(purpose: Purpose, *key: int) -> int:
    """A seed of 63 bits for a part that takes a seed of its own."""
    return int(np.random.SeedSequence([purpose, *_words(key)]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_seed(purpose: Purpose, *key: int) -> int:
    """32 bits: all that a CPU generator of torch keeps. Another purpose has another seed for the same key."""
    common = int(np.random.SeedSequence(list(_words(key))).generate_state(1)[0])
    return (common + purpose * SPREAD) % 2**32


@contextmanager
def global_stream(purpose: Purpose, *key: int) -> Iterator[None]:
    """Inside, torch's global generators run from this stream, for layers that draw by themselves.

    Outside, they are as if nothing had been drawn.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(torch_seed(purpose, *key))
        yield


def numbered_generator(number: int, purpose: Purpose, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Generator `number` of a row, whichever of them were made before. No two of a row share a seed.

    There are as many in a row as a generator has seeds: 2^32 on a CPU, 2^64 elsewhere. Raises InputError beyond that.
    """
    device = torch.device(device)
    seeds = 2 ** (32 if device.type == "cpu" else 64)
    if not 0 <= number < seeds:
        raise refuse("number", number, f"a generator from 0 to {seeds - 1}, as beyond that seeds come again")
    first, step = _row(purpose, *key)
    return torch.Generator(device).manual_seed((first + number * step) % seeds)


@lru_cache(maxsize=1024)
def _row(purpose: Purpose, *key: int) -> tuple[int, int]:
    """Where a row of seeds starts, and its step: odd, so that it meets every integer modulo a power of two once."""
    first, step = np.random.SeedSequence([purpose, *_words(key)]).generate_state(2, np.uint64).tolist()
    return first, step | 1


def generator_from(state: torch.Tensor) -> torch.Generator:
    """A generator that goes on from what `get_state` gave. Raises InputError for anything else."""
    generator = torch.Generator()
    expected = generator.get_state()
    if not isinstance(state, torch.Tensor) or (state.dtype, state.shape) != (expected.dtype, expected.shape):
        given = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, torch.Tensor) else type(state).__name__
        raise refuse("state", given, f"the {len(expected)} bytes of a generator")
    with in_one_line("state", "what a generator has given"):
        generator.set_state(state.cpu().clone())  # of its own: torch 2.14 crashes on a row of a larger tensor
    return generator


def _words(key: tuple[int, ...]) -> Iterator[int]:
    """The key as 32-bit words from which it can be read back, so that no two keys are the same words."""
    yield len(key)
    for part in key:
        rest, words = count("seed", part, minimum=0), []
        while rest:
            rest, low = divmod(rest, 2**32)
            words.append(low)
        yield len(words)
        yield from words
