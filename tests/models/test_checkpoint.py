"""Released checkpoints: all forms import and compute what the reference does; broken ones say one clear thing."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from collage_motion.card import find_models, load_card
from collage_motion.errors import CollageError, DataError, ModelError, OutputError
from collage_motion.models import network_config, read_weights
from collage_motion.models.arguments import read_arguments
from collage_motion.models.checkpoint import import_checkpoint
from collage_motion.models.mdm import MDM, MdmConfig, positional_table

SMALL = {"latent_dim": 16, "layers": 1, "diffusion_steps": 50}
VARIANTS = {
    "enc_1000": {"arch": "trans_enc", "diffusion_steps": 1000},
    "enc_50": {"arch": "trans_enc", "mask_frames": True, "use_ema": True, "keyframe_cond_prob": 0.3},
    "dec_clip": {"arch": "trans_dec"},
    "dec_emb": {"arch": "trans_dec", "emb_trans_dec": True},
    "dec_bert": {"arch": "trans_dec", "text_encoder_type": "bert", "mask_frames": True},
}


def state_of(arguments: dict[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """A random state dict as MDM writes it, both copies of the positional table included."""
    torch.manual_seed(seed)
    width, layers = arguments["latent_dim"], arguments["layers"]
    text_dim = 768 if arguments.get("text_encoder_type") == "bert" else 512
    arch = arguments.get("arch", "trans_enc")
    state = MDM(MdmConfig(arch=arch, latent_dim=width, num_layers=layers, text_dim=text_dim)).state_dict()
    pe = positional_table(5000, width)[:, None]
    return {**state, "sequence_pos_encoder.pe": pe, "embed_timestep.sequence_pos_encoder.pe": pe}


def write(folder: Path, arguments: dict[str, Any], content: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "args.json").write_text(json.dumps(arguments))
    path = folder / "model000475000.pt"
    torch.save(state_of(arguments) if content is None else content, path)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    folder = tmp_path / "stats"
    folder.mkdir()
    np.save(folder / "Mean.npy", np.linspace(-1, 1, 263, dtype=np.float32))
    np.save(folder / "Std.npy", np.linspace(0.5, 1, 263, dtype=np.float32))
    return folder


def stored(folder: Path) -> dict[str, Tensor]:
    """The weights as `load_model` reads them, checked against the card."""
    with torch.device("meta"):
        network = MDM(network_config(load_card(str(folder))))
    return read_weights(folder / "model.safetensors", network)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_imports(variant: str, tmp_path: Path, stats: Path, home: Path) -> None:
    arguments = {**SMALL, **VARIANTS[variant]}
    folder = import_checkpoint(write(tmp_path / "in", arguments), name=variant, stats=stats)
    assert folder == home / "models" / variant and find_models()[variant] == folder
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == [variant]
    card = load_card(variant)
    assert card.text["encoder"] == ("distilbert" if variant == "dec_bert" else "clip")
    assert card.mask_frames == arguments.get("mask_frames", False)
    assert card.padding == (0 if card.mask_frames else 196) and card.max_frames == 196 and card.fps == 20
    assert card.schedule == {"name": "cosine", "steps": arguments["diffusion_steps"]}
    assert card.training["steps"] == 475000 and card.mean[-1] == 1.0 and card.std[0] == 0.5
    config = network_config(card)
    assert config.emb_trans_dec == (variant == "dec_emb") and config.emb_token_text
    wanted, got = state_of(arguments), stored(folder)
    assert got.keys() == {key for key in wanted if not key.endswith(".pe")}
    assert all(torch.equal(got[key], wanted[key]) for key in got)


def test_flat_nested_and_averaged_weights(tmp_path: Path, stats: Path) -> None:
    plain, averaged = state_of(SMALL, 1), state_of(SMALL, 2)
    nested = {"model": plain, "model_avg": averaged}
    clip = {"clip_model.ln_final.weight": torch.ones(4)}
    cases = (
        (nested, {"use_ema": True}, averaged),
        (nested, {"use_ema": False}, plain),
        (nested, {}, plain),
        ({"model": plain}, {"use_ema": True}, plain),
        (plain, {"use_ema": True}, plain),
        ({**plain, **clip}, {}, plain),
    )
    for number, (content, extra, wanted) in enumerate(cases):
        path = write(tmp_path / str(number), {**SMALL, **extra}, content)
        got = stored(import_checkpoint(path, name=f"m{number}", stats=stats))
        assert all(torch.equal(got[key], wanted[key]) and got[key].dtype == torch.float32 for key in got)
    save_file(
        {key: value for key, value in plain.items() if not key.endswith(".pe")}, tmp_path / "0/m.safetensors"
    )
    got = stored(import_checkpoint(tmp_path / "0/m.safetensors", name="safe", stats=stats))
    assert all(torch.equal(got[key], plain[key]) for key in got)


def test_the_newer_token_is_known_by_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "args.json"
    for extra, carries_text in (({}, True), ({"pred_len": 0, "context_len": 0}, False)):
        path.write_text(json.dumps({**SMALL, "arch": "trans_dec", "emb_trans_dec": True, **extra}))
        assert read_arguments(path).token_text == carries_text


@pytest.mark.golden
@pytest.mark.parametrize("variant", ["enc", "dec_clip", "dec_clip_emb", "dec_bert"])
def test_imported_vectors_of_the_reference(variant: str, golden: Path, tmp_path: Path, stats: Path) -> None:
    vectors = dict(np.load(golden / ("mdm_trans_enc.npz" if variant == "enc" else "mdm_trans_dec.npz")))
    prefix = "sd/" if variant == "enc" else f"{variant}/sd/"
    text_dim = vectors[f"{prefix}embed_text.weight"].shape[1]
    width, n_features = vectors[f"{prefix}input_process.poseEmbedding.weight"].shape
    if (text_dim, n_features, width % 4) != (768 if variant.endswith("bert") else 512, 263, 0):
        pytest.skip(
            f"no released checkpoint has these sizes: text {text_dim}, features {n_features}, width {width}"
        )
    state = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in vectors.items() if k.startswith(prefix)}
    arguments = {
        "arch": "trans_enc" if variant == "enc" else "trans_dec",
        "latent_dim": int(vectors["config/latent_dim"]),
        "layers": int(vectors["config/num_layers"]),
        "diffusion_steps": 1000,
        "emb_trans_dec": variant.endswith("emb"),
        "text_encoder_type": "bert" if variant.endswith("bert") else "clip",
        "pred_len": 0,  # the vectors follow the code of today
    }
    folder = import_checkpoint(write(tmp_path / "in", arguments, {"model": state}), name="ref", stats=stats)
    config = network_config(load_card(str(folder)))
    assert (
        config.num_heads == 4
    )  # of all released checkpoints; no file says so, and the weights fit any number
    network = MDM(replace(config, num_heads=int(vectors["config/num_heads"]))).eval().requires_grad_(False)
    network.load_state_dict(stored(folder))
    tensors = {k: torch.from_numpy(v) for k, v in vectors.items()}
    if variant == "enc":
        case = min(
            (name for name in vectors if name.endswith("/out_cond")), key=lambda name: vectors[name].size
        )
        inputs = (tensors[case.replace("out_cond", name)] for name in ("x", "timesteps", "text_embed"))
        got, wanted = network(*inputs), tensors[case]
    else:
        words = variant == "dec_bert"
        text = tensors["bert/token_embed"].transpose(0, 1) if words else tensors["clip/text_embed"]
        mask = ~tensors["bert/padding_mask"] if words else None
        got = network(tensors["x"], tensors["timesteps"], text, mask)
        wanted = tensors[f"{variant}/out_cond"]
    assert (got - wanted).abs().max() <= 1e-5


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("place", ["whole", "value", "beside"])
def test_a_malicious_pickle_is_refused_and_runs_nothing(
    place: str, tmp_path: Path, stats: Path, home: Path
) -> None:
    marker = tmp_path / "executed"
    content = {"whole": Bomb(marker), "value": {**state_of(SMALL), "embed_text.bias": Bomb(marker)},
               "beside": {"model": state_of(SMALL), "other": [Bomb(marker)]}}[place]  # fmt: skip
    path = write(tmp_path / "in", SMALL, content)
    with pytest.raises(ModelError, match=r"holds more than weights .*nothing in it was run") as caught:
        import_checkpoint(path, name="evil", stats=stats)
    assert "weights_only" not in str(caught.value) and "\n" not in str(caught.value)
    assert not marker.exists() and not (home / "models").exists()
    with pytest.raises(FileExistsError):  # the bomb works where pickles are believed
        marker.mkdir()
        torch.load(path, weights_only=False)


def test_what_does_not_fit_is_named(tmp_path: Path, stats: Path, home: Path) -> None:
    state = state_of(SMALL)
    first, second = "embed_text.weight", "seqTransEncoder.layers.0.norm2.bias"
    renamed = {("model." + k if k in (first, second) else k): v for k, v in state.items()}
    wrong = {**state, first: torch.zeros(512, 16), second: torch.zeros(17)}
    cases: tuple[tuple[Any, dict[str, Any], str], ...] = (
        (renamed, {}, f"missing: {first}, {second}; unexpected: model.{first}, model.{second}$"),
        (wrong, {}, rf"wrong shape: {first} \(512, 16\) instead of \(16, 512\), {second} \(17,\) instead of \(16,\)$"),
        ({"module." + k: v for k, v in state.items()}, {}, r"none of the 22 expected weights is there; it holds mod"),
        ({"state": {}, "param_groups": []}, {}, "an optimiser's state"),
        ({"model": 5}, {}, "'model' is a int"),
        ([1, 2], {}, "holds a list"),
        ({**state, first: state[first].long()}, {}, f"not floating point: {first}$"),
        ({k: v.half() for k, v in state.items()}, {}, "not float32: all 22 are float16; take the original file$"),
        ({**state, first: state[first].bfloat16()}, {}, rf"not float32: {first} \(bfloat16\)$"),
        ({**state, second: state[second].double()}, {}, rf"not float32: {second} \(float64\)$"),
        ({**state, first: "text"}, {}, f"not floating point: {first}$"),
        ({**state, second: state[second] / 0}, {}, f"not finite: {second}$"),
        (state, {"layers": 2}, "missing: seqTransEncoder.layers.1.linear1.bias, .*1.self_attn.out_proj.weight$"),
        (state, {"arch": "trans_dec"}, "unexpected: seqTransEncoder.layers.0"),
        (state, {"latent_dim": 32}, r"wrong shape: .*poseEmbedding.weight \(16, 263\) instead of \(32, 263"),
        ({**state, "input_process.poseEmbedding.weight": torch.zeros(16, 251)}, {}, "model of KIT-ML with 251"),
    )  # fmt: skip
    for content, extra, message in cases:
        path = write(tmp_path / "in", {**SMALL, **extra}, content)
        with pytest.raises(ModelError, match=message) as caught:
            import_checkpoint(path, name="bad", stats=stats)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (home / "models").exists()


@pytest.mark.parametrize(
    "what", ["truncated", "no file", "folder", "text", "empty", "torchscript", "safetensors"]
)
def test_files_that_are_no_checkpoint(what: str, tmp_path: Path, stats: Path) -> None:
    path = write(tmp_path / "in", SMALL)
    if what == "truncated":
        path.write_bytes(path.read_bytes()[:-700])
    elif what == "no file":
        path = path.with_name("model1.pt")
    elif what == "folder":
        path = path.parent
        (path.parent / "args.json").write_text(json.dumps(SMALL))
    elif what in ("text", "empty"):
        path.write_text("<html>quota exceeded" if what == "text" else "")
    elif what == "safetensors":
        path = path.with_suffix(".safetensors")
        path.write_bytes(b"\x10" + bytes(100))
    else:
        from clip_files import SMALL as CLIP_SIZES
        from clip_files import make_tower, write_archive

        path = write_archive(make_tower(**CLIP_SIZES), path.parent)
    message = {
        "no file": "no such file",
        "folder": "is a folder",
        "torchscript": "a TorchScript archive",
    }.get(what, "truncated or no")
    with pytest.raises(ModelError, match=f"{message}.*expected an MDM checkpoint") as caught:
        import_checkpoint(path, name="bad", stats=stats)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"dataset": "kit"}, "a model of KIT-ML, whose motions have 251 features"),
     ({"dataset": "humanact12"}, 'dataset is "humanact12"; supported: humanml'),
     ({"arch": "gru"}, 'arch is "gru"; supported: trans_enc, trans_dec'),
     ({"unconstrained": True}, "unconstrained is true"), ({"cond_mode": "no_cond"}, 'cond_mode is "no_cond"'),
     ({"pred_len": 40}, "pred_len is 40; supported: 0"), ({"emb_policy": "concat"}, "emb_policy"),
     ({"multi_target_cond": True}, "multi_target_cond"), ({"lambda_target_loc": 0.5}, "lambda_target_loc"),
     ({"diffusion_steps": None}, "diffusion_steps is null"), ({"diffusion_steps": 0}, "whole numbers from 1"),
     ({"noise_schedule": "sigmoid"}, "supported: cosine, linear"), ({"mask_frames": 1}, "allowed: true or false"),
     ({"layers": True}, "layers is true"), ({"latent_dim": 18}, "multiples of its 4 heads"),
     ({"text_encoder_type": "t5"}, "supported: clip, bert, distilbert"),
     ({"cond_mask_prob": "x"}, "cond_mask_prob is \"x\"")],
)  # fmt: skip
def test_arguments_of_other_models_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "args.json"
    path.write_text(json.dumps({**SMALL, **change}))
    with pytest.raises(ModelError, match=message):
        read_arguments(path)


def test_missing_and_broken_arguments(tmp_path: Path, stats: Path) -> None:
    path = write(tmp_path / "in", SMALL)
    (path.parent / "args.json").unlink()
    with pytest.raises(
        ModelError, match=r"args.json is not beside the checkpoint; it says how many diffusion steps"
    ):
        import_checkpoint(path, name="m", stats=stats)
    other = tmp_path / "other.json"
    for content, message in ((b"{", "not JSON"), (b"[]", "holds a list"), (b"\xff\xfe", "not JSON"),
                             (b"{}", "diffusion_steps is missing")):  # fmt: skip
        other.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            import_checkpoint(path, other, name="m", stats=stats)
    other.write_text(json.dumps(SMALL))
    assert import_checkpoint(path, other, name="m", stats=stats).is_dir()


def test_statistics_must_be_there_and_sound(tmp_path: Path, stats: Path) -> None:
    path = write(tmp_path / "in", SMALL)
    for folder in (None, tmp_path):
        with pytest.raises(ModelError, match=r"get Mean.npy and Std.npy from .*EricGuo5513/HumanML3D"):
            import_checkpoint(path, name="m", stats=folder)
    cases = (
        np.ones(251, np.float32),
        np.zeros(263, np.float32),
        np.full(263, np.nan, np.float32),
        np.arange(263),
    )
    for array in cases:
        np.save(stats / "Std.npy", array)
        with pytest.raises(DataError, match=r"Std.npy"):
            import_checkpoint(path, name="m", stats=stats)
    (stats / "Mean.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CollageError, match=r"Mean.npy: not a readable"):
        import_checkpoint(path, name="m", stats=stats)


def test_names_and_existing_models(
    tmp_path: Path, stats: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "in", SMALL)
    for name in ("", "../up", ".hidden", "a/b", "x" * 65, "a b"):
        with pytest.raises(ModelError, match="allowed: up to 64 letters"):
            import_checkpoint(path, name=name, stats=stats)
    folder = import_checkpoint(path, name="mine", stats=stats)
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        import_checkpoint(path, name="mine", stats=stats)
    torch.save(state_of(SMALL, seed=5), path)
    import_checkpoint(path, name="mine", stats=stats, overwrite=True)
    changed = (folder / "model.safetensors").read_bytes()
    assert changed != before and [p.name for p in folder.parent.iterdir()] == ["mine"]

    real, renamed = os.rename, []

    def failing(old: Any, new: Any) -> None:  # the second of the two renames fails: the old model comes back
        renamed.append(new)
        if len(renamed) == 2:
            raise OSError(28, "No space left on device")
        real(old, new)

    monkeypatch.setattr(os, "rename", failing)
    torch.save(state_of(SMALL, seed=6), path)
    with pytest.raises(OutputError, match="No space left on device; nothing was changed"):
        import_checkpoint(path, name="mine", stats=stats, overwrite=True)
    assert (folder / "model.safetensors").read_bytes() == changed
    assert [p.name for p in folder.parent.iterdir()] == ["mine"] and load_file(folder / "model.safetensors")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds more than an imported model"):
        import_checkpoint(path, name="mine", stats=stats, overwrite=True)
    assert (folder / "notes.txt").exists()
