"""CLIP and DistilBERT from local files: both layouts agree, prompts are cut aloud, hostile files run nothing."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_files import OFFICIAL, SMALL, OpenAiClip, make_tower, write_archive, write_distilbert, write_folder
from safetensors.torch import load_file, save_file

from collage_motion.errors import ModelError, PlanError
from collage_motion.text import PromptWarning
from collage_motion.text.clip import ClipEncoder, read_text_tower
from collage_motion.text.sources import CLIP, DISTILBERT
from collage_motion.text.torchscript import read_torchscript
from collage_motion.text.vocabulary import clean_text, clip_tokenizer

PROMPTS = ["a person walks forward", "A person's  hand &amp; waves 3 times!", "jumps"]
needs_transformers = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("transformers"), reason="needs the extra [clip]"
)


@pytest.fixture(scope="module")
def tower() -> OpenAiClip:
    return make_tower(**SMALL)


@pytest.fixture(scope="module")
def archive(tower: OpenAiClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tower, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def folder(tower: OpenAiClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tower, tmp_path_factory.mktemp("folder"))


@pytest.fixture(autouse=True)
def no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLLAGE_MOTION_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def reference(tower: OpenAiClip, encoder: ClipEncoder, prompt: str) -> np.ndarray:
    """The feature as the reference computes it: 77 positions, zeros behind the end mark, the largest number read."""
    ids = encoder.token_ids(prompt)
    return tower(torch.tensor([ids + [0] * (77 - len(ids))]))[0].numpy()


@pytest.mark.slow
@needs_transformers
def test_archive_and_folder_give_the_features_of_the_tower(
    tower: OpenAiClip, archive: Path, folder: Path
) -> None:
    encoders = ClipEncoder(archive), ClipEncoder(folder)
    features = [encoder.encode(PROMPTS) for encoder in encoders]
    np.testing.assert_array_equal(features[0].features, features[1].features)
    assert features[0].pooled and features[0].features.shape == (3, 1, 32) and features[0].mask.all()
    for k, prompt in enumerate(PROMPTS):
        np.testing.assert_allclose(
            features[0].features[k, 0], reference(tower, encoders[0], prompt), atol=2e-5
        )
    assert np.abs(features[0].features[0] - features[0].features[2]).max() > 0.1
    alone = ClipEncoder(folder).encode(PROMPTS[1:2])
    np.testing.assert_array_equal(alone.features[0], features[0].features[1])
    assert encoders[0].encode([]).features.shape == (0, 1, 32)


@needs_transformers
@pytest.mark.slow
def test_official_shape_gives_the_same_features_from_both_kinds(tmp_path: Path) -> None:
    tower = make_tower(seed=1, **OFFICIAL)
    archive, folder = write_archive(tower, tmp_path / "a"), write_folder(tower, tmp_path / "f")
    assert len(read_text_tower(archive)) == len(read_text_tower(folder / "model.safetensors")) == 197
    encoders = ClipEncoder(archive), ClipEncoder(folder)
    a, b = (encoder.encode(PROMPTS).features for encoder in encoders)
    assert a.shape == (3, 1, 512)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a[0, 0], reference(tower, encoders[0], PROMPTS[0]), atol=1e-4)


def test_tokens_from_the_list_of_merges_and_from_the_vocabulary(archive: Path, folder: Path) -> None:
    by_merges = clip_tokenizer(archive.with_name("bpe_simple_vocab_16e6.txt.gz"), SMALL["vocabulary"])
    by_vocabulary = clip_tokenizer(folder / "vocab.json", SMALL["vocabulary"])
    assert by_merges.get_vocab() == by_vocabulary.get_vocab()
    for text in [*PROMPTS, "left-hand it's 42 <|endoftext|> x_y"]:
        ids = by_merges.encode(clean_text(text), add_special_tokens=False).ids
        assert ids == by_vocabulary.encode(clean_text(text), add_special_tokens=False).ids
    by_merges.save(str(folder / "whole.json"))
    (folder / "whole.json").rename(folder.parent / "tokenizer.json")
    by_file = clip_tokenizer(folder.parent / "tokenizer.json", SMALL["vocabulary"])
    assert by_file.get_vocab() == by_merges.get_vocab()
    words = by_merges.encode("a person walks", add_special_tokens=False).tokens
    assert words == ["a</w>", "person</w>", "walks</w>"]
    with pytest.raises(ModelError, match=r"900 pieces for weights with 901"):
        clip_tokenizer(folder / "vocab.json", SMALL["vocabulary"] + 1)


def test_texts_are_cleaned_as_clip_does() -> None:
    assert clean_text("  A  person\n&amp;amp; &lt;b&gt; WALKS ") == "a person & <b> walks"


@pytest.mark.slow
@needs_transformers
def test_a_long_prompt_is_cut_aloud(tower: OpenAiClip, archive: Path) -> None:
    encoder = ClipEncoder(archive)
    kept = " ".join(["person", "walks", "waves", "jumps"] * 5)
    assert len(encoder.token_ids(kept)) == 22
    with pytest.warns(
        PromptWarning, match=r"has 22 word pieces.*cut behind '.*waves jumps', without 'jumps slowly'"
    ):
        ids = encoder.token_ids(f"{kept} jumps slowly")
    assert ids == encoder.token_ids(kept) and ids[-1] == SMALL["vocabulary"] - 1
    with pytest.raises(PlanError, match="no word that can be read"):
        encoder.encode(["  "])


@needs_transformers
def test_places_and_what_is_said_when_nothing_is_there(
    archive: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ModelError, match=r"CLIP ViT-B/32: no weights; looked in .*home/clip.*ViT-B-32.pt.*openai/CLIP"
    ):
        ClipEncoder()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/clip").symlink_to(archive.parent)
    assert CLIP.find().weights.samefile(archive)
    (tmp_path / "home/clip").unlink()
    hub = tmp_path / "hub/models--openai--clip-vit-base-patch32"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("abc")
    (hub / "snapshots").mkdir()
    (hub / "snapshots/abc").symlink_to(folder)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert CLIP.find().weights.samefile(folder / "model.safetensors")
    assert ClipEncoder().encode(["jumps"]).features.any()
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    (lonely / "ViT-B-32.pt").symlink_to(archive)
    with pytest.raises(ModelError, match="weights without a vocabulary"):
        ClipEncoder(lonely)
    with pytest.raises(ModelError, match=r"DistilBERT: no weights; looked in .*nowhere; get config.json"):
        DISTILBERT.find(tmp_path / "nowhere")


@needs_transformers
def test_wrong_weights_are_named(folder: Path, tmp_path: Path) -> None:
    state = load_file(folder / "model.safetensors")
    for file in ("vocab.json", "merges.txt"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    name = "text_model.encoder.layers.1.mlp.fc1.bias"
    for change, message in (
        ({name: None}, f"missing: {name}"),
        ({name: torch.zeros(3)}, rf"of wrong shape: {name} \(3,\) instead of \(256,\)"),
        ({"text_model.surplus": torch.zeros(3)}, "unexpected: text_model.surplus"),
        ({name: state[name] * float("nan")}, f"not finite: {name}"),
        ({"text_projection.weight": None}, "text_projection.weight' is not there"),
    ):
        changed = {k: v for k, v in {**state, **change}.items() if v is not None}
        save_file(changed, tmp_path / "model.safetensors")
        with pytest.raises(ModelError, match=message):
            ClipEncoder(tmp_path)


def rebuilt(archive: Path, target: Path, change: Callable[[str, bytes], bytes | None], kind: int = 0) -> Path:
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w", kind) as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(info.filename, data)
    return target


class Bomb:
    """A pickle that would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_tensors_of_an_archive_are_those_that_torch_reads(tower: OpenAiClip, archive: Path) -> None:
    tensors = read_torchscript(archive, lambda name: True)
    state = tower.state_dict()
    assert tensors.keys() == state.keys()
    assert (
        tensors["text_projection"].dtype == torch.float16
        and tensors["ln_final.weight"].dtype == torch.float32
    )
    for name, tensor in tensors.items():
        torch.testing.assert_close(
            tensor.float(), state[name], rtol=0, atol=0 if "visual" not in name else 1e-3
        )


def test_a_hostile_archive_runs_nothing(archive: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for protocol in (2, 4):
        bomb = pickle.dumps(Bomb(marker), protocol=protocol)
        for data in (bomb, pickle.dumps({"text_projection": Bomb(marker)}, protocol=protocol)):
            path = rebuilt(
                archive, tmp_path / "evil.pt", lambda n, d, x=data: x if n.endswith("/data.pkl") else d
            )
            with pytest.raises(ModelError):
                if not read_text_tower(path):
                    raise ModelError("nothing found")
            assert not marker.exists()
    with pytest.raises(FileExistsError):  # the bomb works where pickles are believed
        pickle.loads(pickle.dumps([Bomb(marker), Bomb(marker)]))
    marker.rmdir()

    def nested(name: str, data: bytes) -> bytes:  # a call in the place of a tensor, inside a whole index
        evil = b"cos\nmkdir\n(X" + len(str(marker)).to_bytes(4, "little") + str(marker).encode() + b"tR"
        at = data.index(b"ctorch._utils\n_rebuild_tensor_v2\n")
        return data[:at] + evil + b"0" + data[at:] if name.endswith("/data.pkl") else data

    with pytest.raises(ModelError, match="opcode POP at byte"):
        read_text_tower(
            rebuilt(archive, tmp_path / "evil.pt", lambda n, d: nested(n, d) if "data.pkl" in n else d)
        )
    assert not marker.exists()


def test_broken_archives_are_refused(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="truncated or no checkpoint"):
        read_text_tower(tmp_path / "cut.pt")

    def without(part: str) -> Callable[[str, bytes], bytes | None]:
        return lambda name, data: None if name.endswith(part) else data

    def shorter(name: str, data: bytes) -> bytes:
        return data[:-4] if "/data/" in name else data

    def cut_index(name: str, data: bytes) -> bytes:
        return data[: len(data) // 2] if name.endswith("/data.pkl") else data

    def wide(name: str, data: bytes) -> bytes:  # a stride that reaches beyond the storage
        if not name.endswith("/data.pkl"):
            return data
        return data.replace(b"(K@K\x20t(K\x20K\x01t", b"(K@K\x20t(K\x40K\x01t")

    for change, message in (
        (without("/data.pkl"), "it has 0 indices"),
        (without("/data/0"), "its numbers are missing"),
        (shorter, "does not fit its"),
        (cut_index, "ends early|damaged|not a readable"),
        (wide, "text_projection: its shape does not fit"),
        (lambda n, d: b"big" if n.endswith("byteorder") else d, "not little-endian"),
    ):
        with pytest.raises(ModelError, match=message):
            read_text_tower(rebuilt(archive, tmp_path / "broken.pt", change))
    with pytest.raises(ModelError, match="its numbers are missing"):
        read_text_tower(rebuilt(archive, tmp_path / "packed.pt", lambda n, d: d, zipfile.ZIP_DEFLATED))


@pytest.mark.slow
def test_any_damage_to_an_archive_is_one_clear_error(archive: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data, path = archive.read_bytes(), tmp_path / "damaged.pt"
    with zipfile.ZipFile(archive) as whole:
        index = next(info for info in whole.infolist() if info.filename.endswith("/data.pkl"))
    refused = 0
    for number in range(300):
        changed = bytearray(data)
        # Half of the damage hits the index of tensors or that of the archive.
        place = (
            rng.integers(len(data))
            if number % 2
            else index.header_offset + rng.integers(index.file_size + 200)
        )
        place = place if number % 5 else len(data) - 1 - rng.integers(4000)
        changed[place : place + 2] = rng.bytes(2)
        path.write_bytes(changed)
        try:
            read_text_tower(path)
        except ModelError as error:
            refused += "\n" not in str(error)
    assert refused > 150  # the rest hit what no text weight needs


@needs_transformers
def test_distilbert_is_what_transformers_computes(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    from collage_motion.text.distilbert import DistilBertEncoder

    folder = write_distilbert(tmp_path / "bert")
    encoder = DistilBertEncoder(folder)
    prompts = ["A person walks", "jumps slowly, then turns around"]
    words = encoder.encode(prompts)
    assert not words.pooled and words.features.shape == (
        2,
        8,
        32,
    )  # the comma is a word that it does not know
    assert words.mask.sum(1).tolist() == [5, 8]
    vocabulary = (folder / "vocab.txt").read_text().splitlines()
    ids = [[vocabulary.index(w) for w in ("[CLS]", "a", "person", "walks", "[SEP]")] + [0] * 3]
    rest = ("[CLS]", "jumps", "slowly", "[UNK]", "then", "turns", "around", "[SEP]")
    ids.append([vocabulary.index(w) for w in rest])
    config = DistilBertConfig(vocab_size=len(vocabulary), dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    network = DistilBertModel(config).eval()
    state = load_file(folder / "model.safetensors")
    network.load_state_dict({k.removeprefix("distilbert."): v for k, v in state.items() if "vocab_" not in k})
    mask = torch.from_numpy(words.mask)
    with torch.inference_mode():
        wanted = network(input_ids=torch.tensor(ids), attention_mask=mask.long()).last_hidden_state
    np.testing.assert_allclose(words.features[words.mask], wanted[mask].numpy(), atol=1e-5)
    assert not words.features[~words.mask].any()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="describes no DistilBERT"):
        DistilBertEncoder(folder)


def test_without_transformers_the_message_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'collage-motion\[clip\]'"):
        ClipEncoder(folder)
