"""From the measures of a face and of a photograph to the paints and shapes that are drawn: numbers, no pixels yet.

Everything here is worked out once for a whole batch, [B, 1, 1, 1] a number and [B, 3, 1, 1] a colour, so that the
loops over pixels in `drawn_pixels.py` meet finished numbers only. Which measures exist and how they are sampled is in
`drawn.py`. Lengths are in face units: the origin lies between eyes and nose, u points right, v down, and the chin is
near v = .75. Colours are in 0..255.

Only additions, products and quotients are used, here and there: they are rounded alike in every loop of a machine, so
that an image does not depend on the images beside it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

Number = Tensor | float
CHANNELS = ("red", "green", "blue")

# Palettes run from t = -1 over 0 to 1 along a quadratic curve, so that colour is smooth in t.
SKIN = ((82.0, 50.0, 34.0), (196.0, 132.0, 92.0), (250.0, 214.0, 190.0))
HAIR = ((20.0, 16.0, 16.0), (92.0, 58.0, 34.0), (226.0, 190.0, 120.0))
IRIS = ((62.0, 38.0, 20.0), (84.0, 124.0, 70.0), (96.0, 150.0, 215.0))
LIPS = ((140.0, 66.0, 62.0), (186.0, 84.0, 82.0), (206.0, 54.0, 70.0))
BLACK, WHITE = (22.0, 18.0, 18.0), (228.0, 225.0, 222.0)


class Numbers(dict):
    """Numbers by name, read as attributes: `m.eye_size`."""

    def __getattr__(self, name: str) -> Number:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Spot(NamedTuple):
    """An ellipse in one of the frames of `drawn_pixels.py`: a shape with a crisp edge or, if `soft`, a glow.

    With q = (u / half_u - u0)^2 + (v / half_v - v0)^2 the mask is top - slope q, cut off at 0 and 1, squared if it is
    `soft`, times `strength`.
    """

    per_u: Number
    u0: Number
    per_v: Number
    v0: Number
    slope: Number
    top: Number
    strength: Number
    soft: bool


def plan(m: Numbers, *, size: int) -> tuple[Numbers, dict[str, Spot], Numbers]:
    """Numbers, spots and paints of a batch for pictures of this size."""
    m = Numbers(m)
    m["sharp"] = 0.5 * size * m.scale  # pixels in a face unit
    _add_camera(m)
    _add_lines(m)
    return m, _spots(m), _paints(m)


# --- The photograph ---------------------------------------------------------------------------------------------------


def _add_camera(m: Numbers) -> None:
    """The rotation as cosine and sine over the scale, and the slope of the light across the image."""
    tangent = 0.5 * m.rotation  # of half the angle: the rational form of a rotation needs no sine
    norm = m.scale * (1 + tangent * tangent)
    m["cos"], m["sin"] = (1 - tangent * tangent) / norm, 2 * tangent / norm
    m["turn"], m["stretch"] = 0.13 * m.yaw, 0.22 * m.yaw
    m["nod"], m["hair_turn"], m["hair_nod"] = 0.07 * m.pitch, 0.04 * m.yaw, 0.04 * m.pitch
    m["nose_turn"], m["look"] = 0.16 * m.yaw, 0.035 * m.gaze_x
    m["slope_x"], m["slope_y"] = 0.3 * m.light_x, 0.22 * m.light_y


def _lit(m: Numbers, colour: Tensor) -> Tensor:
    """A colour under the lamp: brighter or darker, warmer or colder."""
    warmth = torch.cat([1 + m.light_warmth, torch.ones_like(m.light_warmth), 1 - m.light_warmth], dim=1)
    return colour * (m.brightness * warmth)


# --- Colours ----------------------------------------------------------------------------------------------------------


def _paints(m: Numbers) -> Numbers:
    """The paints of a face and of what is around it, under the lamp, each [B, 3, 1, 1]."""
    skin = _palette(SKIN, m.skin_tone) + m.skin_warmth * _colour(m, (14.0, 0.0, -16.0))
    hair = _palette(HAIR, m.hair_tone) + m.hair_redness * _colour(m, (40.0, -4.0, -18.0))
    hair, black = hair.clamp(8, 255), _colour(m, BLACK)
    shadow = skin * _colour(m, (0.62, 0.54, 0.52))
    paints = {
        "skin": skin,
        "shadow": shadow,
        "ear": 0.55 * shadow + 0.45 * skin,
        "nostril": 0.5 * shadow,
        "blush": skin * _colour(m, (1.04, 0.74, 0.72)),
        "gleam": skin + 0.45 * (255 - skin),
        "hair": hair,
        "hair_back": 0.72 * hair,
        "hair_gleam": hair + 0.28 * (255 - hair),
        "brow": 0.7 * hair + 0.12 * skin,
        "lash": 0.35 * hair + 0.1 * skin,
        "beard": 0.8 * hair + 0.15 * skin,
        "mole": 0.35 * skin,
        "lips": 0.6 * _palette(LIPS, m.lip_colour) + 0.4 * skin * _colour(m, (0.95, 0.62, 0.6)),
        "mouth": black + 0.2 * skin,
        "iris": _palette(IRIS, m.iris_colour),
        "pupil": black.expand_as(skin),
        "white": _colour(m, WHITE).expand_as(skin),
        "frame": black + _rgb(m, "frame"),
        "clothes": (m.clothes_light + _rgb(m, "clothes")).clamp(0, 255),
        "ground": (m.ground_light + _rgb(m, "ground_a")).clamp(0, 255),
        "ground_change": m.ground_change + _rgb(m, "ground_b"),
    }
    return Numbers({name: _lit(m, paint) for name, paint in paints.items()})


def _colour(m: Numbers, values: tuple[float, float, float]) -> Tensor:
    return m.scale.new_tensor(values).view(1, 3, 1, 1)


def _rgb(m: Numbers, prefix: str) -> Tensor:
    return torch.cat([m[f"{prefix}_{channel}"] for channel in CHANNELS], dim=1)


def _palette(stops: tuple, t: Tensor) -> Tensor:
    """The colour at t in [-1, 1] on the quadratic curve through the three stops."""
    dark, middle, light = (t.new_tensor(stop).view(1, 3, 1, 1) for stop in stops)
    return middle + t * (0.5 * (light - dark)) + (t * t) * (0.5 * (light + dark) - middle)


# --- Shapes -----------------------------------------------------------------------------------------------------------


def _add_lines(m: Numbers) -> None:
    """Numbers of the shapes that are no ellipses: head, hair, neck, beard, mouth, brows, glasses."""
    m["head_slope"], m["soft_sharp"], m["blur_sharp"] = 0.5 * m.face_width * m.sharp, 0.6 * m.sharp, 0.25 * m.sharp
    m["head_side"], m["neck_width"] = 0.18 * m.light_x, 0.62 * m.face_width
    m["hair_width"], m["hair_height"] = m.face_width + 0.8 * m.hair_volume, m.face_height - 0.13 + m.hair_volume
    m["hair_lean"] = 0.12 * m.hair_part
    m["beard_line"] = m.mouth_height - 0.1
    m["lip_line"], m["lip_bend"] = m.mouth_height + 0.045 * m.smile, 1.5 * m.smile
    m["gap"], m["gap_width"] = 0.011 + 0.5 * m.mouth_open, 0.85 * m.mouth_width * (1 + 0.15 * m.smile)
    m["gap_peak"] = 0.75 * (2 * m.gap * m.sharp).clamp(max=1)
    m["brow_line"] = m.eye_height - m.brow_height - 0.06 * m.brow_raise
    m["brow_length"], m["brow_fade"] = 1.4 * m.eye_size, 1.6 * m.brow_width
    m["brow_peak"] = (2 * m.brow_width * m.sharp).clamp(max=1)
    m["lens_height"], m["lens_slope"] = m.lens_size * m.lens_shape, 0.25 * m.lens_size * m.sharp
    m["lens_line"], m["bar_line"] = (m.eye_height + 0.03) / m.lens_height, m.eye_height - 0.02
    m["rim"], m["frame_peak"] = 4 * m.glasses / m.lens_size, (2 * m.glasses * m.sharp).clamp(max=1)


def _spots(m: Numbers) -> dict[str, Spot]:
    """Everything that is an ellipse, by name."""
    size, opening = m.eye_size, m.eye_size * m.eye_opening * m.eyes_open
    width, lips, gap = m.mouth_width * (1 + 0.15 * m.smile), m.lip_fullness + 0.5 * m.mouth_open, m.gap
    nose, tip, ear = m.nose_width, m.nose_length, m.ear_size
    bridge, iris = -0.035 - 0.05 * m.light_x, 0.5 * size
    return {
        "ears": _crisp(m, m.face_width + 0.2 * ear, 0.02, 0.62 * ear, 1.25 * ear),
        "cheeks": _glow(0.3, 0.22, 0.24, 0.2, m.blush),
        "mole": _crisp(m, m.mole_u, m.mole_v, m.mole_size, m.mole_size, m.mole_strength),
        "hair_gleam": _glow(0.2 * m.light_x - 0.1, -0.6, 0.45, 0.22, 0.6),
        "chin": _glow(0.0, m.mouth_height + 0.13, 0.2, 0.06, 0.4),
        "moustache": _crisp(m, 0.0, m.mouth_height - 0.1, 1.05 * m.mouth_width, 0.055, m.moustache),
        "lips": _crisp(m, 0.0, 0.0, width, lips),
        "gap": _crisp(m, 0.0, 0.0, 0.88 * width, gap),
        "teeth": _crisp(m, 0.0, -0.35 * gap, 0.7 * width, 0.55 * gap, (14 * m.mouth_open).clamp(0, 0.9)),
        "bridge": _glow(bridge, tip - 0.18, 0.6 * nose, 0.3, 0.45),
        "nose": _glow(0.0, tip, 1.25 * nose, 0.085, 0.9),
        "ridge": _glow(0.0, tip - 0.16, 0.35 * nose, 0.26, 0.55),
        "tip": _glow(0.0, tip - 0.05, 0.5 * nose, 0.07, 0.4),
        "nostrils": _crisp(m, 0.55 * nose, tip + 0.015, 0.35 * nose, 0.024, 0.85),
        "sockets": _glow(0.0, -0.03, 1.7 * size, 1.3 * size, 0.6),
        "lashes": _crisp(m, 0.0, -0.022, 1.12 * size, opening + 0.022),
        "white": _crisp(m, 0.0, 0.0, size, opening),
        "iris": _crisp(m, 0.0, 0.02 * m.gaze_y, iris, iris),
        "pupil": _crisp(m, 0.0, 0.02 * m.gaze_y, 0.5 * iris, 0.5 * iris),
        "glint": _crisp(m, -0.02, -0.025, 0.02, 0.02),
    }


def _crisp(m: Numbers, u: Number, v: Number, half_u: Number, half_v: Number, strength: Number = 1.0) -> Spot:
    """A filled ellipse whose edge is one pixel soft, measured along v, where features are thin."""
    slope = 0.5 * half_v * m.sharp  # q grows by 2 / half_v a unit at the edge
    return Spot(1 / half_u, u / half_u, 1 / half_v, v / half_v, slope, 0.5 + slope, strength, soft=False)


def _glow(u: Number, v: Number, half_u: Number, half_v: Number, strength: Number) -> Spot:
    """A soft spot: 1 at the centre, 0 from the edge on."""
    return Spot(1 / half_u, u / half_u, 1 / half_v, v / half_v, 1.0, 1.0, strength, soft=True)
