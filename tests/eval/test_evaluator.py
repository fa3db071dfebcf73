"""The evaluator gives the reference's embeddings, and its loader names whatever does not fit."""

import os
import pickle

import numpy as np
import pytest
import torch

from collage_motion.errors import DataError, ModelError
from collage_motion.eval.checkpoint import load_evaluator
from collage_motion.eval.evaluator import (
    N_CONTACTS,
    Evaluator,
    EvaluatorSizes,
    MotionBiGru,
    MovementEncoder,
    TextBiGru,
)
from collage_motion.eval.vocabulary import Vocabulary
from collage_motion.eval.words import WordVectoriser

SMALL = EvaluatorSizes(movement_hidden=12, movement=10, motion_hidden=14, word=6, text_hidden=8, embedding=7)
WAYS = ("", "_reverse")
NETWORKS = ("movement_encoder", "text_encoder", "motion_encoder")


def _save(folder, states, **more):
    """Write a checkpoint with everything that the released one holds, and plain statistics beside it."""
    width = states["movement_encoder"]["main.0.weight"].shape[1] + N_CONTACTS
    np.save(folder / "mean.npy", np.linspace(-1, 1, width))
    np.save(folder / "std.npy", np.linspace(0.5, 2, width))
    rest = {"opt_text_encoder": {"state": {}}, "opt_motion_encoder": {"state": {}}, "epoch": 3, "iter": 10}
    torch.save({**states, **rest, **more}, folder / "finest.tar")
    return folder / "finest.tar", folder / "mean.npy", folder / "std.npy"


def _states(sizes=SMALL, seed=0):
    width = sizes.movement_in + N_CONTACTS
    torch.manual_seed(seed)
    evaluator = Evaluator(sizes, np.zeros(width), np.ones(width))
    return {name: dict(network.state_dict()) for name, network in evaluator.networks.items()}


@pytest.fixture
def evaluator(tmp_path):
    return load_evaluator(*_save(tmp_path, _states()))


def _clips(n=5, n_frames=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_frames, 263))


@pytest.mark.golden
def test_every_array_of_the_reference_is_reproduced(golden, tmp_path):
    with np.load(golden / "evaluator.npz") as archive:
        vectors = dict(archive)
    states = {
        name: {
            key.partition("/")[2]: torch.from_numpy(vectors[key])
            for key in vectors
            if key.startswith(f"{name}/")
        }
        for name in NETWORKS
    }
    evaluator = load_evaluator(*_save(tmp_path, states))
    motions, lengths = vectors["motions"], vectors["motion_lengths"]
    text = evaluator.embed_text(
        vectors["word_embeddings"], vectors["pos_one_hot"], vectors["caption_lengths"]
    )
    motion = evaluator.embed_motion(motions, lengths, behind_end="keep")
    # Descending length: the order in which the reference returns embeddings. It puts ties in reversed input order as
    # long as its sort is stable, which it is for few items only, so ties are taken as the file has them.
    order = vectors["sort_index"]
    assert sorted(order) == list(range(len(lengths))) and np.all(np.diff(lengths[order]) <= 0)
    with torch.inference_mode():
        movement = evaluator.movement_encoder(torch.from_numpy(motions[..., :-N_CONTACTS]).float()).numpy()
    results = {
        "movement_out": movement,
        "text_out_input_order": text,
        "text_out_sorted": text[order],
        "motion_out_input_order": motion,
        "motion_out_sorted": motion[order],
        "motion_out_input_order_zero_padded": evaluator.embed_motion(motions, lengths, behind_end="zero"),
    }
    inputs = {"sort_index", "word_embeddings", "pos_one_hot", "caption_lengths", "motions", "motion_lengths"}
    weights = {f"{name}/{key}" for name, state in states.items() for key in state}
    assert set(vectors) - set(results) - inputs - weights == set(), "arrays this test does not know"
    for name, result in results.items():
        assert result.shape == vectors[name].shape, name
        np.testing.assert_allclose(result, vectors[name], rtol=0, atol=1e-5, err_msg=name)


def test_the_default_sizes_have_the_official_keys_and_shapes():
    with torch.device("meta"):
        sizes = EvaluatorSizes()
        shapes = {
            type(network).__name__: {key: tuple(value.shape) for key, value in network.state_dict().items()}
            for network in (MovementEncoder(sizes), TextBiGru(sizes), MotionBiGru(sizes))
        }
    assert shapes["MovementEncoder"] == {
        "main.0.weight": (512, 259, 4),
        "main.0.bias": (512,),
        "main.3.weight": (512, 512, 4),
        "main.3.bias": (512,),
        "out_net.weight": (512, 512),
        "out_net.bias": (512,),
    }

    def recurrent(width, hidden):
        return {
            "hidden": (2, 1, hidden),
            "input_emb.weight": (hidden, width),
            "input_emb.bias": (hidden,),
            **{f"gru.weight_{gate}_l0{way}": (3 * hidden, hidden) for gate in ("ih", "hh") for way in WAYS},
            **{f"gru.bias_{gate}_l0{way}": (3 * hidden,) for gate in ("ih", "hh") for way in WAYS},
            "output_net.0.weight": (hidden, 2 * hidden),
            "output_net.0.bias": (hidden,),
            "output_net.1.weight": (hidden,),
            "output_net.1.bias": (hidden,),
            "output_net.3.weight": (512, hidden),
            "output_net.3.bias": (512,),
        }

    position = {"pos_emb.weight": (300, 15), "pos_emb.bias": (300,)}
    assert shapes["TextBiGru"] == {**recurrent(300, 512), **position}
    assert shapes["MotionBiGru"] == recurrent(512, 1024)


def test_embeddings_follow_the_input_whatever_its_order_and_batch(evaluator):
    clips, lengths = _clips(), np.array([24, 64, 40, 40, 8])
    embeddings = evaluator.embed_motion(clips, lengths, behind_end="zero")
    order = np.array([3, 0, 4, 2, 1])
    shuffled = evaluator.embed_motion(clips[order], lengths[order], behind_end="zero")
    np.testing.assert_allclose(shuffled, embeddings[order], atol=1e-6)
    evaluator.batch = 2
    np.testing.assert_allclose(
        evaluator.embed_motion(clips, lengths, behind_end="zero"), embeddings, atol=1e-6
    )


def test_contacts_do_not_matter_and_every_other_feature_does(evaluator):
    clip = _clips(1)
    before = evaluator.embed_motion(clip, [64], behind_end="keep")
    changed = clip.copy()
    changed[..., 259:] += 5
    np.testing.assert_array_equal(evaluator.embed_motion(changed, [64], behind_end="keep"), before)
    for feature in (0, 130, 258):
        changed = clip.copy()
        changed[0, 30, feature] += 5
        assert np.abs(evaluator.embed_motion(changed, [64], behind_end="keep") - before).max() > 1e-6


def test_only_three_frames_behind_the_end_are_seen_and_only_when_kept(evaluator):
    clip, length = _clips(1), 40
    results = {}
    for behind_end in ("zero", "keep"):
        before = evaluator.embed_motion(clip, [length], behind_end=behind_end)
        for offset in range(5):
            changed = clip.copy()
            changed[0, length + offset] += 5
            after = evaluator.embed_motion(changed, [length], behind_end=behind_end)
            results[behind_end, offset] = not np.array_equal(after, before)
    assert [results["zero", offset] for offset in range(5)] == [False] * 5
    assert [results["keep", offset] for offset in range(5)] == [True, True, True, False, False]


def test_embedding_does_not_change_its_input(evaluator):
    clip = _clips(1).astype(np.float32)
    before = clip.copy()
    evaluator.embed_motion(clip, [20], behind_end="zero")
    np.testing.assert_array_equal(clip, before)


def test_clips_are_normalised_with_the_evaluator_s_statistics_before_they_are_padded(evaluator):
    raw = [_clips(1, n, seed=n)[0] for n in (50, 196)]
    motions, lengths = evaluator.normalise(raw, [44, 196])
    assert motions.shape == (2, 196, 263) and lengths.tolist() == [44, 196]
    expected = (raw[0] - np.linspace(-1, 1, 263)) / np.linspace(0.5, 2, 263)
    np.testing.assert_allclose(motions[0, :50], expected, atol=1e-12)
    assert np.all(motions[0, 50:] == 0)


def test_a_clip_has_the_same_embedding_whatever_is_padded_with_it(evaluator):
    short, long = _clips(1, 40)[0], _clips(1, 160, seed=1)[0]
    alone = evaluator.embed_motion(*evaluator.normalise([short]), behind_end="zero")
    together = evaluator.embed_motion(*evaluator.normalise([long, short]), behind_end="zero")
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)


def test_the_legacy_caption_length_changes_short_captions_only(evaluator):
    rng = np.random.default_rng(0)
    listed = {word: i for i, word in enumerate(("sos", "eos", "unk", "walk"))}
    vectoriser = WordVectoriser(Vocabulary(listed, rng.normal(size=(4, 6)).astype(np.float32)))
    captions = [["walk/VERB"] * 3, ["walk/VERB"] * 20]
    right = evaluator.embed_captions(vectoriser.captions(captions))
    legacy = evaluator.embed_captions(vectoriser.captions(captions, legacy_caption_length=True))
    np.testing.assert_allclose(legacy[1], right[1], atol=1e-6)
    assert np.abs(legacy[0] - right[0]).max() > 1e-4


# --- checkpoints


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def _damaged(change):
    """Return the states of a small evaluator after `change` has had its way with them."""
    states = _states()
    change(states)
    return states


def _rename(states):
    states["text_encoder"]["gru.weight_ih"] = states["text_encoder"].pop("gru.weight_ih_l0")


def _reshape(states):
    states["motion_encoder"]["output_net.3.weight"] = torch.zeros(7, 3)
    states["motion_encoder"]["hidden"] = torch.zeros(2, 3, 14)


def _halve(states):
    states["movement_encoder"] = {key: value.half() for key, value in states["movement_encoder"].items()}


def _spoil(states):
    states["movement_encoder"]["out_net.bias"] = torch.full((10,), torch.nan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename, "text_encoder: 'gru.weight_ih_l0' is missing; 'gru.weight_ih' is unexpected$"),
        (
            _reshape,
            r"motion_encoder: 'hidden' has shape \(2, 3, 14\) instead of \(2, 1, 14\); "
            r"'output_net.3.weight' has shape \(7, 3\) instead of \(7, 14\)$",
        ),
        (_halve, "movement_encoder: 'main.0.weight' is float16 instead of float32"),
        (_spoil, "movement_encoder: 'out_net.bias' holds numbers that are not finite"),
        (lambda states: states["text_encoder"].pop("hidden"), "text_encoder: key 'hidden' is missing"),
        (
            lambda states: states["text_encoder"].update(hidden=torch.zeros(8)),
            r"text_encoder: 'hidden' has shape \(8,\); expected 3 axes",
        ),
        (
            lambda states: states.update(text_encoder={"hidden": "text"}),
            "no weights under 'text_encoder', it holds epoch, iter, motion_encoder",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line_with_every_key(tmp_path, change, message):
    files = _save(tmp_path, _damaged(change))
    with pytest.raises(ModelError, match=message) as caught:
        load_evaluator(*files)
    assert str(files[0]) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["zip", "legacy", "plain"])
def test_a_malicious_checkpoint_is_refused_and_does_not_run(tmp_path, how):
    path, mean, std = _save(tmp_path, _states())
    victim = tmp_path / "victim"
    content = {**_states(), "epoch": _Malicious(victim)}
    if how == "plain":
        path.write_bytes(pickle.dumps(content["epoch"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(ModelError, match=r"finest\.tar: .*refused unread") as caught:
        load_evaluator(path, mean, std)
    assert not victim.exists()
    assert "\n" not in str(caught.value)


def test_a_checkpoint_in_the_old_format_of_torch_loads_as_well(tmp_path):
    path, mean, std = _save(tmp_path, _states())
    expected = load_evaluator(path, mean, std).embed_motion(_clips(), [64] * 5, behind_end="keep")
    torch.save(_states(), path, _use_new_zipfile_serialization=False)
    result = load_evaluator(path, mean, std).embed_motion(_clips(), [64] * 5, behind_end="keep")
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_checkpoint_is_one_clear_error(tmp_path, share, zipped):
    path, mean, std = _save(tmp_path, _states())
    torch.save(_states(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"finest\.tar: not a readable checkpoint .*copy the file again"):
        load_evaluator(path, mean, std)


def test_other_files_in_its_place_are_named(tmp_path):
    path, mean, std = _save(tmp_path, _states())
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="holds a list; expected a mapping of three networks"):
        load_evaluator(path, mean, std)
    torch.save({"model": {}}, path)
    with pytest.raises(ModelError, match="no weights under 'movement_encoder', it holds model"):
        load_evaluator(path, mean, std)
    path.unlink()
    with pytest.raises(ModelError, match=r"finest\.tar: no such file"):
        load_evaluator(path, mean, std)


def test_broken_statistics_are_named(tmp_path):
    files = _save(tmp_path, _states())
    np.save(files[2], np.zeros(263))
    with pytest.raises(DataError, match=r"std\.npy: feature 0 has a standard deviation of 0"):
        load_evaluator(*files)


# --- inputs


def _with(value, *place):
    clips = _clips(2)
    clips[place] = value
    return clips


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.embed_motion(_clips(2), [64], behind_end="keep"), r"expected \(B, T, 263\) and \(B,\)"),
        (lambda e: e.embed_motion(_clips(2)[..., :251], [64, 64], behind_end="keep"), r"\(2, 64, 251\)"),
        (
            lambda e: e.embed_motion(_clips(2), [64, 65], behind_end="keep"),
            "motion 1 has length 65; .* 4 to 64",
        ),
        (lambda e: e.embed_motion(_clips(2), [3, 64], behind_end="keep"), "motion 0 has length 3"),
        (lambda e: e.embed_motion(_clips(2), [64, 64], behind_end="both"), "'zero' and 'keep' are possible"),
        (
            lambda e: e.embed_motion(_with(np.nan, 1, 3, 7), [64, 64], behind_end="keep"),
            r"motions: nan at \[1, 3, 7\]",
        ),
        (lambda e: e.normalise([]), "0 motions with 0 lengths"),
        (lambda e: e.normalise([_clips(1)[0]], [64, 64]), "1 motions with 2 lengths"),
        (lambda e: e.normalise([_clips(1)[0, :, :9]]), r"motion 0 has shape \(64, 9\)"),
        (lambda e: e.normalise([_clips(1, 200)[0]]), "motion 0 has 200 frames and length 200; .* 4 to 196"),
        (lambda e: e.normalise([_clips(1)[0]], [70]), "motion 0 has 64 frames and length 70; .* 4 to 64"),
        (lambda e: e.normalise([_with(np.inf, 0, 3, 7)[0]]), r"motion 0: inf at \[3, 7\]"),
        (
            lambda e: e.embed_text(np.zeros((2, 22, 300)), np.zeros((2, 22, 15)), [4, 4]),
            r"words \(2, 22, 300\).*expected \(B, W, 6\)",
        ),
        (
            lambda e: e.embed_text(np.zeros((2, 22, 6)), np.zeros((2, 22, 15)), [4, 0]),
            "caption 1 has length 0; lengths from 1 to 22",
        ),
        (
            lambda e: e.embed_text(np.full((1, 22, 6), np.nan), np.zeros((1, 22, 15)), [4]),
            r"word vectors: nan at \[0, 0, 0\]",
        ),
    ],
)
def test_input_that_cannot_be_embedded_is_one_clear_line(evaluator, call, message):
    with pytest.raises(DataError, match=message) as caught:
        call(evaluator)
    assert "\n" not in str(caught.value)
