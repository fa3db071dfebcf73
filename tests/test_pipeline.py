"""The pipeline: what a plan asks for comes out, and neither batches, budgets nor neighbours change it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import write_tiny_model

from collage_motion.conditioning import Condition, known, low_pass, reconstruction, replacement, together
from collage_motion.errors import CollageError, ModelError, PlanError
from collage_motion.features import features_to_joints
from collage_motion.kinematics import forward_kinematics
from collage_motion.models import Model, load_model
from collage_motion.noise import canvas_noise
from collage_motion.pipeline import Settings, generate, generate_many, generate_tree, pick_device, sample
from collage_motion.plan import Plan, Segment, plan_from_prompts
from collage_motion.samplers.ddim import ddim
from collage_motion.schedule import spaced_sigmas
from collage_motion.topology import Branch, build

PLAN = plan_from_prompts(["a person walks::3", "a person runs::2.5", "a person walks::2"])
QUICK = {"steps": 4, "overlap": 0.5}
NEVER = 1e6  # windows always overlap: a single step is a noisy one


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_motion_is_what_the_plan_says(model: Model) -> None:
    motion = generate(PLAN, model, seed=3, **QUICK)
    assert motion.n_frames == 150 and motion.fps == 20
    assert motion.seams == (60, 110)
    assert [prompt for _, _, prompt in motion.segments] == [segment.prompt for segment in PLAN.segments]
    joints = forward_kinematics(motion.rotations, motion.offsets, motion.root)
    np.testing.assert_allclose(motion.joints, joints, atol=1e-5)
    np.testing.assert_allclose(motion.root, features_to_joints(motion.features)[:, 0], atol=1e-5)
    assert motion.settings["seed"] == 3 and motion.settings["model"] == "tiny"


def test_settings_make_it_again(model: Model) -> None:
    first = generate(PLAN, model, seed=5, guidance=1.5, **QUICK)
    record = dict(first.settings)
    plan = Plan(tuple(Segment(**s) for s in record["plan"]["segments"]), record["plan"]["loop"])
    keys = Settings.__dataclass_fields__
    again = generate(plan, model, seed=record["seed"], **{k: record[k] for k in keys})
    np.testing.assert_array_equal(first.features, again.features)


@pytest.mark.slow
def test_many_seeds_equal_one_by_one(model: Model) -> None:
    many = generate_many(PLAN, [0, 7], model, **QUICK)
    for seed, motion in zip((0, 7), many, strict=True):
        np.testing.assert_allclose(
            motion.features, generate(PLAN, model, seed=seed, **QUICK).features, atol=1e-4
        )
    assert not np.allclose(many[0].features, many[1].features)


def test_memory_budget_changes_nothing(model: Model) -> None:
    whole = generate(PLAN, model, **QUICK)
    split = generate(PLAN, model, max_tokens=100, **QUICK)
    np.testing.assert_allclose(whole.features, split.features, atol=1e-4)


def test_no_window_is_longer_than_the_settings_say(model: Model) -> None:
    plan = plan_from_prompts(["a person walks::10"])
    long, short = Settings(**QUICK), Settings(**QUICK, window=3)
    lengths = [
        [len(window.frames) for window in build(plan, chosen.limits(model.card), chosen.overlap).windows]
        for chosen in (long, short)
    ]
    assert max(lengths[0]) > 60 >= max(lengths[1]) and len(lengths[0]) < len(lengths[1])
    made = generate(plan, model, window=3, **QUICK)
    graph = build(plan, short.limits(model.card), short.overlap)
    np.testing.assert_array_equal(made.features, sample(graph, model, [0], short)[0])
    assert not np.allclose(made.features, generate(plan, model, **QUICK).features)


@pytest.mark.parametrize("window", [0.5, 7, 0, -1])
def test_a_window_that_the_model_cannot_hold_is_refused(model: Model, window: float) -> None:
    with pytest.raises(
        PlanError, match=r"^window: got .* s; this model's windows hold 1 to 6 s; choose among"
    ):
        generate(PLAN, model, window=window, **QUICK)


def test_messages_tell_the_window_that_was_chosen_from_the_models(model: Model) -> None:
    plan = plan_from_prompts(["walks::0.6"])
    for settings, whose in (
        ({}, "this model's windows"),
        ({"window": 3}, "with the window that was chosen, windows"),
    ):
        with pytest.raises(PlanError, match=rf"lasts 0\.6 s; {whose} hold 1 to"):
            generate(plan, model, **settings, **QUICK)


def test_mixed_precision_changes_little_and_only_noisy_steps(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, bool]] = []
    bind = Model.bind

    def watched(self: Model, prompts):
        denoiser = bind(self, prompts)

        def denoise(x, sigma, prompts, lengths):
            assert x.dtype == torch.float32
            seen.append((sigma, torch.is_autocast_enabled("cpu")))
            return denoiser(x, sigma, prompts, lengths)

        return denoise

    whole = generate(PLAN, model, **QUICK)
    monkeypatch.setattr(Model, "bind", watched)
    rounded = generate(PLAN, model, precision="mixed", **QUICK)
    assert {half for _, half in seen} == {True, False} and all(half == (sigma >= 1) for sigma, half in seen)
    assert rounded.features.dtype == np.float32
    difference = np.abs(model.normaliser.normalise(rounded.features - whole.features + model.normaliser.mean))
    assert 0 < difference.mean() < 0.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "half"}, "precision: got 'half'; allowed: float32, mixed"),
        ({"guidance_above": -1}, "guidance_above: got -1; allowed: a noise level, 0"),
        ({"guidance_above": float("nan")}, "guidance_above: got nan; allowed"),
        ({"window": "4"}, "window: got '4'; allowed: usual, longest or a number"),
        ({"window": None}, "window: got None; allowed: usual, longest or a number"),
        ({"window": float("nan")}, "window: got nan; allowed: usual, longest or a number"),
        ({"guidance_above": float("inf")}, "guidance_above: got inf; allowed"),
        ({"sigma_start": float("nan")}, "sigma_start: got nan; allowed: a noise level above 0"),
        ({"sigma_end": "foo"}, "sigma_end: got 'foo'; allowed: a noise level"),
        ({"sigma_start": True}, "sigma_start: got True; allowed"),
        ({"max_tokens": None}, "max_tokens: got None; allowed: a whole number"),
        ({"max_tokens": 0}, "max_tokens: got 0; allowed"),
        ({"variables": None}, "variables: got None; allowed: auto, null, prompt"),
        ({"sampler": "deis", "order": "foo"}, "order: got 'foo'; allowed: 1, 2 or 3"),
        ({"sampler": "ddim", "eta": "abc"}, "eta: got 'abc'; allowed: 0 .no fresh noise. to 1"),
        ({"share_guidance": 1}, "share_guidance: got 1; allowed: true or false"),
        ({"seam_factors": "no"}, "seam_factors: got 'no'; allowed: true or false"),
    ],
)
def test_values_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(CollageError, match=f"^{message}"):
        Settings(**settings)


@pytest.mark.parametrize(("guidance", "above"), [(1.0, 0.0), (2.5, 0.0), (2.5, 2.0)])
def test_one_segment_is_the_plain_model(model: Model, guidance: float, above: float) -> None:
    plan = plan_from_prompts(["a person waves::4"])
    windows = model.bind(["a person waves"])
    lengths = torch.tensor([80])

    def plain(x: torch.Tensor, sigma: float) -> torch.Tensor:
        null = windows(x, sigma, torch.tensor([-1]), lengths)
        if sigma < above:
            return windows(x, sigma, torch.tensor([0]), lengths)
        return null + guidance * (windows(x, sigma, torch.tensor([0]), lengths) - null)

    settings = Settings(steps=4, guidance=guidance, guidance_above=above, sampler="ddim")
    sigmas = spaced_sigmas(model.schedule, 4, settings.spacing, settings.sigma_end, settings.sigma_start)
    x = torch.from_numpy(canvas_noise([0], 80, 263)) * sigmas[0]
    wanted = model.normaliser.denormalise(ddim(plain, x, sigmas).numpy())
    graph = build(plan, model.card)
    got = sample(graph, model, [0], settings)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_frames_far_from_a_changed_prompt_feel_little_of_it(model: Model) -> None:
    # One denoising step: what a window says reaches no frame outside it.
    other = plan_from_prompts(["a person walks::3", "a person runs::2.5", "a person jumps::2"])
    a, b = (generate(plan, model, steps=1, overlap=0.5, apart_above=NEVER) for plan in (PLAN, other))
    # Not to the last bit: on some processors a row's rounding depends on the batch that it is in.
    np.testing.assert_allclose(a.features[:105], b.features[:105], rtol=0, atol=1e-5)
    assert np.abs(a.features[115:] - b.features[115:]).max() > 1e-3


def test_rolling_a_loop_rolls_the_motion(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ["a person walks::3", "a person runs::3", "a person waves::3"]
    plain = sample(build(plan_from_prompts(prompts, loop=True), model.card), model, [0], Settings(steps=4))
    import collage_motion.pipeline as pipeline

    monkeypatch.setattr(pipeline, "canvas_noise", lambda *a: np.roll(canvas_noise(*a), -60, axis=1))
    rolled_plan = plan_from_prompts(prompts[1:] + prompts[:1], loop=True)
    rolled = sample(build(rolled_plan, model.card), model, [0], Settings(steps=4))
    np.testing.assert_allclose(np.roll(plain, -60, axis=1), rolled, atol=1e-4)


def test_a_tree_gives_a_motion_for_each_of_its_ways(model: Model) -> None:
    walk, run, wave = (plan_from_prompts([f"a person {word}::3"]) for word in ("walks", "runs", "waves"))
    root = Branch(walk, (Branch(run), Branch(wave, (Branch(walk),))))
    short, long = generate_tree(root, model, seed=2, **QUICK)
    assert (short.n_frames, long.n_frames) == (120, 180) and (short.seams, long.seams) == ((60,), (60, 120))
    assert [prompt for *_, prompt in long.segments] == ["a person walks", "a person waves", "a person walks"]
    np.testing.assert_array_equal(short.features[:60], long.features[:60])  # they part where the branches do
    assert not np.allclose(short.features[60:70], long.features[60:70])
    assert [m.settings["story"] for m in (short, long)] == [0, 1]
    assert long.settings["tree"]["then"][1]["plan"]["segments"][0]["prompt"] == "a person waves"
    (lone,) = generate_tree(Branch(PLAN), model, seed=3, **QUICK)
    np.testing.assert_allclose(lone.features, generate(PLAN, model, seed=3, **QUICK).features, atol=1e-5)
    with pytest.raises(CollageError, match="method naive: it cannot make a story that branches; allowed"):
        generate_tree(root, model, method="naive")


def test_conditions_that_do_not_fit_are_refused(model: Model) -> None:
    wrong = low_pass(149, 263, 5)
    held = Condition(wrong, np.zeros(wrong.shape, np.float32))
    for wrap in (replacement, reconstruction):
        with pytest.raises(
            CollageError, match=r"canvas of shape \(1, 150, 263\); its operator measures \(samples, 149"
        ):
            generate(PLAN, model, condition=lambda denoise, wrap=wrap: wrap(denoise, held), **QUICK)
    one, other = (known(np.full((150, 263), value, np.float32), np.arange(150) < 9) for value in (0.0, 1.0))
    with pytest.raises(CollageError, match="contradict one another at frame 0, channel 0, by 1"):
        generate(PLAN, model, condition=lambda denoise: replacement(denoise, together(one, other)), **QUICK)


def test_options_of_a_sampler_reach_it(model: Model) -> None:
    plain = generate(PLAN, model, sampler="deis", **QUICK).features
    np.testing.assert_array_equal(plain, generate(PLAN, model, sampler="deis", order=3, **QUICK).features)
    assert not np.allclose(plain, generate(PLAN, model, sampler="deis", order=1, **QUICK).features)
    fresh = generate(PLAN, model, sampler="ddim", eta=1.0, **QUICK).features
    np.testing.assert_allclose(fresh, generate(PLAN, model, sampler="ancestral", **QUICK).features, atol=1e-4)


def test_wrong_settings_are_refused(model: Model) -> None:
    with pytest.raises(CollageError, match=r"guidance: got -1"):
        generate(PLAN, model, guidance=-1.0)
    with pytest.raises(CollageError, match=r"steps: got 0; allowed: 1 to"):
        generate(PLAN, model, steps=0)
    with pytest.raises(CollageError, match=r"sampler: got 'magic'"):
        generate(PLAN, model, steps=2, sampler="magic")
    with pytest.raises(CollageError, match=r"method naive: .* cannot close a loop"):
        generate(Plan(PLAN.segments, loop=True), "no such model", method="naive")  # before it is looked for
    with pytest.raises(PlanError, match=r"lasts 0.3 s"):
        generate(plan_from_prompts(["walk::3", "jump::0.3"]), model, **QUICK)
    with pytest.raises(CollageError, match="device 'warp9'"):
        pick_device("warp9")


def broken(folder: Path, how: str) -> Path:
    weights = folder / "model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif how == "missing":
        weights.unlink()
    elif how == "shape":
        state = load_file(weights)
        save_file({**state, "embed_text.weight": torch.zeros(3, 3)}, weights)
    elif how == "key":
        state = load_file(weights)
        state["surplus"] = state.pop("embed_text.bias")
        save_file(state, weights)
    elif how == "nan":
        state = load_file(weights)
        save_file({**state, "embed_text.bias": state["embed_text.bias"] * float("nan")}, weights)
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [("truncated", "cannot be read"), ("missing", "no weights beside the card"),
     ("shape", r"embed_text.weight is \(3, 3\), not"), ("nan", "embed_text.bias has values that are not finite"),
     ("key", "missing embed_text.bias; unexpected surplus")],
)  # fmt: skip
def test_broken_weights_are_named(tmp_path: Path, how: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(broken(write_tiny_model(tmp_path / "m"), how))


def test_things_of_a_wrong_kind_are_named(model: Model) -> None:
    held = known(np.zeros((150, 263), np.float32), np.arange(150) < 3)
    nowhere = "no such model"  # it is not even looked for
    with pytest.raises(CollageError, match=r"condition: got a Condition; allowed: a wrapper .* replacement"):
        generate(PLAN, nowhere, condition=held)
    with pytest.raises(
        PlanError, match="plan: got 'a person walks'; allowed: a Plan; make one with plan_from"
    ):
        generate("a person walks", nowhere)
    with pytest.raises(PlanError, match=r"tree: got Plan.*; allowed: a Branch"):
        generate_tree(PLAN, nowhere)
    with pytest.raises(CollageError, match="seeds: got none"):
        generate_many(PLAN, [], nowhere)
    with pytest.raises(CollageError, match=r"seed: got 1\.5; allowed: whole numbers"):
        generate(PLAN, model, seed=1.5, **QUICK)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 2.5, r"steps: got 2\.5; allowed: a whole number"),
        ("steps", True, "steps: got True; allowed: a whole number"),
        ("guidance", "a", "guidance: got 'a'; allowed: 0 to 100"),
        ("blend", None, "blend: got None; allowed: 0 .consensus average. to 1"),
        ("taper", -0.1, r"taper: got -0\.1; allowed: 0 to 60 seconds"),
        ("spread", -0.1, r"spread: got -0\.1; allowed: 0 to 60 seconds"),
        ("spread", float("nan"), "spread: got nan; allowed: 0 to 60 seconds"),
        ("spread", "x", "spread: got 'x'; allowed: 0 to 60 seconds"),
        ("apart_above", -1, r"apart_above: got -1; allowed: a noise level from 0"),
        ("apart_above", float("nan"), "apart_above: got nan; allowed: a noise level from 0"),
        ("apart_above", True, "apart_above: got True; allowed: a noise level"),
        ("stagger_below", -1, r"stagger_below: got -1; allowed: a noise level, such as 6, or 0 for never"),
        ("restarts", True, "restarts: got True; allowed: a whole number from 0 to 100"),
        ("restarts", 1.5, "restarts: got 1.5; allowed: a whole number from 0 to 100"),
        ("restarts", -1, "restarts: got -1; allowed: a whole number from 0 to 100"),
        ("taper", "x", "taper: got 'x'; allowed: 0 to 60 seconds"),
    ],
)
def test_settings_that_are_no_numbers_are_told(field: str, value: object, message: str) -> None:
    with pytest.raises(CollageError, match=message):
        Settings(**{field: value})  # type: ignore[arg-type]
