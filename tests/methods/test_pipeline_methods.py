"""Methods, seam factors and tables of prompts through the whole pipeline, on the tiny network."""

from functools import partial

import numpy as np
import pytest
import torch
from tiny_model import write_tiny_model

from collage_motion.conditioning import known, reconstruction, replacement
from collage_motion.errors import CollageError, ModelError
from collage_motion.methods import METHODS
from collage_motion.methods.tally import Tally
from collage_motion.models import Model, load_model
from collage_motion.models.prompts import PromptTable, slerp
from collage_motion.pipeline import Settings, generate, sample
from collage_motion.plan import Plan, Segment, plan_from_prompts
from collage_motion.topology import build

PLAN = plan_from_prompts(["a person walks::3", "a person runs::2.5", "a person walks::2"])
QUICK = {"steps": 3, "overlap": 0.5}
NEVER = 1e6  # windows always overlap: a single step is a noisy one


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_makes_the_plan_and_says_so(model: Model, name: str) -> None:
    motion = generate(PLAN, model, method=name, **QUICK)
    assert motion.n_frames == 150 and motion.seams == (60, 110)
    assert motion.settings["method"] == name
    keys = Settings.__dataclass_fields__
    record = dict(motion.settings)
    plan = Plan(tuple(Segment(**s) for s in record["plan"]["segments"]), record["plan"]["loop"])
    again = generate(plan, model, **{k: record[k] for k in keys})
    np.testing.assert_array_equal(motion.features, again.features)


def test_seam_factors_change_what_is_near_seams_only(model: Model) -> None:
    one = {"steps": 1, "overlap": 0.5, "apart_above": NEVER}
    plain, extra = (generate(PLAN, model, seam_factors=on, **one) for on in (False, True))
    same = (plain.features == extra.features).all(axis=1)
    assert same[:45].all() and same[75:98].all() and same[125:].all()
    assert not same[50:70].any() and not same[102:118].any()


def test_the_pipeline_counts_network_calls(model: Model) -> None:
    tally = Tally()
    graph = build(PLAN, model.card, 0.5)
    sample(
        graph, model, [0, 1], Settings(steps=3, overlap=0.5, guidance_above=0, apart_above=NEVER), tally=tally
    )
    assert (tally.rounds, tally.calls) == (3, 3)
    assert tally.rows == 3 * 2 * graph.rows_per_step
    split = Tally()
    sample(
        graph, model, [0, 1], Settings(steps=3, overlap=0.5, max_tokens=200, apart_above=NEVER), tally=split
    )
    # Of the three steps one is below the level where guidance ends.
    assert split.rows == 2 * (2 * graph.rows_per_step + len(graph.regions))
    assert split.rounds == 3 and split.calls > 6 and split.frames < tally.frames


def test_reconstruction_asks_the_network_for_gradients(model: Model) -> None:
    # With no weight the known half is not felt, and the result is another one.
    plan = plan_from_prompts(["a person walks::9"])
    made = [
        generate(plan, model, method="reconstruction", reconstruction_weight=w, **QUICK) for w in (0.0, 1.0)
    ]
    # The graph has two windows of 95 and 96 frames, so each sliding one has 45 new frames.
    np.testing.assert_array_equal(made[0].features[:45], made[1].features[:45])
    assert not np.allclose(made[0].features[45:], made[1].features[45:], atol=1e-4)


def test_a_plan_can_be_held_to_known_frames(model: Model) -> None:
    given = generate(PLAN, model, seed=5, **QUICK)
    mask = np.zeros(150, bool)
    mask[[0, 1, 70, 149]] = True
    held = known(model.normaliser.normalise(given.features), mask)
    for wrap in (replacement, partial(reconstruction, weight=0.5)):
        made = generate(PLAN, model, seed=6, condition=lambda d, wrap=wrap: wrap(d, held), **QUICK)
        off = np.abs(made.features - given.features).mean(axis=1)
        free = np.abs(generate(PLAN, model, seed=6, **QUICK).features - given.features).mean(axis=1)
        assert (off[mask] < 1e-6).all() if wrap is replacement else off[mask].mean() < free[mask].mean()
    with pytest.raises(CollageError, match="does not see the whole canvas"):
        generate(PLAN, model, method="replacement", condition=lambda d: d, **QUICK)


def test_wrong_settings_are_refused(model: Model) -> None:
    with pytest.raises(CollageError, match="method: got 'magic'"):
        generate(PLAN, model, method="magic")
    with pytest.raises(CollageError, match=r"blend: got 2\.0; allowed"):
        generate(PLAN, model, blend=2.0)
    with pytest.raises(CollageError, match="seam factors: got method 'handshake'"):
        generate(PLAN, model, method="handshake", seam_factors=True)


def test_tables_of_prompts_are_the_prompts(model: Model) -> None:
    prompts = ["a person walks", "a person runs quickly to the left"]
    table = model.encode(prompts)
    pure = table.between([(1, 1, 0.0), (0, 1, 1.0), (1, 0, 1.0)])
    x = torch.randn(3, 40, 263, generator=torch.Generator().manual_seed(0))
    lengths = torch.full((3,), 40)
    wanted = model.bind(prompts)(x, 2.0, torch.tensor([1, 1, 0]), lengths)
    got = model.bind(pure)(x, 2.0, torch.tensor([0, 1, 2]), lengths)
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5)
    shares = (0.05, 0.5, 0.95)
    mixed = model.bind(table.between([(0, 1, share) for share in shares]))
    same = x[:1].expand(3, -1, -1)
    ends = model.bind(prompts)(same[:2], 2.0, torch.tensor([0, 1]), lengths[:2])
    between = mixed(same, 2.0, torch.tensor([0, 1, 2]), lengths)
    from_first, from_second = ((between - end).flatten(1).norm(dim=1).tolist() for end in ends)
    assert from_first[0] < from_first[1] and from_second[2] < from_second[1]
    with pytest.raises(ModelError, match=r"got \(0, 2, 0.5\); allowed: rows 0 to 1"):
        table.between([(0, 2, 0.5)])
    with pytest.raises(ModelError, match="a fraction from 0 to 1"):
        table.between([(0, 1, 1.5)])


def test_pooled_prompts_interpolate_on_the_arc() -> None:
    table = PromptTable(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), None)
    (row,) = table.between([(0, 1, 0.5)]).features
    torch.testing.assert_close(row, 3.0 * torch.tensor([0.5**0.5, 0.5**0.5]))
    torch.testing.assert_close(
        slerp(torch.tensor([1.0, 0.0]), torch.tensor([-3.0, 0.0]), 0.5), torch.tensor([-1.0, 0.0])
    )
    torch.testing.assert_close(
        slerp(torch.zeros(2), torch.tensor([0.0, 2.0]), 0.25), torch.tensor([0.0, 0.5])
    )


def test_the_positional_table_grows(model: Model) -> None:
    network = model.network
    before = network.pe.clone()
    try:
        rows = network.positions(len(before) + 5)
        assert len(rows) == len(before) + 5
        torch.testing.assert_close(rows[: len(before)], before)
    finally:
        network.pe = before
