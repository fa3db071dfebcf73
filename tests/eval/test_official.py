"""HumanML3D's protocol on a made-up data set in the published layout, with an evaluator of random weights."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_model import write_tiny_model

from collage_motion.data.humanml import read_humanml
from collage_motion.errors import CollageError, DataError, ModelError
from collage_motion.eval.command import Request, run_request
from collage_motion.eval.evaluator import Evaluator, EvaluatorSizes
from collage_motion.eval.metrics import fid, multimodal_distance, r_precision
from collage_motion.eval.official import load_official
from collage_motion.eval.parts import Share

WORDS = (
    "sos",
    "eos",
    "unk",
    "a",
    "man",
    "walk",
    "run",
    "jump",
    "wave",
    "slowly",
    "fast",
    "turn",
    "left",
    "right",
)
SIZES = EvaluatorSizes(movement_hidden=12, movement=10, motion_hidden=16, word=8, text_hidden=12, embedding=6)


def write_dataset(root, clips=72, seed=0):
    """The published layout: clips with mirror images, some with several captions, some unusable."""
    rng = np.random.default_rng(seed)
    for name in ("new_joint_vecs", "texts"):
        (root / name).mkdir(parents=True)
    ids = []
    for number in range(clips):
        for mark in ("", "M"):
            clip = f"{mark}{number:06d}"
            n_frames = 240 if number == 5 else 30 if number == 6 else int(rng.integers(40, 200))
            vectors = np.zeros((n_frames, 263), np.float32)
            vectors[:, 3] = 0.9
            for joint in range(21):
                vectors[:, 4 + 3 * joint : 7 + 3 * joint] = (0.05 * (joint % 3), 0.06 * joint, 0.01)
            vectors += rng.normal(0, 0.02, vectors.shape).astype(np.float32)
            np.save(root / "new_joint_vecs" / f"{clip}.npy", vectors)
            tokens = [f"{word}/NOUN" for word in rng.permutation(WORDS[3:])[: rng.integers(3, 8)]]
            caption = f"{' '.join(token.partition('/')[0] for token in tokens)}#{' '.join(tokens)}#0.0#0.0"
            lines = [caption] * (1 + number % 3)
            if number == 7:
                lines.append("turns left#turn/VERB left/Loc_VIP#0.5#1.0")  # too short to be an item
            (root / "texts" / f"{clip}.txt").write_text("\n".join(lines) + "\n")
            ids.append(clip)
    (root / "test.txt").write_text("\n".join(ids) + "\n")
    return root


def write_official_evaluator(root, seed=0):
    """`t2m` and `glove` as the releases unpack, small and random."""
    torch.manual_seed(seed)
    networks = Evaluator(SIZES, np.zeros(263), np.ones(263))
    checkpoint = root / "t2m" / "text_mot_match" / "model" / "finest.tar"
    meta = root / "t2m" / "Comp_v6_KLD01" / "meta"
    glove = root / "glove"
    for folder in (checkpoint.parent, meta, glove):
        folder.mkdir(parents=True)
    torch.save({name: net.state_dict() for name, net in networks.networks.items()} | {"epoch": 3}, checkpoint)
    np.save(meta / "mean.npy", np.full(263, 0.1))
    np.save(meta / "std.npy", np.full(263, 0.05))
    rng = np.random.default_rng(seed)
    np.save(glove / "our_vab_data.npy", rng.normal(size=(len(WORDS), SIZES.word)))
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(list(WORDS)))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: k for k, word in enumerate(WORDS)}))
    return root


class Silent:
    """A watch that listens to nothing."""

    def begin(self, stage):
        pass

    step = say = lambda self, *_: None


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    write_dataset(folder / "HumanML3D")
    write_official_evaluator(folder / "evaluator")
    write_tiny_model(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def testbed(place):
    return load_official(place / "HumanML3D", place / "evaluator")


def test_what_is_drawn_follows_the_published_rules(testbed, place):
    data = read_humanml(place / "HumanML3D")
    assert testbed.data.items and len(data.items) == 2 * 70  # one clip is too long, one too short
    drawn = testbed.draw(11, 64, 20, 196)
    assert len(drawn.asked) == 64 and len(drawn.real) == len(drawn.reference) == len(data.items)
    assert all(row.n_frames % 4 == 0 and 36 <= row.n_frames <= 196 for row in drawn.asked)
    captions = {caption.text: caption.tokens for item in data.items for caption in item.captions}
    assert all(captions[row.caption] == row.tokens for row in drawn.asked)
    used = {row.recording for row in drawn.asked}
    assert not any(name.startswith("M") for name in used)
    apart = {rows.tobytes() for rows in drawn.apart}
    both = {row.recording for row in drawn.real} - used
    assert 0 < len(drawn.apart) < len(data.items) and len(apart) == sum(
        item.clip.removeprefix("M") in both for item in data.items
    )
    assert [rows.tobytes() for rows in drawn.different] == [row.features.tobytes() for row in drawn.asked]
    more = testbed.draw(11, 200, 20, 196)  # items come again, those of floors do not
    assert len(more.asked) == 200 and len(more.different) == len(data.items)
    again = testbed.draw(11, 32, 20, 196)
    assert [row.caption for row in again.asked] == [row.caption for row in drawn.asked][:32]
    assert all((a.features == b.features).all() for a, b in zip(again.asked, drawn.asked, strict=False))
    assert [row.caption for row in testbed.draw(12, 32, 20, 196).asked] != [
        row.caption for row in again.asked
    ]
    assert max(row.n_frames for row in testbed.draw(11, 64, 20, 100).asked) == 100
    assert min(row.n_frames for row in testbed.draw(11, 64, 60, 196).asked) >= 56
    with pytest.raises(DataError, match="0 items of the data set have 500 frames"):
        testbed.draw(11, 32, 500, 196)


def test_made_motions_keep_what_is_behind_their_end_and_real_ones_do_not(testbed):
    rng = np.random.default_rng(0)
    rows = rng.normal(0.1, 0.05, size=(196, 263)).astype(np.float32)
    cut = testbed.embed_motions([rows[:80]])
    np.testing.assert_array_equal(testbed.embed_motions([rows], [80]), cut)
    kept = testbed.embed_motions([rows], [80], made=True)
    assert np.abs(kept - cut).max() > 1e-4
    motions, counts = testbed.networks.normalise([rows], [80])
    np.testing.assert_array_equal(kept, testbed.networks.embed_motion(motions, counts, behind_end="keep"))


def test_captions_have_their_own_length_or_that_of_old_tables(place, testbed):
    asked = testbed.draw(0, 32, 20, 196).asked
    old = load_official(place / "HumanML3D", place / "evaluator", legacy=True)
    plain = testbed.embed_captions(asked)
    np.testing.assert_array_equal(testbed.embed_captions(asked, made=True), plain)
    np.testing.assert_array_equal(old.embed_captions(asked), plain)  # real captions were right then too
    assert np.abs(old.embed_captions(asked, made=True) - plain).max() > 1e-4
    np.testing.assert_array_equal(testbed.evaluator.embed_captions([row.caption for row in asked]), plain)


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        (
            "t2m/text_mot_match/model/finest.tar",
            ModelError,
            "the networks of the evaluator are in none of t2m/text_mot",
        ),
        ("t2m/Comp_v6_KLD01/meta", ModelError, "the statistics of the evaluator are in none of t2m/Comp_v6"),
        ("glove", ModelError, "the word vectors of the evaluator are in none of glove"),
        (".", ModelError, "no such folder; it holds t2m and glove"),
    ],
)
def test_what_is_missing_is_named(tmp_path, place, missing, error, message):
    root = write_official_evaluator(tmp_path / "evaluator")
    (root / missing).rename(tmp_path / "away")
    with pytest.raises(error, match=message):
        load_official(place / "HumanML3D", root)


def request_of(place, output, **more):
    request = Request(
        output, "short", "all", 2, 64, str(place / "tiny"), place / "HumanML3D", place / "evaluator",
        settings={"steps": 1}, device="cpu",
    )  # fmt: skip
    return replace(request, **more)


@pytest.mark.slow
def test_the_official_table_is_what_the_published_metrics_say(place, tmp_path, testbed):
    report = run_request(request_of(place, tmp_path / "run"), Silent(), Share())
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == ["real", "short"]
    assert report["testbed"]["name"] == "HumanML3D" and report["judge"]["evaluator"] == "released"
    # Everything again by hand, from the files of the first replication.
    from collage_motion.eval.protocols import derived

    drawn = testbed.draw(derived(0, "draw", 0), 64, 20, 120)
    text = testbed.embed_captions(drawn.asked)
    made = {}
    for path in (tmp_path / "run" / "samples" / "short" / "r00").iterdir():
        with np.load(path) as file:
            made |= dict(zip(file["numbers"].tolist(), file["features"], strict=True))
    assert {rows.shape for rows in made.values()} == {(120, 263)}  # the model's longest window
    lengths = [row.n_frames for row in drawn.asked]
    motion = testbed.embed_motions([made[k] for k in range(64)], lengths, made=True)
    reference = testbed.embed_motions(drawn.reference)
    wanted = {
        "fid": fid(reference, motion),
        "mm_dist": multimodal_distance(text, motion),
        **{f"r_precision_{k}": v for k, v in enumerate(r_precision(text, motion), start=1)},
    }
    for name, value in wanted.items():
        assert rows["short"][name]["values"][0] == pytest.approx(value, rel=1e-6), name
    real = testbed.embed_motions([row.features for row in drawn.real])
    assert rows["real"]["fid"]["values"][0] == pytest.approx(fid(reference, real), rel=1e-6)
    for row in rows.values():  # the whole split holds what was asked for: no floor of the sizes compared
        assert not {"fid_floor", "fid_above_floor"} & set(row)
        assert {"transition_fid_floor", "transition_fid_above_floor"} <= set(row)
    prompts = json.loads((tmp_path / "run" / "short.prompts.json").read_text())["replications"]
    assert prompts[0][0][0] == [drawn.asked[0].caption]


@pytest.mark.slow
def test_old_captions_change_nothing_but_the_figures_of_words(place, tmp_path):
    folder = tmp_path / "run"
    new, old = (
        run_request(request_of(place, folder, legacy_caption_length=legacy), Silent(), Share())
        for legacy in (False, True)
    )
    a, b = (report["rows"][1] for report in (new, old))
    assert a["fid"]["values"] == b["fid"]["values"] and a["mm_dist"]["values"] != b["mm_dist"]["values"]
    assert new["rows"][0]["mm_dist"]["values"] == old["rows"][0]["mm_dist"]["values"]
    assert old["judge"]["legacy_caption_length"] is True


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["long", "compose"])
def test_long_protocols_run_on_it_too(place, tmp_path, protocol):
    request = request_of(
        place, tmp_path / "run", protocol=protocol, methods="collage", quick=True, replications=1
    )
    row = run_request(request, Silent(), Share())["rows"][-1]
    assert row["method"] == "collage" and {"fid", "r_precision_3", "peak_jerk", "transition_fid"} <= set(row)
    assert ("seam_lag" in row) == (protocol == "compose")
    assert "content_accuracy" not in row


def test_a_data_set_without_its_evaluator_is_refused(place, tmp_path):
    with pytest.raises(CollageError, match="it needs its evaluator too; give --evaluator"):
        run_request(request_of(place, tmp_path / "run", evaluator=None), Silent(), Share())
