"""Bridges, morphs and edits: what was given stays as it was, and what is new lies between."""

import numpy as np
import pytest
from tiny_model import write_tiny_model

from collage_motion.bridging import bridge, edit, morph, motion_from_joints
from collage_motion.card import Limits
from collage_motion.errors import CollageError, DataError, PlanError
from collage_motion.features import features_to_joints
from collage_motion.gradual import Key, gradual
from collage_motion.models import Model, load_model
from collage_motion.motion import Motion
from collage_motion.pipeline import generate
from collage_motion.plan import plan_from_prompts

LIMITS = Limits(min_frames=20, max_frames=120, fps=20)
QUICK = {"steps": 3, "overlap": 0.5}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def pair(model: Model) -> tuple[Motion, Motion]:
    walks = generate(plan_from_prompts(["a person walks::3"]), model, seed=1, **QUICK)
    runs = generate(plan_from_prompts(["a person runs::2.5", "a person waves::2"]), model, seed=2, **QUICK)
    return walks, runs


def rigid(moved: np.ndarray, still: np.ndarray) -> np.ndarray:
    """`moved` (F, J, 3) turned about y and shifted in x and z as a whole, nearest to `still`."""
    a, b = moved - moved.mean((0, 1)), still - still.mean((0, 1))
    angle = np.arctan2(
        (a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]).sum(), (a[..., ::2] * b[..., ::2]).sum()
    )
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.stack(
        (cos * a[..., 0] + sin * a[..., 2], moved[..., 1], -sin * a[..., 0] + cos * a[..., 2]), -1
    )
    return turned + still.mean((0, 1)) * (1, 0, 1)


@pytest.mark.parametrize("condition", ["replacement", "reconstruction"])
def test_a_bridge_keeps_both_motions(model: Model, pair: tuple[Motion, Motion], condition: str) -> None:
    first, second = pair
    joined = bridge(first, second, 1.5, model, condition=condition, **QUICK)
    assert joined.n_frames == 60 + 30 + 90
    np.testing.assert_array_equal(joined.features[:60], first.features)
    np.testing.assert_array_equal(joined.features[90:], second.features)
    raw = features_to_joints(joined.features)
    np.testing.assert_allclose(raw[:60], features_to_joints(first.features), atol=1e-5)
    # The second motion is carried along as one rigid piece: turned about y and shifted.
    np.testing.assert_allclose(
        rigid(raw[90:], still := features_to_joints(second.features)), still, atol=1e-4
    )
    assert joined.seams == (60, 90, 140)
    assert joined.prompts[60:90] == ("a person walks",) * 15 + ("a person runs",) * 15
    assert joined.settings["bridge"]["condition"] == condition
    assert len(joined.settings["joined"]) == 2


def test_a_bridge_knows_its_banks(model: Model, pair: tuple[Motion, Motion]) -> None:
    # What stands before the gap is felt in it; what lies further back than the context is not.
    first, second = pair
    plain = bridge(first, second, 1.0, model, seed=4, **QUICK).features[60:80]

    def changed(frame: int) -> np.ndarray:
        features = first.features.copy()
        features[frame, 4:67] += 0.2
        other = Motion(features, first.joints, first.rotations, first.offsets, 20, first.prompts)
        return bridge(other, second, 1.0, model, seed=4, **QUICK).features[60:80]

    assert not np.allclose(changed(58), plain, atol=1e-4)
    np.testing.assert_array_equal(changed(5), plain)


def test_a_bridge_can_be_told_what_both_show(model: Model, pair: tuple[Motion, Motion]) -> None:
    first, second = pair
    told = bridge(first, second, 1.0, model, prompts=("a person waves", "a person jumps"), **QUICK)
    plain = bridge(first, second, 1.0, model, **QUICK)
    assert not np.allclose(told.features[60:80], plain.features[60:80], atol=1e-5)
    assert told.prompts[59:61] == ("a person walks", "a person waves")


def test_a_bridge_that_cannot_be(model: Model, pair: tuple[Motion, Motion]) -> None:
    first, second = pair
    slow = Motion(first.features, first.joints, first.rotations, first.offsets, 30, first.prompts)
    with pytest.raises(DataError, match="motion 2: has 30 frames a second, the model 20"):
        bridge(first, slow, 1.0, model)
    for seconds in (0.0, -1.0, float("nan"), 0.01):
        with pytest.raises(PlanError, match="bridge: got"):
            bridge(first, second, seconds, model)
    with pytest.raises(CollageError, match="condition: got 'glue'; allowed: replacement, reconstruction"):
        bridge(first, second, 1.0, model, condition="glue")
    with pytest.raises(CollageError, match="method naive: it cannot hold a given motion"):
        bridge(first, second, 1.0, model, method="naive")
    for prompts, message in (
        (("", "run"), "prompts: a prompt is empty"),
        (("walk\n", "r\x1bun"), r"prompts: prompt .* contains the character U\+001B"),
        (("walk", "run " * 300), "prompts: prompt .* allowed are 1000"),
        (("c",), "prompts: got .* allowed: two, such as"),
        ((), "prompts: got .* allowed: two, such as"),
        ("walk", "prompts: got .* allowed: two, such as"),
    ):
        with pytest.raises(PlanError, match=message):
            bridge(first, second, 1.0, "no such model", prompts=prompts)  # before it is looked for


def test_windows_between_two_keys_are_told_mixes() -> None:
    graph, mixes = gradual(160, ["walk", "run"], (Key(40, 0), Key(120, 1)), LIMITS, 20, 60)
    told = [mixes[r.prompt] for r in graph.windows]
    assert told[0] == (0, 0, 0.0) and told[-1] == (1, 1, 0.0)
    shares = [i if i == j else t for i, j, t in told]
    assert shares == sorted(shares) and len(set(shares)) == len(shares) == 4
    assert graph.prompts[graph.windows[1].prompt].startswith("walk > run (")
    for variable in graph.variables:  # told the mix at their own middle
        i, j, share = mixes[variable.prompt]
        middle = variable.frames[0] + len(variable.frames) / 2
        assert (i if i == j else share) == pytest.approx(np.clip((middle - 40) / 80, 0, 1), abs=1e-6)


def test_around_a_cycle_prompts_pass_without_ends() -> None:
    graph, mixes = gradual(160, ["walk", "run"], (Key(40, 0), Key(120, 1)), LIMITS, 20, 60, cyclic=True)
    assert graph.cyclic and len(graph.windows) == len(graph.variables) == 4
    told = [mixes[r.prompt] for r in graph.windows]
    assert {i if i == j else -1 for i, j, _ in told} <= {0, 1, -1}
    wrap = next(r for r in graph.variables if 0 in r.frames)
    assert mixes[wrap.prompt][:2] == (1, 0)


@pytest.mark.parametrize(
    ("frames", "overlap", "message"),
    [
        (15, 0, "the motion lasts 0.75 s"),
        (60, 5, "allowed is 0, or 0.5 to 3 s"),
        (25, 20, "the motion lasts 1.25 s with overlaps of 1 s; .* two of them, 2 s"),
    ],
)
def test_what_is_too_short_to_pass_along(frames: int, overlap: int, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        gradual(frames, ["walk", "run"], (Key(0, 0), Key(10, 1)), LIMITS, overlap, 60)
    with pytest.raises(PlanError, match="in order of time"):
        gradual(60, ["walk"], (), LIMITS, 0, 60)


def test_one_prompt_needs_no_room_for_overlaps(model: Model) -> None:
    assert morph(plan_from_prompts(["a person walks::2"]), model, steps=2, overlap=1.5).n_frames == 40
    graph, mixes = gradual(25, ["walk"], (Key(12, 0),), LIMITS, 20, 60)
    assert [len(region.frames) for region in graph.regions] == [25] and mixes == ((0, 0, 0.0),)
    with pytest.raises(PlanError, match="the end leads back"):
        gradual(25, ["walk"], (Key(12, 0),), LIMITS, 20, 60, cyclic=True)


def test_a_morph_begins_and_ends_as_told(model: Model) -> None:
    plan = plan_from_prompts(["a person walks::4", "a person walks like an old man::4"])
    motion = morph(plan, model, seed=3, steps=1, overlap=0.5)
    assert motion.n_frames == 160 and motion.seams == (80,) and motion.settings["morph"] is True
    assert motion.prompts[0] == "a person walks" and motion.prompts[-1] == "a person walks like an old man"
    # In one step a window feels no other: the first is told what "walks" alone is told.
    alone = morph(
        plan_from_prompts(["a person walks::4", "a person walks::4"]), model, seed=3, steps=1, overlap=0.5
    )
    np.testing.assert_allclose(motion.features[:40], alone.features[:40], atol=1e-5)
    assert not np.allclose(motion.features[70:90], alone.features[70:90], atol=1e-4)
    loop = morph(plan_from_prompts(["a person walks::4", "a person runs::4"], loop=True), model, **QUICK)
    assert loop.seams == (0, 80)


def test_where_prompts_pass_gradually_none_changes_at_once(model: Model, pair: tuple[Motion, Motion]) -> None:
    plan = plan_from_prompts(["a person walks::4", "a person runs::4"])
    for wrong, message in (
        ({"seam_factors": True}, "seam factors: where prompts pass gradually"),
        ({"variables": "null"}, "variables null: where prompts pass gradually"),
        ({"method": "handshake"}, "method handshake: it cannot"),
    ):
        with pytest.raises(CollageError, match=message):
            morph(plan, model, **wrong)
        with pytest.raises(CollageError, match=message):
            bridge(*pair, 1.0, model, **wrong)


def test_an_edit_changes_more_the_stronger_it_is(model: Model, pair: tuple[Motion, Motion]) -> None:
    motion, _ = pair
    far = []
    for strength in (0.05, 0.4, 1.0):
        edited = edit(motion, "a person jumps", strength, model, seed=9, steps=20, guidance_above=0)
        assert edited.n_frames == motion.n_frames and edited.prompts[0] == "a person jumps"
        far.append(float(np.abs(edited.features - motion.features).mean()))
    assert far[0] < far[1] < far[2]
    # From noise alone: the same as a new motion of that seed, but for what noise of 20,000 leaves of it.
    fresh = generate(plan_from_prompts(["a person jumps::3"]), model, seed=9, steps=20, guidance_above=0)
    np.testing.assert_allclose(edited.features, fresh.features, atol=2e-3)


def test_an_edited_loop_stays_a_loop(model: Model) -> None:
    plan = plan_from_prompts(["a person walks::3", "a person runs::3"], loop=True)
    loop = generate(plan, model, **QUICK)
    assert 0 in edit(loop, "a person waves", 0.5, model, **QUICK).seams
    assert edit(loop, plan, 0.5, model, **QUICK).seams == (0, 60)


def test_an_edit_that_cannot_be(model: Model, pair: tuple[Motion, Motion]) -> None:
    motion, _ = pair
    with pytest.raises(PlanError, match=r"edit: the plan lasts 4 s, the motion 3 s"):
        edit(motion, plan_from_prompts(["a person jumps::4"]), 0.5, model)
    for strength in (0.0, 1.5, float("nan")):
        with pytest.raises(CollageError, match="strength: got"):
            edit(motion, "a person jumps", strength, model)


def test_what_is_no_plan_is_refused(model: Model, pair: tuple[Motion, Motion]) -> None:
    with pytest.raises(
        PlanError, match="plan: got 'a person walks'; allowed: a Plan; make one with plan_from"
    ):
        morph("a person walks", model)
    with pytest.raises(PlanError, match="prompt: got 5; allowed: a Plan"):
        edit(pair[0], 5, 0.5, model)


def test_joints_from_elsewhere_become_a_motion(pair: tuple[Motion, Motion]) -> None:
    _, motion = pair
    given = motion_from_joints(motion.joints, 20, "a person runs")
    assert given.n_frames == motion.n_frames - 2 and set(given.prompts) == {"a person runs"}
    half = motion_from_joints(np.repeat(motion.joints, 2, axis=0), 40, "a person runs")
    np.testing.assert_allclose(half.features, given.features, atol=1e-4)
    with pytest.raises(DataError, match=r"joints: got shape \(3, 21, 3\)"):
        motion_from_joints(np.zeros((3, 21, 3)))
    with pytest.raises(DataError, match="got 2 frames at 20 a second"):
        motion_from_joints(motion.joints[:2])
    broken = motion.joints.copy()
    broken[1] = np.nan
    with pytest.raises(DataError, match=r"joints: got one 9e\+06 m away; allowed: up to 1e\+06 m"):
        motion_from_joints(np.where(np.arange(3) == 0, 9e6, motion.joints))
    with pytest.raises(DataError, match="all numbers finite"):
        motion_from_joints(broken)


@pytest.mark.slow
def test_a_bridge_of_the_default_model_meets_its_banks_without_a_jerk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = load_model("default")
    prompts = ("a person walks forward", "a person kicks", "a person waves the right hand")
    clips = [
        generate(plan_from_prompts([f"{prompt}::4"]), model, seed=seed) for seed, prompt in enumerate(prompts)
    ]

    def jerk() -> float:
        """The largest within 4 frames of a join, of any joint; mean over the joins; m/frame^3."""
        found = []
        for first, second in ((0, 1), (1, 2), (2, 0)):
            joints = bridge(clips[first], clips[second], 1.5, model).joints
            sizes = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1).max(-1)
            found += [sizes[at - 4 : at + 3].max() for at in (80, 110)]
        return float(np.mean(found))

    gently = jerk()
    monkeypatch.setattr("collage_motion.bridging.SPREAD_S", 0.0)
    assert gently < 0.5 * jerk()
