"""Conversions between rotation forms: unit quaternions (wxyz), matrices, 6-D, Euler angles; numpy, batched.

Every function works on the last one or two axes, broadcasts over the rest and keeps the floating dtype of its
input. Products act from right to left: `rotate(multiply(a, b), v)` is `rotate(a, rotate(b, v))`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
IDENTITY.flags.writeable = False
"""The quaternion that turns nothing."""


def _floats(value: ArrayLike) -> Array:
    array = np.asarray(value)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def unit(vectors: ArrayLike) -> Array:
    """Vectors (..., n) divided by their length; a zero vector stays zero."""
    v = _floats(vectors)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 0, length, np.ones_like(length))


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """Hamilton product of quaternions (..., 4): first turn by `b`, then by `a`."""
    p, q = _floats(a), _floats(b)
    pw, px, py, pz = p[..., 0], p[..., 1], p[..., 2], p[..., 3]
    qw, qx, qy, qz = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    # The order of the sums is that of HumanML3D's code, whose float32 results `extraction` reproduces bit by bit.
    return np.stack(
        (
            pw * qw - px * qx - py * qy - pz * qz,
            px * qw + pw * qx - pz * qy + py * qz,
            py * qw + pz * qx + pw * qy - px * qz,
            pz * qw - py * qx + px * qy + pw * qz,
        ),
        axis=-1,
    )


def inverse(q: ArrayLike) -> Array:
    """Conjugate of unit quaternions (..., 4)."""
    return _floats(q) * np.array([1, -1, -1, -1], dtype=_floats(q).dtype)


def rotate(q: ArrayLike, v: ArrayLike) -> Array:
    """Vectors (..., 3) turned by unit quaternions (..., 4): v + 2 (w (u x v) + u x (u x v))."""
    p, x = _floats(q), _floats(v)
    w, u = p[..., :1], p[..., 1:]
    cross = np.cross(u, x)
    return x + 2 * (w * cross + np.cross(u, cross))


def from_axis_angle(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Quaternions (..., 4) that turn by `angle` (...) radians about `axis` (..., 3) of any length."""
    half = 0.5 * _floats(angle)[..., None]
    vector = unit(axis) * np.sin(half)
    return np.concatenate((np.broadcast_to(np.cos(half), (*vector.shape[:-1], 1)), vector), axis=-1)


def shortest_arc(a: ArrayLike, b: ArrayLike) -> Array:
    """Quaternions (..., 4), w >= 0, of the smallest turn that takes direction `a` (..., 3) to `b` (..., 3).

    Opposite directions have no single answer: the turn is then about some axis across `a`.
    """
    p, q = np.broadcast_arrays(_floats(a), _floats(b))
    w = np.linalg.norm(p, axis=-1) * np.linalg.norm(q, axis=-1) + np.sum(p * q, axis=-1)
    arc = np.concatenate((w[..., None], np.cross(p, q)), axis=-1)
    size = np.linalg.norm(arc, axis=-1, keepdims=True)
    scale = np.linalg.norm(p, axis=-1, keepdims=True) * np.linalg.norm(q, axis=-1, keepdims=True)
    lost = size <= 4 * np.finfo(arc.dtype).eps * np.maximum(scale, np.finfo(arc.dtype).tiny)
    if np.any(lost):
        smallest = np.argmin(np.abs(p), axis=-1)
        across = np.cross(p, np.eye(3, dtype=arc.dtype)[smallest])
        half_turn = np.concatenate((np.zeros_like(w)[..., None], unit(across)), axis=-1)
        same = np.broadcast_to(IDENTITY.astype(arc.dtype), arc.shape)
        arc = np.where(lost, np.where(scale > 0, half_turn, same), arc)
    return unit(arc)


def to_matrix(q: ArrayLike) -> Array:
    """Matrices (..., 3, 3) of quaternions (..., 4); the length of the quaternion does not matter."""
    p = unit(q)
    w, x, y, z = p[..., 0], p[..., 1], p[..., 2], p[..., 3]
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(m: ArrayLike) -> Array:
    """Quaternions (..., 4) with w >= 0 of rotation matrices (..., 3, 3), stable for every angle."""
    r = _floats(m)
    d0, d1, d2 = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    a, b, c = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    d, e, f = r[..., 0, 1] + r[..., 1, 0], r[..., 0, 2] + r[..., 2, 0], r[..., 1, 2] + r[..., 2, 1]
    # The four rows are the same quaternion times 4w, 4x, 4y, 4z; the longest row is the accurate one.
    rows = np.stack(
        [
            np.stack((1 + d0 + d1 + d2, a, b, c), axis=-1),
            np.stack((a, 1 + d0 - d1 - d2, d, e), axis=-1),
            np.stack((b, d, 1 - d0 + d1 - d2, f), axis=-1),
            np.stack((c, e, f, 1 - d0 - d1 + d2), axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = unit(np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)


def matrix_to_six(m: ArrayLike) -> Array:
    """6-D form (..., 6) of matrices (..., 3, 3): first column, then second column."""
    r = _floats(m)
    return np.concatenate((r[..., 0], r[..., 1]), axis=-1)


def six_to_matrix(six: ArrayLike) -> Array:
    """Matrices (..., 3, 3) from 6-D forms (..., 6), orthonormal or not (HumanML3D's order of steps)."""
    s = _floats(six)
    x = unit(s[..., :3])
    z = unit(np.cross(x, s[..., 3:]))
    return np.stack((x, np.cross(z, x), z), axis=-1)


def to_euler(q: ArrayLike) -> Array:
    """Angles (..., 3) in radians, order z, x, y, with R = Rz Rx Ry (BVH: Zrotation Xrotation Yrotation).

    x lies in [-pi/2, pi/2]; at its ends, where only a sum or difference of the others is defined, y is 0.
    """
    r = to_matrix(q)
    cos_x = np.hypot(r[..., 0, 1], r[..., 1, 1])
    x = np.arctan2(r[..., 2, 1], cos_x)
    locked = cos_x < 1e-7
    z = np.where(locked, np.arctan2(r[..., 1, 0], r[..., 0, 0]), np.arctan2(-r[..., 0, 1], r[..., 1, 1]))
    y = np.where(locked, 0, np.arctan2(-r[..., 2, 0], r[..., 2, 2]))
    return np.stack((z, x, y), axis=-1)


def from_euler(angles: ArrayLike) -> Array:
    """Quaternions (..., 4) of angles (..., 3) in radians, order z, x, y, R = Rz Rx Ry."""
    a = _floats(angles)
    axes = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=a.dtype)
    z, x, y = (from_axis_angle(axes[k], a[..., k]) for k in range(3))
    return multiply(multiply(z, x), y)


def smooth_euler(angles: ArrayLike) -> Array:
    """The same rotations as `angles` (F, ..., 3; order z, x, y) as curves without jumps over time.

    Every rotation has two triples, (z, x, y) and (z + pi, pi - x, y + pi), each up to whole turns: take the
    one nearest to the frame before.
    """
    result = _floats(angles).copy()
    turn, half = 2 * np.pi, np.pi
    for now in range(1, len(result)):
        before = result[now - 1]
        first = result[now]
        other = np.stack((first[..., 0] + half, half - first[..., 1], first[..., 2] + half), axis=-1)
        first = first - turn * np.round((first - before) / turn)
        other = other - turn * np.round((other - before) / turn)
        nearer = np.abs(other - before).sum(-1) < np.abs(first - before).sum(-1)
        result[now] = np.where(nearer[..., None], other, first)
    return result


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Array:
    """Quaternions (..., 4) at the fraction `t` (...) of the short way from `a` to `b`."""
    p, q = _floats(a), _floats(b)
    share = np.asarray(t, dtype=np.result_type(p, q))[..., None]
    cos = np.sum(p * q, axis=-1, keepdims=True)
    q = np.where(cos < 0, -q, q)
    chord, reach = (np.linalg.norm(s, axis=-1, keepdims=True) for s in (q - p, q + p))
    angle = 2 * np.arctan2(chord, reach)
    sin = np.sin(angle)
    close = sin < 1e-6
    safe = np.where(close, 1, sin)
    weight_p = np.where(close, 1 - share, np.sin((1 - share) * angle) / safe)
    weight_q = np.where(close, share, np.sin(share * angle) / safe)
    return unit(weight_p * p + weight_q * q)


def unflip(q: ArrayLike) -> Array:
    """The same rotations (F, ..., 4) with signs chosen so that neighbours along the first axis agree."""
    p = _floats(q)
    if len(p) < 2:
        return p.copy()
    flips = np.where(np.sum(p[1:] * p[:-1], axis=-1) < 0, -1, 1).astype(p.dtype)
    signs = np.concatenate((np.ones_like(flips[:1]), np.cumprod(flips, axis=0)))
    return p * signs[..., None]


def angle_between(a: ArrayLike, b: ArrayLike) -> Array:
    """Angle (...) in radians, 0 to pi, of the turn from quaternions `a` to `b` (..., 4)."""
    difference = multiply(inverse(a), b)
    return 2 * np.arctan2(np.linalg.norm(difference[..., 1:], axis=-1), np.abs(difference[..., 0]))
