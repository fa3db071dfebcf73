"""The own evaluator: it learns, resumes to the bit, survives the disk, notices spoiled motion, and is shipped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from real_like import recordings, small_benchmark

from collage_motion.errors import DataError, ModelError
from collage_motion.eval import own_evaluator
from collage_motion.eval.benchmark import Benchmark
from collage_motion.eval.corruption import LEARNT
from collage_motion.eval.evaluator import Evaluator, EvaluatorSizes, MovementEncoder
from collage_motion.eval.evaluator_quality import embed_items
from collage_motion.eval.evaluator_training import (
    EvaluatorBatches,
    EvaluatorSettings,
    EvaluatorTrainer,
    begin_with_jerk,
    contrastive_loss,
)
from collage_motion.eval.metrics import fid
from collage_motion.eval.own_evaluator import (
    CARD,
    WEIGHTS,
    CaptionRows,
    OfficialEvaluator,
    OwnEvaluator,
    load_own_evaluator,
    write_own_evaluator,
)
from collage_motion.eval.retrieval import meaning_ranks
from collage_motion.eval.vocabulary import Vocabulary
from collage_motion.eval.words import POS_CLASSES, WordVectoriser

TINY = EvaluatorSizes(
    movement_hidden=32, movement=32, motion_hidden=32, word=96, text_hidden=32, embedding=16
)


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return small_benchmark(8)


def trainer(benchmark: Benchmark, folder: Path, **changes: object) -> EvaluatorTrainer:
    plain = {"steps": 60, "batch": 16, "corrupted": 4, "learning_rate": 8e-3, "warmup_steps": 5}
    settings = EvaluatorSettings(**{**plain, "precision": "float32", **changes})  # type: ignore[arg-type]
    return EvaluatorTrainer(EvaluatorBatches(recordings(benchmark.items), settings), folder, TINY)


@pytest.fixture(scope="module")
def trained(benchmark: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> EvaluatorTrainer:
    run = trainer(benchmark, tmp_path_factory.mktemp("run"))
    list(run.run())
    for network in run.evaluator.networks.values():
        network.eval().requires_grad_(False)
    return run


@pytest.mark.slow
def test_training_finds_the_captions_of_motions(benchmark: Benchmark, trained: EvaluatorTrainer) -> None:
    own = OwnEvaluator(trained.evaluator, {})
    items = benchmark.items
    meanings = [item.meaning for item in items]
    motions = own.embed_motions([item.features for item in items])
    texts = own.embed_captions([item.caption for item in items])
    right = np.mean(meaning_ranks(texts, motions, meanings, meanings) == 0)
    fresh = OwnEvaluator(Evaluator(TINY, trained.evaluator.mean, trained.evaluator.std), {})
    guessed = meaning_ranks(
        fresh.embed_captions([item.caption for item in items]),
        fresh.embed_motions([item.features for item in items]),
        meanings,
        meanings,
    )
    assert right > 0.7
    assert right > np.mean(guessed == 0) + 0.3


@pytest.mark.slow
def test_a_resumed_run_equals_the_uninterrupted_one(benchmark: Benchmark, tmp_path: Path) -> None:
    whole = trainer(benchmark, tmp_path / "whole", steps=6)
    list(whole.run())
    first = trainer(benchmark, tmp_path / "parts", steps=6)
    steps = first.run(every=100)
    for _ in range(3):
        next(steps)
    steps.close()  # as when the process is stopped
    second = trainer(benchmark, tmp_path / "parts", steps=6)
    assert second.resume()
    assert second.step == 3
    list(second.run())
    for name, value in whole.networks.state_dict().items():
        torch.testing.assert_close(second.networks.state_dict()[name], value, rtol=0, atol=0)
    other = trainer(benchmark, tmp_path / "parts", steps=7)
    with pytest.raises(DataError, match="other steps"):
        other.resume()


def test_batches_are_pairs_with_spoiled_copies_behind(benchmark: Benchmark, tmp_path: Path) -> None:
    batches = trainer(benchmark, tmp_path).batches
    batch = batches.make(5)
    assert batch.motions.shape[0] == 20
    assert batch.motions.shape[2] == 259
    assert (batch.kinds[:16] == 0).all()
    assert (batch.kinds[16:] > 0).all()
    assert batch.kinds.max() <= len(LEARNT)
    assert batch.same.diagonal().all()
    assert torch.equal(batch.same, batch.same.T)
    behind = torch.arange(batch.motions.shape[1]) >= batch.lengths[:, None]
    assert (batch.motions[behind] == 0).all()
    assert (batch.motions.shape[1] - batch.lengths >= 4).all()
    assert torch.equal(batches.make(5).motions, batch.motions)


def test_pairs_of_one_meaning_are_no_negatives() -> None:
    text = torch.tensor([[0.0], [0.1], [9.0]])
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    assert contrastive_loss(text, text, same) < 1e-6
    assert contrastive_loss(text, text, torch.eye(3, dtype=torch.bool)) > 0.4


def test_the_first_filters_hear_shaking_and_not_movement() -> None:
    encoder = MovementEncoder(TINY)
    begin_with_jerk(encoder)
    t = torch.arange(40.0)
    smooth = torch.zeros(1, 40, 259)
    smooth[..., 4:67] = (0.5 * t + 0.02 * t**2)[:, None]
    shaken = smooth.clone()
    shaken[..., 4:67] += 0.1 * torch.randn(40, 63, generator=torch.Generator().manual_seed(0))
    first = encoder.main[0]
    heard = [first(rows.transpose(1, 2))[0, :8, 2:-2].std(1).mean() for rows in (smooth, shaken)]
    assert heard[0] < 1e-3 < 0.5 < heard[1]


@pytest.mark.slow
def test_weights_come_back_from_the_disk_in_half_precision(
    benchmark: Benchmark, trained: EvaluatorTrainer, tmp_path: Path
) -> None:
    write_own_evaluator(trained.evaluator, {"licence": "none"}, tmp_path / "e")
    loaded = load_own_evaluator(tmp_path / "e")
    assert loaded.card["licence"] == "none"
    features = [item.features for item in benchmark.items[:4]]
    before = OwnEvaluator(trained.evaluator, {}).embed_motions(features)
    np.testing.assert_allclose(loaded.embed_motions(features), before, atol=0.03 * np.abs(before).max())
    assert sorted(path.name for path in (tmp_path / "e").iterdir()) == [CARD, WEIGHTS]


def test_broken_files_are_refused_with_the_cure(trained: EvaluatorTrainer, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"train_evaluator\.py"):
        load_own_evaluator(tmp_path)
    write_own_evaluator(trained.evaluator, {}, tmp_path)
    weights = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(weights[:-100])
    with pytest.raises(ModelError, match="truncated"):
        load_own_evaluator(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(weights)
    card = json.loads((tmp_path / CARD).read_text())
    for change, word in (({"format": "else"}, "format"), ({"sizes": {"movement": 7}}, "do not fit")):
        (tmp_path / CARD).write_text(json.dumps(card | change))
        with pytest.raises(ModelError, match=word):
            load_own_evaluator(tmp_path)


def test_motions_do_not_see_their_neighbours_and_impossible_ones_are_refused(
    benchmark: Benchmark, trained: EvaluatorTrainer
) -> None:
    own = OwnEvaluator(trained.evaluator, {})
    one, two = (item.features for item in benchmark.items[:2])
    np.testing.assert_allclose(
        own.embed_motions([one[:24], two])[0], own.embed_motions([one[:24]])[0], atol=1e-5
    )
    for wrong in (
        np.zeros((3, 263)),
        np.zeros((197, 263)),
        np.zeros((40, 22, 3)),
        np.full((40, 263), np.nan),
    ):
        with pytest.raises(DataError):
            own.embed_motions([wrong])


def test_captions_are_word_pieces_with_classes_of_whole_words() -> None:
    rows = CaptionRows()
    captions = rows(["A person walks.", "jumps left"])
    assert captions.words.shape == (2, int(captions.lengths[0]), 96)
    classes = [POS_CLASSES[k] for k in captions.pos[1, : captions.lengths[1]].argmax(1)]
    assert classes == ["Act_VIP", "Loc_VIP"]
    np.testing.assert_array_equal(captions.words[0, : captions.lengths[0]], rows(["a person walks"]).words[0])
    assert (captions.pos[1, captions.lengths[1] :] == 0).all()
    for wrong in ([], [""], ["a person walks", " . "]):
        with pytest.raises(DataError):
            rows(wrong)


def test_the_official_evaluator_has_the_same_two_methods() -> None:
    rng = np.random.default_rng(0)
    names = ("sos", "eos", "unk", "a", "person", "walk")
    vocabulary = Vocabulary({n: k for k, n in enumerate(names)}, rng.normal(size=(6, 300)).astype(np.float32))
    sizes = EvaluatorSizes(movement_hidden=8, movement=8, motion_hidden=8, text_hidden=8, embedding=8)
    tokens = {"a person walks": ("a/DET", "person/NOUN", "walk/VERB")}
    official = OfficialEvaluator(
        Evaluator(sizes, np.zeros(263), np.ones(263)), WordVectoriser(vocabulary), tokens
    )
    assert official.embed_captions(["a person walks"] * 2).shape == (2, 8)
    assert official.embed_motions([rng.normal(size=(n, 263)) for n in (20, 40, 196)]).shape == (3, 8)


# The shipped one


@pytest.fixture(scope="module")
def shipped() -> OwnEvaluator:
    return load_own_evaluator()


def test_the_shipped_evaluator_is_small_and_says_how_good_it_is(shipped: OwnEvaluator) -> None:
    assert (own_evaluator.FOLDER / WEIGHTS).stat().st_size < 8e6
    parameters = sum(p.numel() for n in shipped.networks.networks.values() for p in n.parameters())
    assert parameters == shipped.card["parameters"] <= 12e6
    assert shipped.dimensions <= 128
    quality = shipped.card["quality"]
    real = quality["real_to_real"]
    assert real["r_precision"][0][2] > 0.9
    np.testing.assert_allclose(real["r_precision_shuffled"][0], np.arange(1, 4) / 32, atol=0.02)
    noticed = quality["sensitivity"]
    for name in ("jitter 20 mm", "frozen 50%", "foot slide 1.0 m/s", "smoothed 6 frames", "reversed time"):
        assert noticed[name]["times_floor"] > 3, name
    for family in (
        ("jitter 2 mm", "jitter 5 mm", "jitter 10 mm", "jitter 20 mm"),
        ("frozen 25%", "frozen 100%"),
    ):
        fids = [noticed[name]["fid"] for name in ("unspoiled", *family)]
        assert fids == sorted(fids), family


def test_the_shipped_evaluator_knows_words_that_name_actions(shipped: OwnEvaluator) -> None:
    same = shipped.embed_captions(
        ["a person walks forward", "someone strolls ahead", "a person raises both hands"]
    )
    assert np.linalg.norm(same[0] - same[1]) < 0.5 * np.linalg.norm(same[0] - same[2])


def test_a_set_against_itself_has_fid_zero(benchmark: Benchmark, shipped: OwnEvaluator) -> None:
    embedded = np.stack(list(embed_items(shipped, benchmark.items).values()))
    assert fid(embedded, embedded) == pytest.approx(0, abs=1e-6)
    spoiled = [LEARNT["jitter"](item.features, np.random.default_rng(0)) for item in benchmark.items]
    assert fid(embedded, shipped.embed_motions(spoiled)) > 0.01
