"""What a judge looks at: the same contents, the same number of seams and the same frames in every row."""

from dataclasses import replace

import numpy as np
import pytest
from beds import CONTENTS, STYLES, body, write_evaluator
from tiny_model import write_tiny_model

from collage_motion.card import WordNetwork
from collage_motion.data.dataset import PreparedClip, write_dataset
from collage_motion.eval import judging
from collage_motion.eval.benchmark import load_benchmark
from collage_motion.eval.judging import Judge
from collage_motion.eval.own_evaluator import load_own_evaluator
from collage_motion.eval.parts import Sizes
from collage_motion.eval.protocols import get_protocol
from collage_motion.eval.running import Evaluation
from collage_motion.eval.testbed import OwnTestbed
from collage_motion.models import load_model


class Silent:
    """A watch that listens to nothing."""

    def begin(self, stage):
        pass

    step = say = lambda self, *_: None


class Made(Evaluation):
    """An evaluation whose motions are not generated: each is the real clips of its captions, over and over."""

    def motions(self, part):
        asked = self.drawn(part.replication).asked
        made = []
        for number, script in enumerate(part.scripts):
            own = [asked[piece.asked].features for piece in script.pieces] or [asked[number].features]
            rows = np.concatenate(own * (-(-script.n_frames // sum(map(len, own)))))
            made.append(rows[: script.n_frames])
        return made, (1.0, 1.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model and a test bed, a third of whose clips are too short for a window."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny_model(folder / "tiny")
    rng = np.random.default_rng(0)
    clips = []
    for number in range(48):
        content, style = CONTENTS[number % len(CONTENTS)], STYLES[number // len(CONTENTS) % len(STYLES)]
        joints = body(int(rng.integers(70, 110) if number % 3 else rng.integers(30, 50)), rng)
        clips.append(
            PreparedClip(f"c{number}", f"c{number}", "bandai-namco-2", content, style, "", 2, joints)
        )
    write_dataset(clips, folder / "data.npz")
    evaluator = load_own_evaluator(write_evaluator(folder / "judge"))
    return OwnTestbed(load_benchmark(folder / "data.npz"), evaluator), load_model(str(folder / "tiny"))


@pytest.fixture
def scenes(place, monkeypatch):
    """Judge rows of a protocol and give back their scenes by method, the sizes, and what was drawn."""
    measured = judging.measure

    def run(protocol, *methods, samples=16, model=place[1]):
        found = []
        monkeypatch.setattr(judging, "measure", lambda scene: found.append(scene) or measured(scene))
        evaluation = Made(get_protocol(protocol), methods, Sizes(1, samples), model, place[0], None)
        judge = Judge(evaluation)
        rows = judge.run(Silent())
        assert [row["method"] for row in rows] == list(methods)
        return dict(zip(methods, found, strict=True)), judge, evaluation.drawn(0)

    return run


def counts(scene):
    return [len(own) for own in scene.seams]


@pytest.mark.slow
def test_real_places_are_in_the_clips_of_the_seams_and_as_many(scenes):
    found, judge, drawn = scenes("long", "real", "short", "collage")
    long_enough = [row.n_frames >= 60 for row in drawn.asked]
    assert 0 < sum(long_enough) < 16
    seams = counts(found["collage"])
    assert [count > 0 for count in seams] == long_enough  # nothing real is beside the others
    assert counts(found["real"]) == counts(found["short"]) == seams
    assert found["real"].seams == found["short"].seams  # the very same frames
    assert all(
        (one == row.features).all() for one, row in zip(found["real"].motions, drawn.asked, strict=True)
    )
    assert judge.sizes["places"] == sum(seams) and judge.sizes["floor"] == len(drawn.different)
    for scene in found.values():
        assert (
            len(scene.windows) == len(scene.real.windows) == len(scene.real.different_windows) == sum(seams)
        )


@pytest.mark.slow
def test_methods_with_more_seams_are_looked_at_in_as_many_places(scenes):
    methods = ("collage", "replacement", "reconstruction")
    found, judge, _ = scenes("long", *methods)
    assert counts(found["replacement"]) == counts(found["reconstruction"]) == counts(found["collage"])
    job = judge.evaluation
    for method in methods[1:]:
        part = job.part(method, 0)
        own = [judge._seams(script, part.settings) for script in part.scripts]
        assert all(len(all_) > count for all_, count in zip(own, counts(found["collage"]), strict=True))
        assert all(set(some) <= set(all_) for some, all_ in zip(found[method].seams, own, strict=True))
        chosen = {
            tuple(all_.index(seam) for seam in some)
            for some, all_ in zip(found[method].seams, own, strict=True)
        }
        assert len(chosen) > 4  # now these, now those
    alone = scenes("long", "replacement")[0]
    assert alone["replacement"].seams == found["replacement"].seams


@pytest.mark.slow
def test_rows_have_as_many_seams_where_windows_differ_by_method(scenes, place):
    """With usual lengths the collage is put together in more places than methods of the longest windows."""
    card = place[1].card
    brief = replace(card, usual_length=WordNetwork(float(np.log(1.5)), (0.0,) * 96))
    methods = ("collage", "replacement", "reconstruction", "naive")
    found, judge, _ = scenes("long", *methods, model=replace(place[1], card=brief))
    job = judge.evaluation
    own = {
        method: [len(judge._seams(s, job.settings[method])) for s in job.scripts(method, 0)]
        for method in methods
    }
    assert all(many > few for many, few in zip(own["collage"], own["replacement"], strict=True))
    looked_at = {tuple(counts(scene)) for scene in found.values()}
    assert len(looked_at) == 1
    assert all(count in (0, few) for count, few in zip(looked_at.pop(), own["replacement"], strict=True))


@pytest.mark.slow
def test_bodies_of_all_rows_are_looked_at_in_the_same_frames_of_the_same_contents(scenes):
    found, judge, drawn = scenes("long", "real", "short", "collage")
    lengths = [row.n_frames for row in drawn.asked]
    for scene in found.values():
        assert [len(joints) for joints in scene.piece_joints] == lengths
    # `short` is the real clip here, so its body is; so are pieces of the collage but for where they are cut.
    figures = {method: values[0] for method, values in judge.figures.items()}
    for name in ("foot_slide", "foot_skating", "penetration", "floating", "bone_drift"):
        assert figures["short"][name] == pytest.approx(figures["real"][name], rel=1e-6), name
        assert figures["collage"][name] == pytest.approx(figures["real"][name], rel=0.1, abs=1e-3), name


def test_the_row_of_real_clips_is_the_floor(scenes):
    _, judge, _ = scenes("long", "real", "short")
    real = judge.figures["real"][0]
    assert real["fid"] == real["fid_floor"] and real["transition_fid"] == real["transition_fid_floor"]
    assert real["fid_above_floor"] == real["transition_fid_above_floor"] == 0.0
    # The same clips as motions are the captions' own, and those come again.
    assert judge.figures["short"][0]["fid"] != real["fid"]


@pytest.mark.slow
def test_captions_of_one_motion_share_the_places_beside_its_seams(scenes):
    found, _, drawn = scenes("path", "real", "short", "collage", samples=17)
    assert len(found["collage"].motions) == 5 and len(drawn.asked) == 17
    places = counts(found["real"])
    for number, seams in enumerate(counts(found["collage"])):
        own = places[3 * number : 3 * number + 3]
        assert seams == sum(own) == 2 and max(own) == 1
    assert places[15:] == [0, 0]  # captions without a motion


@pytest.mark.slow
def test_prompts_of_a_list_have_all_clips_beside_them(scenes):
    found, judge, drawn = scenes("extrapolate", "real", "collage", samples=64)
    assert len(found["collage"].motions) == 2
    places = counts(found["real"])
    assert sum(places) == sum(counts(found["collage"])) == judge.sizes["places"] == 2 * 31
    long_enough = [row.n_frames >= 60 for row in drawn.asked]
    assert all(can or not count for can, count in zip(long_enough, places, strict=True))
    assert max(places) <= 2  # once beside each motion


def test_single_windows_have_one_place_each(scenes):
    found, _, drawn = scenes("short", "real", "short")
    wanted = [int(row.n_frames >= 60) for row in drawn.asked]
    assert counts(found["real"]) == counts(found["short"]) == wanted


def test_a_jolt_in_half_of_the_contents_is_no_seam(scenes, place, monkeypatch):
    """Real area under jerk is that of the asked clips, however much longer others are."""
    drawn = place[0].draw(1, 16, 20, 120)
    rng = np.random.default_rng(0)
    long_and_calm = replace(drawn.asked[0], features=np.repeat(drawn.asked[0].features[:1], 116, axis=0))
    jolting = drawn.asked[1].features[:1].repeat(60, axis=0)
    jolting = jolting + rng.normal(0, 0.02, jolting.shape).astype(np.float32)
    asked = tuple(
        replace(row, features=jolting) if k % 2 else long_and_calm for k, row in enumerate(drawn.asked)
    )
    monkeypatch.setattr(place[0], "draw", lambda *_: replace(drawn, asked=asked, real=asked), raising=False)
    _, judge, _ = scenes("long", "real", "collage")
    real, made = (judge.figures[method][0]["area_under_jerk_per_seam"] for method in ("real", "collage"))
    assert 0.8 < made / real < 1.25  # drawn by room, 57 of 58 places would be calm
