"""The default text encoder: words near in meaning are near, each prompt is encoded alike in any company."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from collage_motion.errors import ModelError, PlanError
from collage_motion.text.wordpiece import WORDS_FOLDER, WordPieceEncoder


@pytest.fixture(scope="module")
def encoder() -> WordPieceEncoder:
    return WordPieceEncoder()


def vector(encoder: WordPieceEncoder, word: str) -> np.ndarray:
    words = encoder.encode([word])
    assert words.mask.sum() == 1
    return words.features[0, 0] / np.linalg.norm(words.features[0, 0])


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [("walks", "strolled", "bows"), ("runs", "sprinted", "sits"), ("tired", "exhausted", "happy"),
     ("waves", "waving", "kicks"), ("left", "right", "dances")],
)  # fmt: skip
def test_meaning_is_near(encoder: WordPieceEncoder, word: str, near: str, far: str) -> None:
    here = vector(encoder, word)
    assert here @ vector(encoder, near) > here @ vector(encoder, far) + 0.1


def test_left_and_right_are_told_apart(encoder: WordPieceEncoder) -> None:
    assert vector(encoder, "left") @ vector(encoder, "right") < 0.8


def test_company_and_padding_change_nothing(encoder: WordPieceEncoder) -> None:
    prompts = ["a person walks", "turn left, then right, then left again", "wave"]
    together = encoder.encode(prompts)
    for k, prompt in enumerate(prompts):
        alone = encoder.encode([prompt])
        length = alone.mask.sum()
        assert together.mask[k].sum() == length and together.mask[k, :length].all()
        np.testing.assert_array_equal(together.features[k, :length], alone.features[0, :length])
        assert not together.features[k, length:].any()
    assert encoder.encode([]).features.shape == (0, 1, encoder.dimensions)


def test_cached_rows_cannot_be_spoilt(encoder: WordPieceEncoder) -> None:
    encoder.encode(["a man bows"]).features[:] = 7
    assert not (encoder.encode(["a man bows"]).features == 7).any()


def test_what_cannot_be_read_is_refused(encoder: WordPieceEncoder) -> None:
    with pytest.raises(PlanError, match="no word that can be read"):
        encoder.encode(["  \n "])
    with pytest.raises(PlanError, match="has 100 word pieces; the text encoder reads 64"):
        encoder.encode(["walk " * 100])


def test_broken_files_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="word vectors cannot be read"):
        WordPieceEncoder(tmp_path)
    shutil.copytree(WORDS_FOLDER, tmp_path / "words")
    file = tmp_path / "words" / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="word vectors cannot be read"):
        WordPieceEncoder(tmp_path / "words")
