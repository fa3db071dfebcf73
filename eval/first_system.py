"""What the first working system must show: generated motion measured beside real test clips.

Every measurement takes a `Maker` (a plan and seeds in, motions out), so that it knows nothing of models, and
returns a plain dictionary for JSON. Figures of real clips stand in the same dictionary.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from collage_motion.data.captions import sample_caption
from collage_motion.data.dataset import Clip
from collage_motion.errors import DataError
from collage_motion.features import features_to_joints
from collage_motion.kinematics import solve_error, solve_rotations
from collage_motion.motion import Motion
from collage_motion.plan import Plan, Segment
from collage_motion.skeleton import FPS, TOES

from .classifier import ContentClassifier, same_family
from .quality import Slide, inner_jerk, jerk, seam_jerk, total_slide, window_jerks, wrap_gap

Maker = Callable[[Plan, Sequence[int]], Sequence[Motion]]
Report = dict[str, Any]

REAL_WINDOWS: Final = 1000
"""Random 60-frame windows of real clips behind the jerk of reality."""

CLIP_SECONDS: Final = (2.0, 8.0)
"""Limits of a single generated action; between them it lasts as long as the median real clip."""


def read_prompts(name: str) -> dict[str, Any]:
    """A prompt file of this package (`unseen` or `plans`)."""
    text = files(__package__).joinpath("prompts", f"{name}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _plan(rows: Sequence[Mapping[str, Any]], loop: bool = False) -> Plan:
    return Plan(tuple(Segment(row["prompt"], float(row["seconds"])) for row in rows), loop)


def _shares(seeds: Sequence[int], parts: int) -> list[list[int]]:
    return [list(seeds[k::parts]) for k in range(parts)]


def real_jerks(clips: Sequence[Clip]) -> dict[str, float]:
    """Median of J over all frames of the real clips of each content."""
    values: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for clip in clips:
        if clip.content and len(clip.joints) >= 4:
            values[clip.content].append(jerk(clip.joints))
    return {content: float(np.median(np.concatenate(rows))) for content, rows in values.items()}


def measure_long(make: Maker, clips: Sequence[Clip], seeds: Sequence[int]) -> Report:
    """Eight-prompt motions: numbers, sliding feet, jerk at the seams and inside, beside real clips.

    The plans of `prompts/plans.yaml` take turns. Jerk inside is that of frames outside the overlaps,
    pooled over the segments of one content. Feet in real clips slide a hundred times more in a walk
    than in a wave, so sliding is also set against real clips in the same mix of contents (`matched`).
    """
    plans = read_prompts("plans")["eight"]
    joints, seams = [], []
    inside: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    pieces: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    broken = 0
    for rows, share in zip(plans, _shares(seeds, len(plans)), strict=True):
        for motion in make(_plan(rows), share) if share else ():
            if not all(np.isfinite(a).all() for a in (motion.features, motion.joints, motion.rotations)):
                broken += 1
                continue
            joints.append(motion.joints)
            seams += [seam_jerk(motion.joints, seam) for seam in motion.seams]
            bounds = (0, *motion.seams, motion.n_frames)
            for row, start, end in zip(rows, bounds[:-1], bounds[1:], strict=True):
                inside[row["content"]].append(inner_jerk(motion.joints, start, end, motion.seams))
                pieces[row["content"]].append(motion.joints[start:end])
    real = [clip.joints for clip in clips]
    windows = window_jerks(real, REAL_WINDOWS, np.random.default_rng(0))
    real_medians = real_jerks(clips)
    table = {
        content: {"generated": float(np.median(values)), "real": real_medians[content]}
        for content, rows in sorted(inside.items())
        if (values := np.concatenate(rows)).size and content in real_medians
    }
    for row in table.values():
        row["ratio"] = row["generated"] / row["real"]
    peaks = {"generated": float(np.percentile(seams, 95)), "real": float(np.percentile(windows, 95))}
    return {
        "motions": len(joints) + broken,
        "motions_with_nan": broken,
        "foot_slide_m_per_s": _slides(joints, pieces, clips),
        "lower_toe_median_m": {"generated": _lower_toe(joints), "real": _lower_toe(real)},
        "seams": len(seams),
        "seam_jerk_p95": peaks | {"ratio": peaks["generated"] / peaks["real"], "limit": 1.5},
        "seam_jerk_p50": {"generated": float(np.median(seams)), "real": float(np.median(windows))},
        "inner_jerk_median": table,
        "inner_jerk_limit": 1.5,
    }


def _slides(
    joints: Sequence[NDArray[np.float32]],
    pieces: Mapping[str, Sequence[NDArray[np.float32]]],
    clips: Sequence[Clip],
) -> Report:
    """Speed of grounded toes of whole motions and by content, and what real clips in the same mix would give."""
    of_content: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for clip in clips:
        of_content[clip.content].append(clip.joints)
    table, metres, seconds = {}, 0.0, 0.0
    for content, parts in sorted(pieces.items()):
        real = total_slide(of_content[content])
        share = sum(map(len, parts)) / max(1, sum(map(len, of_content[content])))
        metres, seconds = metres + share * real.metres, seconds + share * real.seconds
        table[content] = {"generated": total_slide(parts).speed, "real": real.speed}
    generated, every = total_slide(joints).speed, total_slide(clip.joints for clip in clips).speed
    matched = Slide(metres, seconds).speed
    return {
        "generated": generated,
        "real": every,
        "ratio": generated / every,
        "matched": matched,
        "matched_ratio": generated / matched,
        "limit": 2.0,
        "contents": table,
    }


def _lower_toe(motions: Sequence[NDArray[np.float32]]) -> float:
    """Median height in metres of the lower toe joint: near zero where a motion stands on its floor."""
    return float(np.median(np.concatenate([joints[:, TOES, 1].min(1) for joints in motions])))


def typical_seconds(clips: Sequence[Clip]) -> dict[str, float]:
    """How long the median clip of each content lasts, in tenths of a second, within `CLIP_SECONDS`."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for clip in clips:
        lengths[clip.content].append(len(clip.joints))
    low, high = CLIP_SECONDS
    return {
        content: round(float(np.clip(np.median(frames) / FPS, low, high)), 1)
        for content, frames in lengths.items()
    }


def measure_contents(
    make: Maker,
    classifier: ContentClassifier,
    training: Sequence[Clip],
    seeds: Sequence[int],
    prompts: int = 5,
) -> Report:
    """Share of single actions that the classifier names right, prompted with captions of the table.

    `prompts` captions a content, without a style, share the seeds between them. `accuracy` asks for the very
    label; `family_accuracy` lets those of one family (`classifier.FAMILIES`) pass for each other.
    """
    seconds = typical_seconds(training)
    table: dict[str, Report] = {}
    for content in classifier.contents:
        rng = np.random.default_rng(len(content))
        texts = [sample_caption(content, "normal", rng, plain=1.0) for _ in range(min(prompts, len(seeds)))]
        answers: list[str] = []
        for text, share in zip(texts, _shares(seeds, len(texts)), strict=True):
            motions = make(Plan((Segment(text, seconds[content]),)), share)
            answers += classifier.classify([motion.joints for motion in motions])
        named = Counter(answers)
        table[content] = {
            "accuracy": named[content] / len(answers),
            "family_accuracy": float(np.mean([same_family(content, answer) for answer in answers])),
            "answers": dict(named.most_common()),
            "prompts": texts,
            "seconds": seconds[content],
        }
    return {
        "accuracy": float(np.mean([row["accuracy"] for row in table.values()])),
        "family_accuracy": float(np.mean([row["family_accuracy"] for row in table.values()])),
        "limit": 0.70,
        "seeds": len(seeds),
        "contents": table,
        "classifier": classifier.report,
    }


def measure_unseen(
    make: Maker, classifier: ContentClassifier, training: Sequence[Clip], seeds: Sequence[int]
) -> Report:
    """Share of motions named right over the hand-written prompts of `prompts/unseen.yaml`."""
    seconds = typical_seconds(training)
    rows = []
    for entry in read_prompts("unseen")["prompts"]:
        unknown = [content for content in entry["contents"] if content not in classifier.contents]
        if unknown:
            raise DataError(f"unseen.yaml: content '{unknown[0]}' is not one the classifier knows")
        motions = make(Plan((Segment(entry["prompt"], seconds[entry["contents"][0]]),)), seeds)
        answers = classifier.classify([motion.joints for motion in motions])
        right = sum(answer in entry["contents"] for answer in answers)
        rows.append({**entry, "answers": answers, "right": right})
    total = sum(row["right"] for row in rows)
    return {
        "accuracy": total / (len(rows) * len(seeds)),
        "limit": 0.60,
        "seeds": len(seeds),
        "prompts": rows,
        "classifier": classifier.report,
    }


def measure_loops(make: Maker, seeds: Sequence[int]) -> Report:
    """How many loops close: step at the wrap against the steps of neighbouring frames of the same motion."""
    plans = read_prompts("plans")["loops"]
    rows = []
    for segments, share in zip(plans, _shares(seeds, len(plans)), strict=True):
        plan = _plan(segments, loop=True)
        for seed, motion in zip(share, make(plan, share) if share else (), strict=True):
            gap = wrap_gap(motion.joints)
            prompts = [segment["prompt"] for segment in segments]
            rows.append({"prompts": prompts, "seed": seed, **gap._asdict(), "closed": gap.closed})
    closed = sum(row["closed"] for row in rows)
    return {"closed": closed, "loops": len(rows), "limit": 0.9, "rows": rows}


def measure_solve(make: Maker, clips: Sequence[Clip], seeds: Sequence[int]) -> Report:
    """Distance in metres between raw joints and those of the solved rotations, on real and generated motion.

    Raw joints of generated motion are those of its features.
    """
    real = [_solve_row(clip.joints) for clip in clips]
    plans = read_prompts("plans")["eight"]
    generated = []
    for rows, share in zip(plans, _shares(seeds, len(plans)), strict=True):
        for motion in make(_plan(rows), share) if share else ():
            raw = np.asarray(features_to_joints(motion.features))
            # The exported root may be placed otherwise than the features' (a floor, a loop): compare poses.
            error = np.linalg.norm((raw - raw[:, :1]) - (motion.joints - motion.joints[:, :1]), axis=-1)
            generated.append((float(error.mean()), float(error.max()), len(raw)))
    return {"real": _pooled(real), "generated": _pooled(generated), "limit_mean_m": 0.005}


def _solve_row(joints: NDArray[Any]) -> tuple[float, float, int]:
    error = solve_error(joints, *solve_rotations(joints))
    return error.mean, error.worst, len(joints)


def _pooled(rows: Sequence[tuple[float, float, int]]) -> Report:
    if not rows:
        return {"motions": 0}
    frames = np.array([row[2] for row in rows])
    mean = float(np.average([row[0] for row in rows], weights=frames))
    return {"motions": len(rows), "mean_m": mean, "worst_m": max(row[1] for row in rows)}
