"""Known answers of whole scenes: what is perfect scores so, and each fault shows in its own figure."""

from dataclasses import replace

import numpy as np
import pytest
from beds import write_evaluator, write_prepared

from collage_motion.errors import DataError
from collage_motion.eval import scoring
from collage_motion.eval.benchmark import load_benchmark
from collage_motion.eval.metrics import expected_diversity, fid
from collage_motion.eval.own_evaluator import load_own_evaluator
from collage_motion.eval.protocols import Held
from collage_motion.eval.scene import Real, Scene
from collage_motion.eval.scoring import distribution_of_cuts, measure, real_of
from collage_motion.eval.testbed import OwnTestbed, crop
from collage_motion.eval.windows import cuts
from collage_motion.features import ROOT_XZ


class Aligned:
    """A test bed whose R-precision is the plain one; the rest of it is not asked for."""

    classifier = None
    evaluator = None
    published = False

    def r_precision(self, text, motion, asked, batch=32):
        from collage_motion.eval.metrics import r_precision

        return r_precision(text, motion, 3, batch)


def still(n_frames=120):
    """Features of a body that stands."""
    rows = np.zeros((n_frames, 263), np.float32)
    rows[:, 3] = 0.9
    for joint in range(21):
        rows[:, 4 + 3 * joint : 7 + 3 * joint] = (0.1 * ((joint % 3) - 1), 0.3 + 0.06 * joint, 0.02)
    rows[:, 4 + 3 * 9 + 1 : 4 + 3 * 10 : 3] = rows[:, 4 + 3 * 10 + 1 : 4 + 3 * 11 : 3] = 0.02  # the toes
    return rows


def embeddings(n=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 6))


def scene(**more):
    points = embeddings()
    real = Real(points, points[:40], 0.0, 0.0, 0.04)
    plain = Scene(real, None, [], None, points, [still()] * 3, [[60]] * 3, windows=points[:40])
    return replace(plain, **more)


def test_a_set_against_itself_is_perfect():
    points = embeddings()
    figures = measure(scene(testbed=Aligned(), text=points))
    assert figures["fid"] == pytest.approx(0.0, abs=1e-9) == figures["fid_above_floor"]
    assert figures["transition_fid"] == pytest.approx(0.0, abs=1e-9)
    assert figures["r_precision_1"] == 1.0 and figures["mm_dist"] == 0.0
    assert figures["peak_jerk"] == figures["foot_slide"] == figures["bone_drift"] == 0.0
    assert figures["diversity"] == pytest.approx(3.4, abs=0.4)  # two points of six normal numbers


def test_another_distribution_has_its_distance_and_its_floor():
    real = Real(embeddings(4000), None, 0.3, None, 0.04)
    moved = embeddings(4000, 1) + np.array([2.0, 0, 0, 0, 0, 0])
    figures = measure(scene(real=real, motion=moved))
    assert figures["fid"] == pytest.approx(4.0, abs=0.3)
    assert figures["fid_above_floor"] == pytest.approx(figures["fid"] - 0.3)
    assert figures["fid_floor"] == 0.3


def test_shuffled_captions_drop_r_precision_to_chance():
    points = embeddings(3200)
    text = points[np.random.default_rng(5).permutation(3200)]
    figures = measure(scene(testbed=Aligned(), motion=points, text=text))
    for k in (1, 2, 3):
        assert figures[f"r_precision_{k}"] == pytest.approx(k / 32, abs=0.015)


def test_a_jump_at_a_seam_shows_in_jerk_and_only_there():
    rows = still()
    rows[59, ROOT_XZ.start] = 0.5  # half a metre within a frame
    calm, jumped = (measure(scene(motions=[r] * 3)) for r in (still(), rows))
    assert (
        jumped["peak_jerk"] >= 0.5 and jumped["area_under_jerk_per_seam"] > calm["area_under_jerk_per_seam"]
    )
    assert jumped["fid"] == calm["fid"]
    away = measure(scene(motions=[rows] * 3, seams=[[40], [80], []]))
    assert away["peak_jerk"] >= 0.5  # 59 is within 30 frames of both
    long = np.concatenate((rows, still()))
    far = measure(scene(motions=[long] * 3, seams=[[150]] * 3))
    assert far["peak_jerk"] == 0.0


def test_sliding_feet_and_sinking_bodies_show_in_their_own_figures():
    rows = still()
    rows[:, ROOT_XZ.start] = 0.05
    figures = measure(scene(motions=[rows] * 3))
    assert figures["foot_slide"] == pytest.approx(1.0, rel=1e-3) and figures["foot_skating"] > 0.9
    assert figures["peak_jerk"] == pytest.approx(0.0, abs=1e-9) and figures["penetration"] == 0.0
    sunk = still()
    sunk[:, 5:67:3] -= 0.1
    assert measure(scene(motions=[sunk] * 3))["penetration"] == pytest.approx(0.075, abs=1e-3)


def test_bodies_are_looked_at_in_the_pieces_so_that_contents_weigh_as_in_real_clips():
    calm, sliding = still(480), still(480)
    sliding[:, ROOT_XZ.start] = 0.05
    sliding[:, 5:67:3] -= 0.1
    sliding[240:, 4:67] *= 1.2
    whole = measure(scene(motions=[sliding] * 3, pieces=[rows[:80] for rows in (calm, calm, calm)]))
    plain = measure(scene(motions=[calm[:80]] * 3, seams=[[]] * 3))
    for name in ("foot_slide", "foot_skating", "penetration", "floating", "bone_drift"):
        assert whole[name] == plain[name], name
    # Two contents, of which the one that slides has the longer clips: real clips and motions of 24 s say the same.
    lengths = (160, 40)
    real = measure(scene(motions=[sliding[:160], calm[:40]], seams=[[], []]))
    pieces = [rows[:n] for rows, n in zip((sliding, calm), lengths, strict=True)]
    made = measure(scene(motions=[sliding, calm], pieces=pieces, seams=[[], []]))
    for name in ("foot_slide", "foot_skating", "penetration", "floating", "bone_drift"):
        assert made[name] == pytest.approx(real[name], rel=1e-9), name
    assert real["foot_slide"] > 0 and real["penetration"] > 0


def test_single_seams_have_a_median_and_a_95th_percentile():
    motions = []
    for step in (0.0, 0.1, 0.2, 0.3, 2.0):
        rows = still()
        rows[59, ROOT_XZ.start] = step
        motions.append(rows)
    figures = measure(scene(motions=motions, seams=[[60]] * 5))
    # A step of s has jerk s, 2 s, s; the rest of the 57 values is 0 and lies j_avg = 0.04 off.
    assert figures["peak_jerk_p50"] == pytest.approx(0.4)
    assert figures["peak_jerk_p95"] == pytest.approx(np.percentile([0, 0.2, 0.4, 0.6, 4.0], 95))
    areas = [57 * 0.04] + [4 * step - 3 * 0.04 + 54 * 0.04 for step in (0.1, 0.2, 0.3, 2.0)]
    assert figures["area_under_jerk_p50"] == pytest.approx(np.median(areas))
    assert figures["area_under_jerk_p95"] == pytest.approx(np.percentile(areas, 95))
    assert figures["area_under_jerk_per_seam"] == pytest.approx(np.mean(areas))


def test_the_sample_is_what_fid_is_of_and_nothing_else():
    points = embeddings(64, 3)
    figures = measure(
        scene(motion=embeddings(64, 9), sample=points, text=embeddings(64, 9), testbed=Aligned())
    )
    assert figures["fid"] == pytest.approx(fid(embeddings(), points)) and figures["r_precision_1"] == 1.0
    assert figures["diversity"] == measure(scene(motion=embeddings(64, 9)))["diversity"]


def test_a_path_that_is_left_shows_in_metres():
    held = Held(still(), np.zeros((120, 263), bool), (60,))
    held.mask[:, :4] = held.mask[60] = True
    rows = still()
    rows[0, ROOT_XZ.start] = 0.3
    rows[60, 4] += 0.21
    kept, left = (measure(scene(motions=[r], seams=[[]], windows=None, held=[held])) for r in (still(), rows))
    assert kept["path_error"] == kept["keyframe_error"] == kept["path_far"] == 0.0
    assert left["path_error"] == pytest.approx(0.3 * 119 / 120, rel=1e-3) and left["path_far"] == 1.0
    assert left["keyframe_error"] == pytest.approx(0.21 / 21, rel=1e-3)


def test_a_loop_is_looked_at_once_around():
    rows = still(80)
    figures = measure(scene(motions=[np.concatenate((rows, rows))] * 3, seams=[[80]] * 3, loop=True))
    assert figures["wrap_closed"] == 1.0 and figures["wrap_root"] == 0.0
    rows[-1, ROOT_XZ.start] = 0.4
    moved = measure(scene(motions=[np.concatenate((rows, rows))] * 3, seams=[[80]] * 3, loop=True))
    assert moved["wrap_root"] == pytest.approx(0.4, rel=1e-5) and moved["peak_jerk"] >= 0.4


def test_time_is_that_of_a_second_of_motion():
    figures = measure(scene(seconds_each=(3.0, 2.4)))
    assert figures["seconds_per_second"] == 0.5 and figures["cpu_seconds_per_second"] == pytest.approx(0.4)
    twice = measure(scene(seconds_each=(3.0, 2.4), loop=True))
    assert twice["seconds_per_second"] == 1.0  # the second round costs nothing
    assert "seconds_per_second" not in measure(scene())


def test_what_a_scene_has_not_is_not_measured():
    figures = measure(scene(motion=None, windows=None, seams=[[], [], []]))
    assert set(figures) == {"foot_slide", "foot_skating", "penetration", "floating", "bone_drift"}


def test_two_metrics_cannot_share_a_name(monkeypatch):
    monkeypatch.setattr(scoring, "METRICS", (*scoring.METRICS, scoring.body))
    with pytest.raises(DataError, match=r"metric body: the name .* is taken"):
        measure(scene())


# The own test bed


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bed")
    benchmark = load_benchmark(write_prepared(folder / "data.npz"))
    return OwnTestbed(benchmark, load_own_evaluator(write_evaluator(folder / "judge")))


def test_a_draw_shares_no_recording_with_what_it_is_compared_with(bed):
    drawn = bed.draw(3, 64, 20, 80)
    names = {item.features.tobytes(): item.recording for item in bed.benchmark.items}
    assert len(drawn.asked) == 64 and drawn.real == drawn.asked
    used = {row.recording for row in drawn.asked}
    others = {
        item.recording
        for item in bed.benchmark.items
        for rows in drawn.reference
        if any(
            (item.features[k : k + len(rows)] == rows).all()
            for k in range(len(item.features) - len(rows) + 1)
        )
    }
    assert used and others and not used & others and len(names) == len(bed.benchmark)
    assert all(row.n_frames % 4 == 0 and row.n_frames <= 80 for row in drawn.asked)
    assert len({row.meaning for row in drawn.asked[:32]}) == 24  # all that this half has
    few = bed.draw(3, 32, 20, 80)
    assert [row.caption for row in few.asked] == [row.caption for row in drawn.asked][:32]
    assert bed.draw(4, 32, 20, 80).asked[0].caption != few.asked[0].caption
    assert {row.n_frames for row in bed.draw(3, 32, 64, 196).asked} <= set(range(64, 200, 4))
    with pytest.raises(DataError, match="clips of the benchmark have 400 frames; a draw needs 64"):
        bed.draw(3, 32, 400, 400)


def test_the_floor_is_between_real_sets_of_the_sizes_compared(bed):
    drawn = bed.draw(3, 64, 20, 80)
    real = real_of(bed, drawn, 20, 0)
    once = bed.embed_motions(drawn.different).astype(np.float64)
    assert real.floor == pytest.approx(fid(real.reference, once), rel=1e-9)
    figures = measure(Scene(real, None, drawn.asked, None, once, [still()], [[]]))
    assert figures["fid"] == pytest.approx(real.floor, rel=1e-6)
    assert figures["fid_above_floor"] == pytest.approx(0.0)
    assert real.windows.shape == real.different_windows.shape == (20, 6)
    assert real.window_floor == pytest.approx(fid(real.windows, real.different_windows), rel=1e-9)
    assert real_of(bed, drawn, 0, 0).windows is None


@pytest.mark.slow
def test_cuts_of_generated_clips_are_compared_with_cuts_of_real_ones(bed):
    drawn = bed.draw(3, 64, 20, 80)
    real = real_of(bed, drawn, 20, 0)
    assert real.cuts.shape == real.reference.shape and not np.allclose(real.cuts, real.reference)
    clips = [row.features for row in drawn.asked]
    whole = bed.embed_motions(clips).astype(np.float64)
    given = Scene(real, bed, drawn.asked, None, whole, clips, [[]] * 64, pieces=clips, seed=7)
    figures = distribution_of_cuts(given)
    again = bed.embed_motions(cuts(clips, np.random.default_rng((7, 10)), 20)).astype(np.float64)
    assert figures["cut_fid"] == pytest.approx(fid(real.cuts, again), rel=1e-9)
    assert figures["cut_fid_floor"] == pytest.approx(fid(real.cuts, real.different_cuts), rel=1e-9)
    # The row of real clips shows the floor, as it does of whole clips.
    of_real = distribution_of_cuts(replace(given, sample=real.different))
    assert of_real["cut_fid"] == figures["cut_fid_floor"] and of_real["cut_fid_above_floor"] == 0
    # Where the reference holds what was asked for there is no floor, and nothing is cut.
    same = real_of(bed, replace(drawn, reference=(*drawn.reference, *drawn.different)), 20, 0)
    assert same.cuts is None and distribution_of_cuts(replace(given, real=same)) == {}


def test_a_cut_is_a_stretch_of_its_clip_of_three_quarters_or_the_least_length():
    clips = [np.arange(length)[:, None] for length in (20, 24, 40, 41, 160)]
    for seed in range(20):
        made = cuts(clips, np.random.default_rng(seed), 20)
        assert [len(rows) for rows in made] == [20, 20, 28, 28, 120]
        for rows, clip in zip(made, clips, strict=True):
            assert rows[0, 0] >= 0 and rows[-1, 0] < len(clip) and (np.diff(rows[:, 0]) == 1).all()
    starts = {cuts(clips, np.random.default_rng(seed), 20)[4][0, 0] for seed in range(200)}
    assert {0, 40} <= starts == starts & set(range(41))


def test_the_floor_is_of_different_clips_of_the_half_that_captions_come_from(bed):
    drawn = bed.draw(3, 64, 20, 80)
    other = {rows.tobytes() for rows in drawn.reference}
    assert len({row.features.tobytes() for row in drawn.asked}) < 64  # captions of a clip come again
    names = [named(bed, rows) for rows in drawn.different]
    assert len(names) == len(set(names)) == 48  # all of this half, each once
    assert not {rows.tobytes() for rows in drawn.different} & other
    recordings = {name.removesuffix("~mirrored") for name in names}
    assert {row.recording for row in drawn.asked} <= recordings
    assert len(bed.draw(3, 32, 20, 80).different) == 32  # no more than motions


def named(bed, rows):
    """The clip that rows are a crop of."""
    return next(
        item.name
        for item in bed.benchmark.items
        for k in range(len(item.features) - len(rows) + 1)
        if (item.features[k] == rows[0]).all() and (item.features[k : k + len(rows)] == rows).all()
    )


def test_clips_too_short_for_windows_leave_transitions_out(bed):
    drawn = bed.draw(3, 64, 20, 80)
    short = replace(drawn, different=tuple(rows[:40] for rows in drawn.different))
    real = real_of(bed, short, 20, 0)
    assert real.windows is not None and real.different_windows is None and real.window_floor is None
    assert "transition_fid_floor" not in measure(scene(real=real, motion=None, windows=real.windows))
    apart = tuple(rows[:40] for rows in drawn.apart)
    assert real_of(bed, replace(drawn, apart=apart), 20, 0).windows is None


def test_a_reference_that_holds_what_was_asked_for_gives_no_floor(bed):
    drawn = bed.draw(3, 64, 20, 80)
    real = real_of(bed, replace(drawn, reference=(*drawn.reference, *drawn.different)), 20, 0)
    assert real.floor is None and real.window_floor is not None
    figures = measure(scene(real=real, motion=real.different, windows=real.windows))
    assert {"fid", "transition_fid_floor", "transition_fid_above_floor"} <= set(figures)
    assert not {"fid_floor", "fid_above_floor"} & set(figures)


def test_motions_are_embedded_in_batches_as_if_at_once(bed, monkeypatch):
    rows = [item.features[:40] for item in bed.benchmark.items[:10]]
    whole = bed.embed_motions(rows)
    monkeypatch.setattr("collage_motion.eval.testbed.EMBEDDED", 3)
    np.testing.assert_allclose(bed.embed_motions(rows), whole, atol=1e-6)
    np.testing.assert_allclose(
        bed.embed_motions([r[:30] for r in rows]), bed.embed_motions(rows, [30] * 10), atol=1e-6
    )


def test_crops_are_whole_units_from_anywhere():
    rows = np.arange(90, dtype=np.float32)[:, None].repeat(263, 1)
    crops = [crop(rows, 50, np.random.default_rng(k)) for k in range(60)]
    assert {len(c) for c in crops} == {48}
    starts = {int(c[0, 0]) for c in crops}
    assert min(starts) < 8 and max(starts) > 34
    assert len(crop(rows, 200, np.random.default_rng(0))) == 88


def test_diversity_is_of_all_pairs_unless_published_tables_are_followed():
    points, published = embeddings(), Aligned()
    published.published = True
    own = [measure(scene(testbed=Aligned(), seed=seed))["diversity"] for seed in (0, 1)]
    assert own == [expected_diversity(points)] * 2
    one, other = (measure(scene(testbed=published, seed=seed))["diversity"] for seed in (0, 1))
    assert one != other and abs(one - own[0]) < 1
