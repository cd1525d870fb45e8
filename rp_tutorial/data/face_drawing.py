"""How a face is drawn: from named measures of a face and of a photograph to pixels, layer upon layer.

Every layer is a soft mask and a colour, for a whole batch at once. A mask falls from 1 to 0 over one pixel across the
edge of its shape, which is what smooths the edges at every size. Lengths are in face units: the origin lies between
the eyes and the nose, u points right and v down, the chin is near v = .75. Colours are in 0..255 while drawing.
Which measures exist and how they are sampled is in `faces.py`.

Only additions, products, quotients, roots and comparisons touch a pixel. These are rounded alike in every loop of the
machine, so that an image does not depend on the images beside it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

NOISE_POOL = 2**20  # normals that pixel noise is cut from; every image has its own place to cut
BLACK, WHITE = (22.0, 18.0, 18.0), (240.0, 238.0, 235.0)
# Palettes run from t = -1 over 0 to 1 along a quadratic curve, so that colour is smooth in t.
SKIN = ((82.0, 50.0, 34.0), (196.0, 132.0, 92.0), (250.0, 214.0, 190.0))
HAIR = ((20.0, 16.0, 16.0), (92.0, 58.0, 34.0), (226.0, 190.0, 120.0))
IRIS = ((62.0, 38.0, 20.0), (84.0, 124.0, 70.0), (96.0, 150.0, 215.0))
LIPS = ((140.0, 66.0, 62.0), (186.0, 84.0, 82.0), (206.0, 54.0, 70.0))


class Measures(dict):
    """Measures by name, each [B, 1, 1, 1], read as attributes: `m.eye_size`."""

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def draw(m: Measures, *, size: int) -> Tensor:
    """The pictures of B faces, uint8 [B, 3, size, size]: background first, glasses and pixel noise last."""
    u, v, sharp = _face_coordinates(m, size)
    turned = (u - 0.13 * m.yaw) * (1 + 0.22 * m.yaw * u)  # features lie in front of the head's axis: they move more
    nodded = v - 0.07 * m.pitch
    colours = _colours(m)
    canvas = _background(m, size)
    head, across, down = _head(u, v, m, sharp)
    hair = _hair_outline(u, v, m, sharp)
    _blend(canvas, colours["hair_back"], hair)
    _draw_skin(canvas, u, v, m, sharp, colours, head, across, down)
    _draw_beard(canvas, turned, nodded, m, sharp, colours, head)
    _draw_mouth(canvas, turned, nodded, m, sharp, colours)
    _draw_nose(canvas, u, nodded, m, sharp, colours)
    eye_u = turned.abs() - m.eye_spacing  # both eyes at once: the face is folded along its axis
    _draw_eyes(canvas, turned, eye_u, nodded, m, sharp, colours)
    _draw_fringe(canvas, u - 0.04 * m.yaw, v - 0.04 * m.pitch, m, sharp, colours, hair)
    _draw_glasses(canvas, turned, eye_u, nodded, m, sharp, head)
    canvas.mul_(1 + (m.light_x * u + m.light_y * v).mul_(0.28))
    canvas.add_(_pixel_noise(m, size))
    return canvas.round_().clamp_(0, 255).to(torch.uint8)


# --- Masks ------------------------------------------------------------------------------------------------------------


def _edge(distance: Tensor, sharp: Tensor) -> Tensor:
    """Mask of distance < 0, one pixel soft; `sharp` is pixels per unit of distance. Overwrites `distance`."""
    return distance.mul_(-sharp).add_(0.5).clamp_(0, 1)


def _ellipse(u: Tensor, v: Tensor, half_u: Tensor, half_v: Tensor) -> Tensor:
    """(u / half_u)^2 + (v / half_v)^2: below 1 inside."""
    return (u / half_u).square_().add_((v / half_v).square_())


def _filled(q: Tensor, radius: Tensor, sharp: Tensor) -> Tensor:
    """Mask of q < 1 for a squared relative radius q; `radius` is the length where q is 1. Overwrites `q`."""
    return _edge(q.sub_(1), 0.5 * radius * sharp)


def _glow(q: Tensor) -> Tensor:
    """A soft spot, 1 at the centre of an ellipse and 0 from its edge on. Overwrites `q`."""
    return q.neg_().add_(1).clamp_(min=0).square_()


def _stroke(distance: Tensor, half_width: Tensor, sharp: Tensor) -> Tensor:
    """Mask of |distance| < half_width that fades, and does not vanish, below the width of a pixel."""
    peak = (2 * half_width * sharp).clamp(max=1)
    return _edge(distance.abs_().sub_(half_width), sharp).mul_(peak)


def _blend(canvas: Tensor, colour: Tensor, mask: Tensor) -> None:
    canvas.lerp_(colour, mask)


# --- The photograph ---------------------------------------------------------------------------------------------------


def _face_coordinates(m: Measures, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """u, v [B, 1, S, S] of the pixel centres, and the pixels in a face unit [B, 1, 1, 1]."""
    centres = (2 * torch.arange(size, device=m.scale.device, dtype=torch.float32) + 1) / size - 1
    x, y = centres.view(1, 1, 1, size) - m.shift_x, centres.view(1, 1, size, 1) - m.shift_y
    tangent = 0.5 * m.rotation  # of half the angle: the rational form of a rotation needs no sine
    norm = m.scale * (1 + tangent * tangent)
    cos, sin = (1 - tangent * tangent) / norm, 2 * tangent / norm
    return cos * x + sin * y, cos * y - sin * x, 0.5 * size * m.scale


def _background(m: Measures, size: int) -> Tensor:
    """A gradient between two colours, bent by a saddle."""
    centres = (2 * torch.arange(size, device=m.scale.device, dtype=torch.float32) + 1) / size - 1
    x, y = centres.view(1, 1, 1, size), centres.view(1, 1, size, 1)
    level = (m.ground_x * x + 0.5) + (m.ground_y * y) + (m.ground_bend * x) * y
    first, second = _rgb(m, "ground_a"), _rgb(m, "ground_b")
    return _lit(m, first) + _lit(m, second - first) * level.clamp_(0, 1)


def _pixel_noise(m: Measures, size: int) -> Tensor:
    """White noise [B, 3, S, S], cut from one fixed pool at the place that the image's nuisance names."""
    pool = _noise_pool(3 * size * size, m.scale.device)
    start = (m.noise_place.flatten() * NOISE_POOL).long().clamp_(0, NOISE_POOL - 1)
    cuts = pool.unfold(0, 3 * size * size, 1).index_select(0, start)
    return cuts.view(-1, 3, size, size).mul_(m.noise_level)


@lru_cache(maxsize=4)
def _noise_pool(extra: int, device: torch.device) -> Tensor:
    """NOISE_POOL normals, the same in every process, and `extra` of them again, so that every cut is a plain slice."""
    pool = torch.randn(NOISE_POOL, generator=torch.Generator().manual_seed(0))
    return torch.cat([pool, pool[:extra]]).to(device)


# --- Colours ----------------------------------------------------------------------------------------------------------


def _rgb(m: Measures, prefix: str) -> Tensor:
    return torch.cat([m[f"{prefix}_{channel}"] for channel in ("red", "green", "blue")], dim=1)


def _lit(m: Measures, colour: Tensor) -> Tensor:
    """A colour under the lamp: brighter or darker, warmer or colder."""
    warmth = torch.cat([1 + m.light_warmth, torch.ones_like(m.light_warmth), 1 - m.light_warmth], dim=1)
    return colour * (m.brightness * warmth)


def _palette(stops: tuple, t: Tensor) -> Tensor:
    """The colour at t in [-1, 1] on the quadratic curve through the three stops, [B, 3, 1, 1]."""
    dark, middle, light = (t.new_tensor(stop).view(1, 3, 1, 1) for stop in stops)
    return middle + (0.5 * (light - dark)) * t + (0.5 * (light + dark) - middle) * (t * t)


def _colours(m: Measures) -> dict[str, Tensor]:
    """The paints of a face under its lamp, each [B, 3, 1, 1]."""
    tint = m.skin_warmth.new_tensor([14.0, 0.0, -16.0]).view(1, 3, 1, 1)
    skin = _palette(SKIN, m.skin_tone) + tint * m.skin_warmth
    red = m.hair_redness.new_tensor([40.0, -4.0, -18.0]).view(1, 3, 1, 1)
    hair = (_palette(HAIR, m.hair_tone) + red * m.hair_redness).clamp(8, 255)
    black, white = (skin.new_tensor(paint).view(1, 3, 1, 1) for paint in (BLACK, WHITE))
    paints = {
        "skin": skin,
        "shadow": skin * skin.new_tensor([0.62, 0.54, 0.52]).view(1, 3, 1, 1),
        "blush": skin * skin.new_tensor([1.04, 0.74, 0.72]).view(1, 3, 1, 1),
        "gleam": skin + 0.45 * (255 - skin),
        "hair": hair,
        "hair_back": 0.72 * hair,
        "hair_gleam": hair + 0.28 * (255 - hair),
        "brow": 0.7 * hair + 0.12 * skin,
        "lash": 0.35 * hair + 0.1 * skin,
        "beard": 0.8 * hair + 0.15 * skin,
        "mole": 0.35 * skin,
        "lips": 0.6 * _palette(LIPS, m.lip_colour) + 0.4 * skin * skin.new_tensor([0.95, 0.62, 0.6]).view(1, 3, 1, 1),
        "mouth": black + 0.2 * skin,
        "iris": _palette(IRIS, m.iris_colour),
        "pupil": black,
        "white": white,
        "clothes": _rgb(m, "clothes"),
    }
    return {name: _lit(m, paint) for name, paint in paints.items()}


# --- The head ---------------------------------------------------------------------------------------------------------


def _head(u: Tensor, v: Tensor, m: Measures, sharp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mask of the face without ears, and u, v relative to its half width and half height."""
    across, down = u / m.face_width, (v - 0.02) / m.face_height
    width = 1 + m.jaw * down + m.square * down.square()  # below 1 where the outline bulges, above where it narrows
    q = across.square().mul_(width).add_(down.square())
    return _filled(q, m.face_width, sharp), across, down


def _hair_outline(u: Tensor, v: Tensor, m: Measures, sharp: Tensor) -> Tensor:
    """Everything that hair covers, in front of the face or behind: a cap that runs down to the hair's length."""
    height = v + 0.15
    top = (height / (m.face_height - 0.13 + m.hair_volume)).clamp_(max=0).square_()
    down = (height / m.hair_length).clamp_(min=0).square_().square_()
    lean = u - 0.12 * m.hair_part
    q = (lean / (m.face_width + 0.8 * m.hair_volume)).square_().add_(top).add_(down)
    return _filled(q, m.face_width, sharp)


def _draw_skin(canvas, u, v, m, sharp, colours, head, across, down) -> None:
    """Neck and shoulders, ears, and the face with light and shadow of its form."""
    neck = _edge(u.abs() - 0.62 * m.face_width, sharp).mul_(_edge(0.3 - v, sharp))
    _blend(canvas, colours["shadow"], neck)
    slope = 0.42 * u.square() + 0.93
    _blend(canvas, colours["clothes"], _edge(slope - v, sharp))
    ear_u = u.abs() - (m.face_width + 0.2 * m.ear_size)
    ears = _filled(_ellipse(ear_u, v - 0.02, m.ear_size * 0.62, m.ear_size * 1.25), m.ear_size * 0.8, sharp)
    _blend(canvas, colours["shadow"] + 0.45 * (colours["skin"] - colours["shadow"]), ears)
    form = across.square().mul_(-0.2).add_(1.06)
    form.add_(across * (0.16 * m.light_x)).sub_(down.clamp(min=0).square_().mul_(0.12))
    _blend(canvas, colours["skin"] * form, head)
    cheek = _glow(_ellipse(u.abs() - 0.3, v - 0.22, 0.24 + 0 * m.blush, 0.2 + 0 * m.blush)).mul_(m.blush).mul_(head)
    _blend(canvas, colours["blush"], cheek)
    mole = _ellipse(u - m.mole_u, v - m.mole_v, m.mole_size + 1e-3, m.mole_size + 1e-3)
    _blend(canvas, colours["mole"], _filled(mole, m.mole_size, sharp).mul_(m.mole_strength))


def _draw_fringe(canvas, u, v, m, sharp, colours, hair) -> None:
    """Hair in front of the forehead, with a gleam on top."""
    line = m.hairline + m.hair_curve * u.square() + m.hair_part * u
    front = _edge(v - line, 0.6 * sharp).mul_(hair)
    _blend(canvas, colours["hair"], front)
    gleam = _glow(_ellipse(u - 0.2 * m.light_x + 0.1, v + 0.6, 0.45 + 0 * m.yaw, 0.22 + 0 * m.yaw))
    _blend(canvas, colours["hair_gleam"], gleam.mul_(front).mul_(0.6))


def _draw_beard(canvas, u, v, m, sharp, colours, head) -> None:
    """Beard along the jaw and moustache under the nose, each as dense as its measure."""
    line = m.mouth_height - 0.1 - 1.1 * u.square()
    beard = _edge(line - v, 0.25 * sharp).mul_(head).mul_(m.beard)
    _blend(canvas, colours["beard"], beard)
    droop = v - m.mouth_height + 0.105 - 0.5 * u.square()
    ru, rv = 1.05 * m.mouth_width, 0.055 + 0 * m.mouth_width
    _blend(canvas, colours["beard"], _filled(_ellipse(u, droop, ru, rv), 0.09, sharp).mul_(m.moustache))


# --- The features -----------------------------------------------------------------------------------------------------


def _draw_mouth(canvas, u, v, m, sharp, colours) -> None:
    """Lips along a line bent by the smile; between them the dark of the mouth and, where it is open, teeth."""
    width = m.mouth_width * (1 + 0.15 * m.smile)
    bent = v - m.mouth_height + m.smile * (0.9 * u.square() - 0.03)
    lips = m.lip_fullness + 0.5 * m.mouth_open
    _blend(canvas, colours["lips"], _filled(_ellipse(u, bent, width, lips), lips, sharp))
    gap = 0.012 + 0.5 * m.mouth_open
    q = _ellipse(u, bent, 0.88 * width, gap)
    inside = _stroke(bent.clone(), gap, sharp).mul_(_edge((u.abs() - 0.85 * width), sharp))
    inside = torch.maximum(inside * 0.7, _filled(q, gap, sharp))
    _blend(canvas, colours["mouth"], inside)
    teeth = _filled(_ellipse(u, bent + 0.35 * gap, 0.7 * width, 0.55 * gap), gap, sharp)
    _blend(canvas, colours["white"], teeth.mul_((m.mouth_open * 14).clamp(0, 0.9)))


def _draw_nose(canvas, u, v, m, sharp, colours) -> None:
    """Shadow beside the bridge and below the tip, a gleam on the ridge, two nostrils."""
    nose = u - 0.19 * m.yaw * (v + 0.4).clamp(0, 0.7) * 1.6
    tip = v - m.nose_length
    side = nose + 0.05 * m.light_x + 0.035
    bridge = _glow(_ellipse(side, tip + 0.18, 0.6 * m.nose_width, 0.3 + 0 * m.yaw)).mul_(0.45)
    _blend(canvas, colours["shadow"], bridge)
    _blend(canvas, colours["shadow"], _glow(_ellipse(nose, tip, 1.25 * m.nose_width, 0.085 + 0 * m.yaw)).mul_(0.9))
    _blend(
        canvas, colours["gleam"], _glow(_ellipse(nose, tip + 0.16, 0.35 * m.nose_width, 0.26 + 0 * m.yaw)).mul_(0.55)
    )
    _blend(canvas, colours["gleam"], _glow(_ellipse(nose, tip + 0.05, 0.5 * m.nose_width, 0.07 + 0 * m.yaw)).mul_(0.4))
    nostril = _ellipse(nose.abs() - 0.55 * m.nose_width, tip - 0.015, 0.35 * m.nose_width, 0.024 + 0 * m.yaw)
    _blend(canvas, 0.5 * colours["shadow"], _filled(nostril, 0.03, sharp).mul_(0.85))


def _draw_eyes(canvas, u, eye_u, v, m, sharp, colours) -> None:
    """Sockets, lashes, the white, iris, pupil and glint, and the brows above."""
    eye_v = v - m.eye_height + m.eye_tilt * eye_u
    _blend(
        canvas, colours["shadow"], _glow(_ellipse(eye_u, eye_v + 0.02, 1.7 * m.eye_size, 1.2 * m.eye_size)).mul_(0.6)
    )
    opening = m.eye_size * m.eye_opening * m.eyes_open
    lash = _filled(_ellipse(eye_u, eye_v + 0.022, 1.12 * m.eye_size, opening + 0.022), opening, sharp)
    _blend(canvas, colours["lash"], lash)
    white = _filled(_ellipse(eye_u, eye_v, m.eye_size, opening), opening, sharp)
    _blend(canvas, colours["white"], white)
    gaze_u = eye_u - 0.035 * m.gaze_x * torch.sign(u)
    iris = _ellipse(gaze_u, eye_v - 0.02 * m.gaze_y, 0.5 * m.eye_size, 0.5 * m.eye_size)
    _blend(canvas, colours["iris"], _filled(iris.clone(), 0.5 * m.eye_size, sharp).mul_(white))
    _blend(canvas, colours["pupil"], _filled(iris.mul_(4), 0.25 * m.eye_size, sharp).mul_(white))
    glint = _filled(_ellipse(gaze_u + 0.02, eye_v + 0.025, 0.02 + 0 * m.yaw, 0.02 + 0 * m.yaw), 0.02, sharp)
    _blend(canvas, colours["white"], glint.mul_(white))
    brow_v = v - m.eye_height + m.brow_height + 0.06 * m.brow_raise + m.brow_angle * eye_u + 1.2 * eye_u.square()
    half = m.brow_width * (1 - 1.6 * eye_u).clamp_(0.4, 1.3)
    peak = (2 * half * sharp).clamp_(max=1)
    brow = _edge(brow_v.abs_().sub_(half), sharp).mul_(peak).mul_(_edge(eye_u.abs() - 1.45 * m.eye_size, 0.7 * sharp))
    _blend(canvas, colours["brow"], brow)


def _draw_glasses(canvas, u, eye_u, v, m, sharp, head) -> None:
    """Two rounded frames, a bridge between them and temples to the ears, as thick as their measure."""
    lens_u, lens_v = eye_u / m.lens_size, (v - m.eye_height - 0.02) / (m.lens_size * m.lens_shape)
    a, b = lens_u.square_(), lens_v.square_()
    q = a + b + a.mul_(b)
    outside = _edge(1 - q, 0.5 * m.lens_size * sharp)
    rim = _stroke(q.sub_(1).mul_(0.5 * m.lens_size), m.glasses, sharp)
    bar = _stroke(v - m.eye_height + 0.02, m.glasses, sharp).mul_(outside).mul_(head)
    frame = torch.maximum(rim, bar)
    dark = _lit(m, u.new_tensor(BLACK).view(1, 3, 1, 1) + _rgb(m, "frame"))
    _blend(canvas, dark, frame)
