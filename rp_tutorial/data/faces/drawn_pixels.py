"""The pixels of procedural faces: layer upon layer, each a soft mask and a paint, for a whole batch at once.

A mask falls from 1 to 0 over one pixel across the edge of its shape; that smooths the edges at every size. The numbers
behind every shape come finished from `drawn_plan.py`. Batches are drawn in chunks whose planes fit into a core's cache.
One core draws: hundreds of calls of some microseconds each leave threads waiting for the interpreter, and two of them
were measured to be slower than one.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.drawn_plan import Number, Numbers, Spot, plan

# On a CPU a plane of 256 KiB: enough to pay for a call, few enough for a core's cache.
CHUNK_PIXELS = {"cpu": 2**16, "cuda": 2**22}
NOISE_RING = 2**20  # normals that pixel noise is cut from; every image has its own place to cut


def draw(measures: Numbers, *, size: int) -> Tensor:
    """The pictures of B faces, uint8 [B, 3, size, size], from measures [B, 1, 1, 1]. One row, one image."""
    batch, device = len(measures.scale), measures.scale.device
    images = torch.empty(batch, 3, size, size, dtype=torch.uint8, device=device)
    rows = max(1, CHUNK_PIXELS.get(device.type, CHUNK_PIXELS["cuda"]) // size**2)
    with torch.inference_mode(), one_thread():
        chunk_of = _chunks(*plan(measures, size=size))
        for start in range(0, batch, rows):
            images[start : start + rows] = _paint(*chunk_of(start, start + rows), size=size)
    return images


def _chunks(numbers: Numbers, spots: dict[str, Spot], paints: Numbers) -> Callable:
    """A function from (start, stop) to the same numbers, spots and paints for those rows, in three slices in all."""
    flat = dict(numbers)
    for name, spot in spots.items():
        flat |= {(name, field): value for field, value in spot._asdict().items()}
    tensors = {key: value for key, value in flat.items() if isinstance(value, Tensor)}
    packed, packed_paints = torch.stack(list(tensors.values())), torch.stack(list(paints.values()))

    def rows(start: int, stop: int) -> tuple[Numbers, dict[str, Spot], Numbers]:
        here = flat | dict(zip(tensors, packed[:, start:stop].unbind(0), strict=True))
        some = {name: Spot(*(here[name, field] for field in Spot._fields)) for name in spots}
        colours = zip(paints, packed_paints[:, start:stop].unbind(0), strict=True)
        return Numbers({name: here[name] for name in numbers}), some, Numbers(colours)

    return rows


def _paint(m: Numbers, spots: dict[str, Spot], paints: Numbers, *, size: int) -> Tensor:
    """Background first, glasses, light and pixel noise last: whole numbers in 0..255 as floats, [B, 3, size, size]."""
    centres = (2 * torch.arange(size, device=m.scale.device, dtype=torch.float32) + 1) / size - 1
    x, y = centres.view(1, 1, 1, size), centres.view(1, 1, size, 1)
    canvas = _background(m, paints, x, y)
    right, below = x - m.shift_x, y - m.shift_y
    u, v = m.cos * right + m.sin * below, m.cos * below - m.sin * right
    turned = (u * m.stretch).add_(1).mul_(u - m.turn)  # features lie in front of the head's axis: they move more
    nodded = v - m.nod
    head = _draw_head(canvas, m, spots, paints, u, v)
    _draw_cheeks(canvas, m, spots, paints, turned, nodded, head)
    _draw_mouth(canvas, m, spots, paints, turned, nodded)
    _draw_nose(canvas, spots, paints, u - m.nose_turn * (nodded + 0.4).clamp_(0, 0.7).mul_(1.7), nodded)
    eye_u = turned.abs() - m.eye_spacing  # both eyes at once: the face is folded along its axis
    _draw_eyes(canvas, m, spots, paints, turned, eye_u, nodded)
    _draw_fringe(canvas, m, spots, paints, u, v)
    _draw_glasses(canvas, m, paints, eye_u, nodded, head)
    canvas.mul_((1 + m.slope_x * right) + m.slope_y * below)
    canvas.addcmul_(_pixel_noise(m, size), m.noise_level)
    return canvas.round_().clamp_(0, 255)


# --- Masks ------------------------------------------------------------------------------------------------------------


def _edge(inside: Tensor, sharp: Number) -> Tensor:
    """Mask of inside > 0, one pixel soft if `sharp` is the pixels in a unit of it. Overwrites `inside`."""
    return inside.mul_(sharp).add_(0.5).clamp_(0, 1)


def _mask(spot: Spot, u: Tensor, v: Tensor) -> Tensor:
    """The mask that `Spot` describes."""
    q = (u * spot.per_u).sub_(spot.u0).square_().add_((v * spot.per_v).sub_(spot.v0).square_())
    mask = q.mul_(-spot.slope).add_(spot.top).clamp_(0, 1)
    mask = mask.square_() if spot.soft else mask
    return mask if isinstance(spot.strength, float) and spot.strength == 1 else mask.mul_(spot.strength)


# --- The photograph ---------------------------------------------------------------------------------------------------


def _background(m: Numbers, paints: Numbers, x: Tensor, y: Tensor) -> Tensor:
    """A gradient from one colour to another, bent by a saddle."""
    level = (m.ground_bend * x + m.ground_y) * y + (m.ground_x * x + 0.5)
    return (paints.ground_change * level.clamp_(0, 1)).add_(paints.ground)


def _pixel_noise(m: Numbers, size: int) -> Tensor:
    """White noise [B, 3, S, S], cut from one fixed ring at the place that the image's nuisance names."""
    start = (m.noise_place.flatten() * NOISE_RING).long().clamp_(0, NOISE_RING - 1)
    cuts = _noise_cuts(3 * size * size, m.scale.device).index_select(0, start)
    return cuts.view(-1, 3, size, size)


@lru_cache(maxsize=4)
def _noise_cuts(length: int, device: torch.device) -> Tensor:
    """All slices of this length of NOISE_RING normals in a ring, the same ones in every process; a view."""
    ring = torch.randn(NOISE_RING, generator=torch_generator(Purpose.PIXEL_NOISE))
    return torch.cat([ring, ring[:length]]).to(device).unfold(0, length, 1)


# --- The head ---------------------------------------------------------------------------------------------------------


def _draw_head(canvas, m, spots, paints, u, v) -> Tensor:
    """Hair behind, neck, clothes, ears, and the skin with the light of its form; returns the mask of the face."""
    side = u.abs()
    canvas.lerp_(paints.hair_back, _hair(m, u, v))
    neck = _edge(m.neck_width - side, m.sharp).mul_(_edge(v - 0.3, m.sharp))
    canvas.lerp_(paints.shadow, neck)
    slope = u.square().mul_(-0.42).add_(v).sub_(0.82)
    canvas.lerp_(paints.clothes, _edge(slope, m.sharp))
    canvas.lerp_(paints.ear, _mask(spots["ears"], side, v))
    across, down = u / m.face_width, (v - 0.02) / m.face_height
    across2, down2 = across.square(), down.square()
    outline = (m.jaw * down).add_(m.square * down2).add_(1)  # above 1 the head is narrower than an ellipse, below wider
    head = _edge(outline.mul_(across2).add_(down2).sub_(1).neg_(), m.head_slope)
    form = across.mul_(m.head_side).add_(1.06).sub_(across2.mul_(0.2)).sub_(down.clamp_(min=0).mul_(down).mul_(0.12))
    canvas.lerp_(paints.skin * form, head)
    return head


def _hair(m, u, v) -> Tensor:
    """Mask of all that hair covers, in front of the face or behind: a cap that runs down to the hair's length."""
    height = v + 0.15
    top = (height / m.hair_height).clamp_(max=0).square_()
    down = height.div_(m.hair_length).clamp_(min=0).square_().square_()
    q = (u - m.hair_lean).div_(m.hair_width).square_().add_(top).add_(down)
    return _edge(q.sub_(1).neg_(), m.head_slope)


def _draw_fringe(canvas, m, spots, paints, u, v) -> None:
    """Hair in front of the forehead, with a gleam on top."""
    hair = _hair(m, u, v)
    u, v = u - m.hair_turn, v - m.hair_nod
    line = (m.hair_curve * u).add_(m.hair_part).mul_(u).add_(m.hairline)
    front = _edge(line.sub_(v), m.soft_sharp).mul_(hair)
    strands = (u * 11 - v * 3).frac_().abs_().sub_(0.5).abs_().mul_(0.28).add_(0.92)
    canvas.lerp_(paints.hair * strands, front)
    canvas.lerp_(paints.hair_gleam, _mask(spots["hair_gleam"], u, v).mul_(front))


# --- The features -----------------------------------------------------------------------------------------------------


def _draw_cheeks(canvas, m, spots, paints, u, v, head) -> None:
    """Blush, a mole, the dent below the lips, the beard along the jaw and the moustache."""
    canvas.lerp_(paints.blush, _mask(spots["cheeks"], u.abs(), v).mul_(head))
    canvas.lerp_(paints.mole, _mask(spots["mole"], u, v))
    canvas.lerp_(paints.shadow, _mask(spots["chin"], u, v))
    u2 = u.square()
    beard = (1.1 * u2).add_(v).sub_(m.beard_line)
    canvas.lerp_(paints.beard, _edge(beard, m.blur_sharp).mul_(head).mul_(m.beard))
    canvas.lerp_(paints.beard, _mask(spots["moustache"], u, u2.mul_(-0.5).add_(v)))


def _draw_mouth(canvas, m, spots, paints, u, v) -> None:
    """Lips along a line bent by the smile; between them the dark of the mouth and, where it is open, teeth."""
    bent = (m.lip_bend * u).mul_(u).add_(v).sub_(m.lip_line)
    canvas.lerp_(paints.lips, _mask(spots["lips"], u, bent))
    line = _edge(m.gap - bent.abs(), m.sharp).mul_(_edge(m.gap_width - u.abs(), m.sharp)).mul_(m.gap_peak)
    canvas.lerp_(paints.mouth, torch.maximum(line, _mask(spots["gap"], u, bent)))
    canvas.lerp_(paints.white, _mask(spots["teeth"], u, bent))


def _draw_nose(canvas, spots, paints, u, v) -> None:
    """Shadow beside the bridge and below the tip, a gleam on the ridge, two nostrils."""
    for name, paint in (("bridge", "shadow"), ("nose", "shadow"), ("ridge", "gleam"), ("tip", "gleam")):
        canvas.lerp_(paints[paint], _mask(spots[name], u, v))
    canvas.lerp_(paints.nostril, _mask(spots["nostrils"], u.abs(), v))


def _draw_eyes(canvas, m, spots, paints, u, eye_u, v) -> None:
    """Sockets, lashes, the white, iris, pupil and glint, and the brows above."""
    eye_v = (m.eye_tilt * eye_u).add_(v).sub_(m.eye_height)
    canvas.lerp_(paints.shadow, _mask(spots["sockets"], eye_u, eye_v))
    canvas.lerp_(paints.lash, _mask(spots["lashes"], eye_u, eye_v))
    white = _mask(spots["white"], eye_u, eye_v)
    canvas.lerp_(paints.white, white)
    gaze_u = u.sign().mul_(m.look).neg_().add_(eye_u)  # folded, the two eyes look to opposite sides
    for name, paint in (("iris", "iris"), ("pupil", "pupil"), ("glint", "white")):
        canvas.lerp_(paints[paint], _mask(spots[name], gaze_u, eye_v).mul_(white))
    arch = (eye_u * -1.3).add_(m.brow_angle).mul_(eye_u).add_(v).sub_(m.brow_line)
    half = (eye_u * -m.brow_fade).add_(m.brow_width)  # thinner towards the temple
    brow = _edge(half.sub_(arch.abs_()), m.sharp).mul_(m.brow_peak)
    canvas.lerp_(paints.brow, brow.mul_(_edge(m.brow_length - eye_u.abs(), m.soft_sharp)))


def _draw_glasses(canvas, m, paints, eye_u, v, head) -> None:
    """Two rounded frames, a bridge between them and temples to the ears, as thick as their measure."""
    q = (eye_u / m.lens_size).square_().square_().add_((v / m.lens_height).sub_(m.lens_line).square_().square_())
    q.sub_(1)
    bar = _edge(m.glasses - (v - m.bar_line).abs_(), m.sharp).mul_(_edge(q.clone(), m.lens_slope)).mul_(head)
    rim = _edge(m.rim - q.abs_(), m.lens_slope)
    canvas.lerp_(paints.frame, torch.maximum(rim, bar).mul_(m.frame_peak))
