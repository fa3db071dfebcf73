"""Folders that the library transformers itself writes, and hostile files in the place of pytorch_model.bin."""

import importlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_files import SMALL, make_tower, write_archive, write_distilbert, write_folder

from collage_motion.errors import ModelError
from collage_motion.text.clip import ClipEncoder, read_text_tower
from collage_motion.text.distilbert import DistilBertEncoder

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra [clip]"
)
PROMPTS = ["a person walks forward", "jumps slowly around"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(make_tower(**SMALL), tmp_path_factory.mktemp("archive"))


@pytest.fixture
def transformers() -> Any:
    return importlib.import_module("transformers")  # takes seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(make_tower(**SMALL), tmp_path / "folder")


def with_words(source: Path, target: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(source / name, target / name)
    return target


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers itself
@pytest.mark.parametrize("kind", ["tower", "both towers", "pytorch_model.bin"])
def test_clip_as_transformers_saves_it(
    kind: str, archive: Path, folder: Path, tmp_path: Path, transformers: Any
) -> None:
    tower = ClipEncoder(archive)._tower
    images = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 64,
              "image_size": 32, "patch_size": 32}  # fmt: skip
    texts, projection = tower.config.to_dict(), tower.config.projection_dim
    config = transformers.CLIPConfig(text_config=texts, vision_config=images, projection_dim=projection)
    both = transformers.CLIPModel(config)
    both.text_model.load_state_dict(tower.text_model.state_dict())
    both.text_projection.load_state_dict(tower.text_projection.state_dict())
    saved = tmp_path / "saved"
    if kind == "pytorch_model.bin":
        saved.mkdir()
        torch.save(both.state_dict(), saved / kind)
    else:
        (tower if kind == "tower" else both).save_pretrained(saved)
    transformers.CLIPTokenizer.from_pretrained(str(folder)).save_pretrained(saved)
    assert (saved / "tokenizer.json").is_file() and not (saved / "vocab.json").exists()
    got, wanted = (ClipEncoder(place).encode(PROMPTS).features for place in (saved, archive))
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["DistilBertModel", "DistilBertForMaskedLM"])
def test_distilbert_as_transformers_saves_it(kind: str, tmp_path: Path, transformers: Any) -> None:
    written = write_distilbert(tmp_path / "written")
    encoder = DistilBertEncoder(written)
    fields = json.loads((written / "config.json").read_text())
    network = getattr(transformers, kind)(transformers.DistilBertConfig(**fields))
    getattr(network, "distilbert", network).load_state_dict(encoder._network.state_dict())
    network.save_pretrained(tmp_path / "saved")
    saved = DistilBertEncoder(with_words(written, tmp_path / "saved", "vocab.txt"))
    np.testing.assert_array_equal(saved.encode(PROMPTS).features, encoder.encode(PROMPTS).features)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_hostile_and_broken_weights_are_one_clear_error(folder: Path, tmp_path: Path) -> None:
    words = write_distilbert(tmp_path / "bert")
    marker, weights = tmp_path / "executed", tmp_path / "bert/pytorch_model.bin"
    (words / "model.safetensors").unlink()
    state = {"distilbert.embeddings.LayerNorm.bias": torch.ones(32)}
    for content, message in (
        ({**state, "text_projection.weight": Bomb(marker)}, "refused, nothing in it was run"),
        (state, "weights do not fit: missing: "),
        ([1], "holds a list; expected the weights of"),
    ):
        torch.save(content, weights)
        with pytest.raises(ModelError, match=message) as caught:
            DistilBertEncoder(words)
        assert "\n" not in str(caught.value) and not marker.exists()
    torch.save({"text_projection.weight": Bomb(marker)}, weights)
    with pytest.raises(ModelError, match="refused, nothing in it was run"):
        read_text_tower(weights)
    assert not marker.exists()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="truncated or no safetensors file"):
        ClipEncoder(folder)


@pytest.mark.parametrize(("file", "data"), [("vocab.txt", b"a\xff\xfe"), ("vocab.txt", b"one\ntwo\n"),
                                            ("config.json", b"\xff"), ("config.json", b'{"dim": 3}')])  # fmt: skip
def test_broken_words_and_sizes_of_distilbert(file: str, data: bytes, tmp_path: Path) -> None:
    folder = write_distilbert(tmp_path / "bert")
    (folder / file).write_bytes(data)
    with pytest.raises(ModelError, match=file) as caught:
        DistilBertEncoder(folder)
    assert "\n" not in str(caught.value)
