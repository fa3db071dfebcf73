"""Training: a run learns, a killed run resumes as if nothing had happened, losses mean what they say."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import write_tiny_model
from torch import Tensor

from collage_motion.data.batches import Batch
from collage_motion.errors import DataError
from collage_motion.features import features_to_joints
from collage_motion.losses import MotionLoss, NoiseLevelBalance, joint_displacements
from collage_motion.models import load_model
from collage_motion.models.mdm import MDM, MdmConfig
from collage_motion.schedule import DiscreteSchedule
from collage_motion.skeleton import N_FEATURES
from collage_motion.training import Trainer, TrainSettings

CONFIG = MdmConfig("trans_dec", 16, 32, 1, 2, 0.0, text_dim=8, word_dim=4)


def trainer(folder: Path, config: MdmConfig = CONFIG, **settings: object) -> Trainer:
    torch.manual_seed(0)
    loss = MotionLoss(torch.zeros(N_FEATURES), torch.full((N_FEATURES,), 0.1))
    chosen = TrainSettings(precision="float32", warmup_steps=5, learning_rate=2e-3, **settings)  # type: ignore[arg-type]
    return Trainer(MDM(config, max_len=60), DiscreteSchedule.cosine(50), loss, chosen, folder)


def batch(seed: int) -> Batch:
    """Four waves whose pace the words tell."""
    rng = np.random.default_rng(seed)
    pace = rng.choice([-1.0, 1.0], 4)
    time = np.arange(16)
    wave = np.sin(0.3 * pace[:, None, None] * time[:, None] + np.arange(N_FEATURES) / 40)
    words = np.tile(pace[:, None, None], (1, 3, 4))
    arrays = (
        wave.astype(np.float32),
        np.array([16, 12, 16, 9]),
        words.astype(np.float32),
        np.ones((4, 3), bool),
    )
    return Batch(*(torch.from_numpy(a) for a in arrays))


def stream(first: int = 0) -> Iterator[Batch]:
    while True:
        yield batch(first)
        first += 1


def weights(run: Trainer) -> dict[str, Tensor]:
    return {**run.network.state_dict(), **{f"average {k}": v for k, v in run.average.weights.items()}}


@pytest.mark.slow
def test_loss_falls(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    before = run.validate([batch(1000)])[0]
    run.run(stream(), [batch(1000)], until=150, every=150)
    assert run.validate([batch(1000)])[0] < 0.6 * before
    log = (tmp_path / "log.csv").read_text().splitlines()
    assert log[0].startswith("step,x0") and log[1].startswith("150,")


@pytest.mark.slow
def test_resumed_run_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run(stream(), [batch(1000)], until=8, every=4)
    first = trainer(tmp_path / "parts")
    first.run(stream(), [batch(1000)], until=4, every=4)
    second = trainer(tmp_path / "parts")
    assert second.resume() and second.step == 4
    second.run(stream(4), [batch(1000)], until=8, every=4)
    wanted, got = weights(whole), weights(second)
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)


def test_interrupt_saves(tmp_path: Path) -> None:
    run = trainer(tmp_path)

    def batches() -> Iterator[Batch]:
        yield from (batch(k) for k in range(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(batches(), [batch(0)], until=10)
    again = trainer(tmp_path)
    assert again.resume() and again.step == 3
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_state_of_another_network_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).save()
    other = MdmConfig("trans_dec", 32, 32, 1, 2, 0.0, text_dim=8, word_dim=4)
    with pytest.raises(DataError, match="other sizes"):
        trainer(tmp_path, other).resume()


def test_learning_rate_warms_up_and_anneals() -> None:
    settings = TrainSettings(learning_rate=1.0, warmup_steps=10, anneal_from=100, anneal_steps=50)
    rates = [settings.rate(step) for step in range(200)]
    assert rates[0] == 0.1 and rates[9] == 1.0 and rates[99] == 1.0
    assert rates[125] == pytest.approx(0.5) and rates[199] == pytest.approx(0.02)


def test_a_run_begins_from_given_weights_and_counts_on(tmp_path: Path) -> None:
    given = trainer(tmp_path / "given")
    given.run(stream(), [batch(0)], until=3, every=3)
    packed = {name: weight.half() for name, weight in given.average.weights.items()}
    run = trainer(tmp_path / "new")
    run.begin_from(packed, step=3, seconds=7.0)
    for name, parameter in run.network.named_parameters():
        assert torch.equal(parameter, packed[name].float()) and torch.equal(
            run.average.weights[name], parameter
        )
    run.run(stream(), [batch(0)], until=4, every=1)
    row = (tmp_path / "new" / "log.csv").read_text().splitlines()[1].split(",")
    assert row[0] == "4" and run.seconds > 7.0
    assert [run.settings.rate(step) for step in (0, 3, 7)] == pytest.approx(
        [4e-4, 4e-4, 2e-3]
    )  # warms up anew
    again = trainer(tmp_path / "new")
    assert again.resume() and again.settings.rate(4) == pytest.approx(8e-4)


def test_the_script_takes_a_model_that_fits_the_run_and_names_what_does_not(tmp_path: Path) -> None:
    place = Path(__file__).resolve().parent.parent / "scripts" / "train_model.py"
    spec = importlib.util.spec_from_file_location("train_model", place)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    model = load_model(write_tiny_model(tmp_path / "tiny"))
    folder, (mean, std) = model.card.folder, map(np.array, (model.card.mean, model.card.std))
    run = trainer(tmp_path / "run", model.network.config)
    with pytest.raises(DataError, match="another mean and spread"):
        script.begin_from(run, folder, mean + 1, std, 9)
    with pytest.raises(DataError, match=r"--steps: got 0; .*tiny has had 0"):
        script.begin_from(run, folder, mean, std, 0)
    with pytest.raises(DataError, match="a network of other sizes"):
        script.begin_from(trainer(tmp_path / "other"), folder, mean, std, 9)
    assert run.step == 0 and not torch.equal(run.average.weights["embed_timestep.time_embed.0.weight"],
                                             model.network.embed_timestep.time_embed[0].weight)  # fmt: skip
    script.begin_from(run, folder, mean, std, 9)
    given = dict(model.network.named_parameters())
    assert all(torch.equal(weight, given[name]) for name, weight in run.average.weights.items())


def test_weights_of_another_network_are_no_beginning(tmp_path: Path) -> None:
    other = MdmConfig("trans_dec", 32, 32, 1, 2, 0.0, text_dim=8, word_dim=4)
    with pytest.raises(DataError, match="other sizes, such as"):
        trainer(tmp_path).begin_from(trainer(tmp_path, other).average.weights, 3, 7.0)


def test_displacements_are_those_of_recovered_joints() -> None:
    features = torch.from_numpy(
        np.random.default_rng(0).normal(0, 0.1, (2, 12, N_FEATURES)).astype(np.float32)
    )
    joints = features_to_joints(features)
    got = joint_displacements(features)
    wanted = joints[:, 1:] - joints[:, :-1]
    # Turned into each frame's heading a displacement keeps its length and its height.
    torch.testing.assert_close(got.norm(dim=-1), wanted.norm(dim=-1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got[..., 1], wanted[..., 1], atol=1e-6, rtol=1e-5)


def test_padding_does_not_enter_the_loss() -> None:
    loss = MotionLoss(torch.zeros(N_FEATURES), torch.full((N_FEATURES,), 0.1))
    generator = torch.Generator().manual_seed(0)
    target, predicted = (torch.randn(2, 20, N_FEATURES, generator=generator) for _ in range(2))
    lengths = torch.tensor([20, 7])
    clear = torch.ones(2)
    wanted = loss(predicted, target, lengths, clear)
    predicted[1, 7:] = 99.0
    for a, b in zip(wanted, loss(predicted, target, lengths, clear), strict=True):
        torch.testing.assert_close(a, b)


def test_a_tremor_counts_more_in_a_quiet_clip_and_only_without_noise() -> None:
    plain = MotionLoss(torch.zeros(N_FEATURES), torch.ones(N_FEATURES))
    quiet = MotionLoss(torch.zeros(N_FEATURES), torch.ones(N_FEATURES), quiet_scale=0.005)
    generator = torch.Generator().manual_seed(0)
    still = torch.zeros(3, 20, N_FEATURES)  # does not move at all: measured in units of the floor
    moving = torch.randn(3, 20, N_FEATURES, generator=generator)
    tremor = 0.01 * torch.randn(still.shape, generator=generator)
    lengths, clearness = torch.full((3,), 20), torch.tensor([0.0, 0.5, 1.0])
    (x0, before), (same_x0, after) = (f(still + tremor, still, lengths, clearness) for f in (plain, quiet))
    torch.testing.assert_close(same_x0, x0)
    torch.testing.assert_close(after / before, (0.02 / 0.005) ** (2 * clearness))
    (_, before), (_, after) = (f(moving + tremor, moving, lengths, clearness) for f in (plain, quiet))
    torch.testing.assert_close(after, before)


@pytest.mark.golden
def test_x0_loss_is_the_reference_loss(golden: Path) -> None:
    vectors = np.load(golden / "diffusion_schedule.npz")
    x, x0 = (
        torch.from_numpy(vectors[f"step/{name}"][:, :, 0]).transpose(1, 2) for name in ("x_t", "x0_pred")
    )
    loss = MotionLoss(torch.zeros(N_FEATURES), torch.ones(N_FEATURES), displacement=0.0)
    got, _ = loss(x0, x, torch.from_numpy(vectors["loss/lengths"]), torch.ones(len(x)))
    torch.testing.assert_close(got, torch.from_numpy(vectors["loss/masked_l2"]), rtol=1e-5, atol=0)


def test_noise_levels_end_up_teaching_alike() -> None:
    balance = NoiseLevelBalance(1000, bins=10)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        t = torch.randint(0, 1000, (32,), generator=generator)
        true = 0.05 + (t.float() / 1000) ** 2  # quiet levels have small losses
        weighted = balance.weights(t, true) * true
    quiet, loud = weighted[t < 500].mean(), weighted[t >= 500].mean()
    assert 0.5 < float(quiet / loud) < 2


def test_low_and_high_noise_have_their_share(tmp_path: Path) -> None:
    run = trainer(tmp_path, low_noise_share=0.3, high_noise_share=0.4)
    t = run.timesteps(100_000, torch.Generator().manual_seed(0)).float() / len(run.signal)
    # The tenth at either end: uniform, the square of a uniform, one minus its cube.
    low = 0.3 * 0.1 + 0.3 * 0.1**0.5 + 0.4 * (1 - 0.9 ** (1 / 3))
    high = 0.3 * 0.1 + 0.3 * (1 - 0.9**0.5) + 0.4 * 0.1 ** (1 / 3)
    assert float((t < 0.1).float().mean()) == pytest.approx(low, abs=0.01)
    assert float((t >= 0.9).float().mean()) == pytest.approx(high, abs=0.01)


def test_shares_of_noise_levels_are_shares() -> None:
    with pytest.raises(DataError, match=r"got 0\.7 and 0\.4; allowed"):
        TrainSettings(low_noise_share=0.7, high_noise_share=0.4)
