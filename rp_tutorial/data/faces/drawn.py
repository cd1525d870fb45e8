"""Procedural faces: people as vectors, and pictures of them under changing pose, light, expression and background.

A person is a vector of standardised identity factors; a photograph adds a vector of nuisance factors. Both are bell
shaped within [-2, 2], and a picture is a smooth function of them but for its pixel noise. Nobody drawn here exists, so
images and reconstructions may be shown. How the layers are painted is in `drawn_pixels.py`; real faces come from
`folder.py`, `lfw.py` and `celeba.py`.
"""

import torch
from torch import Tensor

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.streams import Purpose, child_seed, torch_generator
from rp_tutorial.data.faces.drawn_pixels import draw
from rp_tutorial.data.faces.drawn_plan import CHANNELS, Numbers
from rp_tutorial.data.faces.files import Limits, face_fingerprint
from rp_tutorial.data.faces.registry import face_source
from rp_tutorial.data.faces.task import FaceTask


def _rgb(name: str, *channels: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """The three measures of a colour."""
    return {f"{name}_{channel}": measure for channel, measure in zip(CHANNELS, channels, strict=True)}


# Middle and half range of every measure; a factor of 0 gives the middle, -2 and 2 the ends. Lengths in face units.
IDENTITY = {
    "skin_tone": (0.2, 0.8),  # -1 dark, 1 light
    "skin_warmth": (0.0, 1.0),
    "face_width": (0.53, 0.08),
    "face_height": (0.72, 0.08),
    "jaw": (0.2, 0.25),  # above 0: narrow chin
    "square": (0.0, 0.2),  # below 0: square corners
    "ear_size": (0.12, 0.05),
    "hair_tone": (-0.35, 0.75),  # -1 black, 1 blond
    "hair_redness": (0.3, 0.7),
    "hair_length": (0.62, 0.45),
    "hair_volume": (0.13, 0.1),
    "hairline": (-0.5, 0.15),
    "hair_curve": (0.6, 0.6),
    "hair_part": (0.0, 0.3),
    "eye_size": (0.125, 0.03),
    "eye_opening": (0.52, 0.14),
    "eye_spacing": (0.235, 0.04),
    "eye_height": (-0.08, 0.06),
    "eye_tilt": (0.0, 0.25),
    "iris_colour": (0.0, 1.0),
    "brow_width": (0.03, 0.02),
    "brow_height": (0.19, 0.045),
    "brow_angle": (0.04, 0.25),
    "nose_width": (0.11, 0.04),
    "nose_length": (0.2, 0.06),
    "mouth_width": (0.21, 0.06),
    "mouth_height": (0.43, 0.05),
    "lip_fullness": (0.05, 0.025),
    "lip_colour": (0.0, 1.0),
    "blush": (0.4, 0.4),
    "beard": (0.0, 1.2),
    "moustache": (-0.15, 1.1),
    "glasses": (-0.012, 0.055),  # half the width of the frame
    "lens_size": (0.2, 0.035),
    "lens_shape": (0.85, 0.15),
    **_rgb("frame", (60.0, 60.0), (30.0, 30.0), (40.0, 40.0)),
    "mole_u": (0.0, 0.4),
    "mole_v": (0.25, 0.25),
    "mole_size": (0.03, 0.015),
    "mole_strength": (0.0, 1.0),
}
NUISANCE = {
    "shift_x": (0.0, 0.14),  # in halves of the image
    "shift_y": (0.03, 0.12),
    "rotation": (0.0, 0.25),  # radians
    "scale": (1.06, 0.13),
    "yaw": (0.0, 1.0),
    "pitch": (0.0, 1.0),
    "light_x": (0.0, 1.0),
    "light_y": (0.0, 0.8),
    "brightness": (0.92, 0.32),
    "light_warmth": (0.0, 0.14),
    "smile": (0.6, 0.9),
    "mouth_open": (0.0, 0.12),
    "eyes_open": (0.95, 0.35),
    "brow_raise": (0.0, 1.0),
    "gaze_x": (0.0, 1.0),
    "gaze_y": (0.0, 1.0),
    "ground_light": (130.0, 110.0),
    "ground_change": (0.0, 120.0),
    "ground_x": (0.0, 0.7),
    "ground_y": (0.0, 0.7),
    "ground_bend": (0.0, 0.7),
    **_rgb("ground_a", (0.0, 60.0), (0.0, 45.0), (0.0, 60.0)),
    **_rgb("ground_b", (0.0, 60.0), (0.0, 45.0), (0.0, 60.0)),
    "clothes_light": (110.0, 110.0),
    **_rgb("clothes", (0.0, 70.0), (0.0, 60.0), (0.0, 70.0)),
    "noise_level": (4.0, 3.0),
    "noise_place": (0.5, 0.5),
}
# Measures that are amounts: below 0 there is none. Smooth at 0, so that a moustache grows and does not appear.
AMOUNTS = {"glasses": 0.008, "beard": 0.1, "moustache": 0.1, "mole_strength": 0.1, "mouth_open": 0.01}
LIMIT = 2.0  # standard deviations before cutting
SIZES = (16, 256)


def sample_identities(n: int, *, seed: int) -> Tensor:
    """n independent people, float32 [n, I]: normal factors cut off at two sigma.

    Columns are those of IDENTITY. Raises InputError for n < 1 or a negative seed.
    """
    return _bell(count("n", n), len(IDENTITY), torch_generator(Purpose.IDENTITY_FACTORS, seed))


def sample_nuisance(n: int, *, seed: int) -> Tensor:
    """n independent photographs, float32 [n, J]: normal factors, cut off at two standard deviations.

    Columns are those of NUISANCE; the last one, the place of the pixel noise in a fixed ring, is uniform on [-2, 2].
    Raises InputError for n < 1 or a negative seed.
    """
    nuisance = _bell(count("n", n), len(NUISANCE), torch_generator(Purpose.NUISANCE_FACTORS, seed))
    nuisance[:, -1] = LIMIT * torch.erf(nuisance[:, -1] / 2**0.5) / torch.erf(torch.tensor(LIMIT / 2**0.5))
    return nuisance


def render(identity: Tensor, nuisance: Tensor, *, size: int) -> Tensor:
    """The pictures of people [B, I] in photographs [B, J]: uint8 [B, 3, size, size], on the device of `identity`.

    Image b depends on row b of both and on nothing else: not on the batch around it, not on the number of threads.
    Factors beyond -2 and 2 count as these. `size` is a multiple of 4 from 16 to 256.
    Raises InputError for shapes that do not fit, for values that are not finite, and for another size.
    """
    if count("size", size) % 4 or not SIZES[0] <= size <= SIZES[1]:
        raise refuse("size", size, f"a multiple of 4 from {SIZES[0]} to {SIZES[1]}")
    _refuse_misfits(identity, nuisance)
    nuisance = nuisance.to(identity.device)
    return draw(Numbers(_measures(identity, IDENTITY) | _measures(nuisance, NUISANCE)), size=size)


@face_source("synthetic")
def drawn_faces(*, size: int, limits: Limits, seed: int) -> FaceTask:
    """Pictures of private people, and one picture each of public ones, in exactly the numbers of `limits`, by `seed`.

    Train and test images of a person differ in their photographs only. Rows are sorted by label.
    Raises InputError for a size that `render` refuses.
    """
    private, public = drawn_people(limits, seed=seed)
    splits = limits.train_images, limits.test_images
    y_train, y_test = (torch.arange(limits.identities).repeat_interleave(images) for images in splits)
    people = torch.cat([private[y_train], private[y_test], public])
    images = render(people, sample_nuisance(len(people), seed=child_seed(Purpose.PHOTOGRAPHS, seed)), size=size)
    x_train, x_test, x_public = (part.clone() for part in images.split([len(y_train), len(y_test), len(public)]))
    parts = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test, "public": x_public}
    mark = face_fingerprint((f"{name} {tuple(part.shape)}", part) for name, part in parts.items())
    return FaceTask(*parts.values(), len(private), size, "synthetic", mark, real_people=False)


def drawn_people(limits: Limits, *, seed: int) -> tuple[Tensor, Tensor]:
    """Private people float32 [K, I], row k the one with label k, and those of the public images, [M, I].

    They come from different seed streams, and no public vector equals a private one (checked).
    """
    private = sample_identities(limits.identities, seed=child_seed(Purpose.PRIVATE_PEOPLE, seed))
    public = sample_identities(limits.public_images, seed=child_seed(Purpose.PUBLIC_PEOPLE, seed))
    people = torch.cat([private, public])
    if len(torch.unique(people, dim=0)) != len(people):  # never so, but the attack's meaning rests on it
        raise refuse("seed", "a seed for which two people are the same", "another seed")
    return private, public


def _bell(n: int, factors: int, generator: torch.Generator) -> Tensor:
    """Standard normals cut off at LIMIT, by the inverse of their distribution function; float32 [n, factors]."""
    low = torch.special.ndtr(torch.tensor(-LIMIT, dtype=torch.float64))
    uniform = torch.rand(n, factors, generator=generator, dtype=torch.float64)
    return torch.special.ndtri(low + (1 - 2 * low) * uniform).clamp_(-LIMIT, LIMIT).float()


def _measures(factors: Tensor, table: dict[str, tuple[float, float]]) -> dict[str, Tensor]:
    """Standardised factors [B, F] -> measures by name, each [B, 1, 1, 1]."""
    columns = (factors.float().clamp(-LIMIT, LIMIT) / LIMIT)[:, :, None, None, None].unbind(1)
    measures = {}
    for (name, (middle, half)), column in zip(table.items(), columns, strict=True):
        value = middle + half * column
        measures[name] = _amount(value, AMOUNTS[name]) if name in AMOUNTS else value
    return measures


def _amount(value: Tensor, bend: float) -> Tensor:
    """max(value, 0), with the corner rounded over [-bend, bend]; at most 1."""
    rounded = (value + bend).clamp(0, 2 * bend).square() / (4 * bend)
    return (rounded + (value - bend).clamp(min=0)).clamp(max=1)


def _refuse_misfits(identity: Tensor, nuisance: Tensor) -> None:
    for name, value, table in (("identity", identity, IDENTITY), ("nuisance", nuisance, NUISANCE)):
        if not isinstance(value, Tensor) or value.dim() != 2 or value.shape[1] != len(table):
            given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise refuse(name, given, f"a tensor of shape [B, {len(table)}]")
        if not bool(torch.isfinite(value).all()):
            raise refuse(name, "a value that is not finite", "finite numbers")
    if len(identity) != len(nuisance):
        raise refuse("nuisance", f"{len(nuisance)} rows", f"{len(identity)} rows, one for each row of identity")
