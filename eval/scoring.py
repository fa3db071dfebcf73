"""From motions to figures: what metrics are shown of one method in one replication, and the list of metrics.

A metric is a function of a `Scene` that returns figures by name; it returns none where the scene has not what it
needs. To add one, write the function and name it in `METRICS`.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from collage_motion.errors import DataError
from collage_motion.features import POSITIONS, recover_root
from collage_motion.skeleton import FPS

from .accuracy import STYLES_KNOWN, content_accuracy, style_accuracy
from .benchmark import MIN_FRAMES
from .bones import bone_drift
from .feet import foot_skating_ratio, ground
from .jerk import area_of_mean, areas, peak_of_mean, peaks
from .loop_closure import loop_closure
from .meaning import content_of, style_of
from .metrics import (
    BATCH,
    DIVERSITY_PAIRS,
    diversity,
    draw_pairs,
    expected_diversity,
    fid,
    multimodal_distance,
)
from .paths import LIMITS_M, keyframe_distances, path_errors
from .quality import SEAM_FRAMES, total_slide
from .scene import Floats, Real, Scene
from .seam_lag import seam_lags
from .testbed import Drawn, Rows, Testbed
from .windows import cuts, random_windows

Figures = dict[str, float]

LAG_SEAMS: Final = 60
"""Seams of a replication whose lag is measured: the first motions that have so many; each takes 21 embeddings."""


def distribution(scene: Scene) -> Figures:
    """FID of the pieces and what is left of it above the floor, and diversity (Guo et al.; `metrics`).

    `fid_floor` is the FID between two disjoint real sets of the sizes compared, in the same replication, the clips
    that stand for generated motions all being different ones. FID against a set that holds what was asked for (the
    whole split of published tables) has none.
    """
    if scene.motion is None:
        return {}
    value = fid(scene.real.reference, scene.motion if scene.sample is None else scene.sample)
    figures = {"fid": value, "diversity": spread(scene, scene.motion)}
    if scene.real.floor is not None:
        figures |= {"fid_floor": scene.real.floor, "fid_above_floor": value - scene.real.floor}
    return figures


def distribution_of_cuts(scene: Scene) -> Figures:
    """FID where generated and real clips are both cut at random to three quarters of their length, and its floor.

    Clips are cut where their actions begin and end; a stretch of a long motion shows them in another phase, which FID
    takes for a difference however well they are done. Cut on both sides, neither tells where its recording began.
    """
    real = scene.real
    if real.cuts is None or real.different_cuts is None or scene.testbed is None or not len(scene.pieces):
        return {}
    floor = fid(real.cuts, real.different_cuts)
    value = floor
    if scene.sample is None:
        made = cuts(scene.pieces, np.random.default_rng((scene.seed, 10)), MIN_FRAMES)
        value = fid(real.cuts, scene.testbed.embed_motions(made, made=True).astype(np.float64))
    return {"cut_fid": value, "cut_fid_floor": floor, "cut_fid_above_floor": value - floor}


def spread(scene: Scene, embeddings: Floats) -> float:
    """Diversity of one draw of pairs where published tables are followed, and of all pairs otherwise.

    One draw of 255 pairs of 256 motions is off by 1.8 % (its standard deviation), as much as a model may be.
    """
    if scene.testbed is None or not scene.testbed.published:
        return expected_diversity(embeddings)
    pairs = min(DIVERSITY_PAIRS, len(embeddings) - 1)
    return diversity(embeddings, *draw_pairs(len(embeddings), pairs, scene.rng))


def alignment(scene: Scene) -> Figures:
    """R-precision and multimodal distance between captions and their pieces (Guo et al.)."""
    if scene.text is None or scene.motion is None or scene.testbed is None:
        return {}
    batch = min(BATCH, len(scene.text))
    tops = scene.testbed.r_precision(scene.text, scene.motion, scene.asked, batch)
    figures = {f"r_precision_{k}": float(value) for k, value in enumerate(tops, start=1)}
    return figures | {"mm_dist": multimodal_distance(scene.text, scene.motion)}


def transitions(scene: Scene) -> Figures:
    """FID and diversity of the 60 frames around seams, against random windows of real clips (FlowMDM).

    Seams are those of motions whose captions' clips have 60 frames, and those clips count alike on both sides.
    """
    if scene.windows is None or scene.real.windows is None or len(scene.windows) < 3:
        return {}
    value = fid(scene.real.windows, scene.windows)
    figures = {"transition_fid": value, "transition_diversity": spread(scene, scene.windows)}
    if scene.real.window_floor is not None:
        figures["transition_fid_floor"] = scene.real.window_floor
        figures["transition_fid_above_floor"] = value - scene.real.window_floor
    return figures


def jerk_at_seams(scene: Scene) -> Figures:
    """Peak jerk and the area under it, of the mean curve (FlowMDM's code) and of single seams (its text).

    Of single seams: the mean, the median (`p50`) and the 95th percentile.
    """
    curves = scene.curves
    if curves is None:
        return {}
    j_avg = scene.real.j_avg
    figures = {"peak_jerk": peak_of_mean(curves), "area_under_jerk": area_of_mean(curves, j_avg)}
    for name, values in (("peak_jerk", peaks(curves)), ("area_under_jerk", areas(curves, j_avg))):
        figures[f"{name}_per_seam"] = float(values.mean())
        figures |= {f"{name}_p{part}": float(np.percentile(values, part)) for part in (50, 95)}
    return figures


def responses(scene: Scene) -> Figures:
    """Seam lag in frames, mean over seams where the prompt changes, and how well windows agree (`seam_lag`)."""
    if scene.testbed is None or not scene.prompts:
        return {}
    some = int(np.searchsorted(np.cumsum([len(own) for own in scene.changes]), LAG_SEAMS)) + 1
    lags = seam_lags(
        scene.testbed.evaluator, scene.motions[:some], scene.prompts[:some], scene.changes[:some]
    )
    if not lags:
        return {}
    return {
        "seam_lag": float(np.mean([lag.frames for lag in lags])),
        "seam_agreement": float(np.mean([lag.agreement for lag in lags])),
    }


def body(scene: Scene) -> Figures:
    """Feet, ground and bones: means over frames in metres and m/s (`quality`, `feet`, `bones`).

    Of the pieces, which are as long as the real clips: all rows have the same contents in the same shares, and bones
    as long to drift. Joints are those of the features; what the library writes into files has bones of constant length.
    """
    pieces = scene.piece_joints
    frames = [len(joints) for joints in pieces]
    grounds = np.average([ground(joints) for joints in pieces], axis=0, weights=frames)
    skating = [foot_skating_ratio(joints) for joints in pieces]
    return {
        "foot_slide": total_slide(pieces).speed,
        "foot_skating": float(np.average(skating, weights=frames)),
        "penetration": float(grounds[0]),
        "floating": float(grounds[1]),
        "bone_drift": float(np.average([bone_drift(joints).mean for joints in pieces], weights=frames)),
    }


def recognition(scene: Scene) -> Figures:
    """Shares of pieces whose content and style are named as they were asked for (`accuracy`), where labels say.

    Content needs the classifier that scripts/train_classifier.py makes; without it there is no such figure.
    """
    if scene.testbed is None or not scene.asked:
        return {}
    contents = [content_of(row.meaning) for row in scene.asked]
    styles = [style_of(row.meaning) for row in scene.asked]
    figures: Figures = {}
    if any(style in STYLES_KNOWN for style in styles):
        judge = scene.testbed.evaluator
        figures["style_accuracy"] = style_accuracy(judge, scene.pieces, contents, styles).exact
    classifier = scene.testbed.classifier
    if classifier is not None and any(content in classifier.contents for content in contents):
        found = content_accuracy(classifier, scene.piece_joints, contents)
        figures |= {"content_accuracy": found.exact, "content_family_accuracy": found.family}
    return figures


def closure(scene: Scene) -> Figures:
    """How a loop's end meets its beginning (`loop_closure`): means over motions, and the share that closes."""
    if not scene.loop:
        return {}
    gaps = [loop_closure(rows[: len(rows) // 2]) for rows in scene.motions]
    names = ("pose", "velocity", "root", "heading", "contacts")
    figures = {f"wrap_{name}": float(np.mean([getattr(gap, name) for gap in gaps])) for name in names}
    closed = [gap.pose <= gap.pose_limit and gap.velocity <= gap.velocity_limit for gap in gaps]
    ratios = [gap.jerk_ratio for gap in gaps if np.isfinite(gap.jerk_ratio)]
    if ratios:
        figures["wrap_jerk_ratio"] = float(np.median(ratios))
    return figures | {"wrap_closed": float(np.mean(closed))}


def guided_path(scene: Scene) -> Figures:
    """Distance of the root from the path it is held to (`paths`), and of joints from poses at keyframes, metres.

    Both are kept by replacement, so they measure that the last step keeps what it is given; what holding costs
    shows in FID, jerk and sliding. `path_far`: share of motions that are anywhere more than 20 cm off.
    """
    ways, poses = [], []
    for rows, joints, held in zip(scene.motions, scene.joints, scene.held, strict=False):
        if held is None:
            continue
        wanted = recover_root(held.features.astype(np.float64))[1][:, ::2]
        ways.append(keyframe_distances(joints, dict(enumerate(wanted))))
        frames = list(held.keyframes)
        apart = (rows[frames] - held.features[frames])[:, POSITIONS].reshape(len(frames), -1, 3)
        poses.append(np.linalg.norm(apart, axis=-1).mean())
    if not ways:
        return {}
    errors = path_errors(ways)
    return {
        "path_error": errors.mean,
        "path_far": errors.failed[LIMITS_M[0]],
        "keyframe_error": float(np.mean(poses)),
    }


def cost(scene: Scene) -> Figures:
    """Seconds for a second of motion, by the clock and of the processor, in the batches that the command makes."""
    if scene.seconds_each is None:
        return {}
    length = float(np.mean([len(rows) for rows in scene.motions])) / FPS / (2 if scene.loop else 1)
    wall, cpu = scene.seconds_each
    return {"seconds_per_second": wall / length, "cpu_seconds_per_second": cpu / length}


METRICS: Final[tuple[Callable[[Scene], Figures], ...]] = (
    distribution,
    distribution_of_cuts,
    alignment,
    transitions,
    jerk_at_seams,
    responses,
    body,
    recognition,
    closure,
    guided_path,
    cost,
)
"""All metrics, in the order in which their figures stand in a table."""


def measure(scene: Scene) -> Figures:
    """All figures of a scene; raises DataError when two metrics give one name to their figures."""
    figures: Figures = {}
    for metric in METRICS:
        made = metric(scene)
        if twice := figures.keys() & made.keys():
            raise DataError(f"metric {metric.__name__}: the name {min(twice)!r} is taken; give it another")
        figures |= made
    return figures


def real_of(testbed: Testbed, drawn: Drawn, seams: int, seed: int) -> Real:
    """Embed what a replication compares with; `seams`: how many random windows transitions are compared with."""
    reference = testbed.embed_motions(drawn.reference).astype(np.float64)
    different = testbed.embed_motions(drawn.different).astype(np.float64)
    rng = np.random.default_rng((seed, 5))
    windows, others = (_windows(testbed, clips, seams, rng) for clips in (drawn.apart, drawn.different))
    disjoint = drawn.apart is drawn.reference
    some = np.random.default_rng((seed, 11))
    shortened = [
        testbed.embed_motions(cuts(clips, some, MIN_FRAMES)).astype(np.float64) if disjoint else None
        for clips in (drawn.reference, drawn.different)
    ]
    return Real(
        reference,
        windows,
        # Elsewhere the reference holds clips of what was asked for, so the sets are not disjoint.
        fid(reference, different) if disjoint else None,
        None if windows is None or others is None else fid(windows, others),
        testbed.j_avg,
        different,
        others,
        *shortened,
    )


def _windows(testbed: Testbed, clips: Sequence[Rows], count: int, rng: np.random.Generator) -> Floats | None:
    """Embedded random windows of clips; none where they are too few for a distribution, or all clips too short."""
    if count < 3 or max(map(len, clips), default=0) < SEAM_FRAMES:
        return None
    return testbed.embed_motions(random_windows(clips, count, rng)).astype(np.float64)
