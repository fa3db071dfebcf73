"""`collage-motion models import`, and a full-size checkpoint from file to motion."""

import hashlib
import importlib.util
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_files import OFFICIAL, TEXT, make_tower, write_archive, write_distilbert
from safetensors.torch import load_file

from collage_motion.card import load_card
from collage_motion.cli import main
from collage_motion.export import read_npz
from collage_motion.models import load_model
from collage_motion.models.checkpoint import import_checkpoint
from collage_motion.models.mdm import MDM, MdmConfig, positional_table
from collage_motion.pipeline import generate
from collage_motion.plan import plan_from_prompts

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra [clip]"
)


def write_checkpoint(
    folder: Path, width: int, layers: int, steps: int
) -> tuple[Path, dict[str, torch.Tensor]]:
    """A random encoder under the official names, its two positional tables and its args.json."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    state = MDM(MdmConfig(latent_dim=width, num_layers=layers)).state_dict()
    pe = positional_table(5000, width)[:, None]
    state |= {"sequence_pos_encoder.pe": pe, "embed_timestep.sequence_pos_encoder.pe": pe}
    torch.save(state, folder / "model000475000.pt")
    arguments = {"arch": "trans_enc", "dataset": "humanml", "layers": layers, "latent_dim": width,
                 "cond_mask_prob": 0.1, "diffusion_steps": steps, "noise_schedule": "cosine"}  # fmt: skip
    (folder / "args.json").write_text(json.dumps(arguments))
    return folder / "model000475000.pt", state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("COLLAGE_MOTION_HOME", str(tmp_path / "home"))
    for name in ("HF_HUB_CACHE", "XDG_CACHE_HOME", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    """Made-up statistics: a column of joints that hardly moves."""
    folder = tmp_path / "stats"
    folder.mkdir()
    mean = np.zeros(263, np.float32)
    mean[3] = 0.9
    for joint in range(21):
        mean[4 + 3 * joint : 7 + 3 * joint] = [0.1 * ((joint % 3) - 1), 0.1 + 0.07 * joint, 0.02]
    np.save(folder / "Mean.npy", mean)
    np.save(folder / "Std.npy", np.full(263, 0.02, np.float32))
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Serves the folder `served`."""
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_import_and_list(tmp_path: Path, home: Path, stats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_checkpoint(tmp_path / "in", 16, 1, 50)
    assert main(["models", "import", str(path), "--name", "mine", "--stats", str(stats)]) == 0
    out, err = capsys.readouterr()
    assert f"imported mine into {home}/models/mine" in out
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out
    assert "warning: before it can be used: CLIP ViT-B/32: no weights" in err and "openai/CLIP" in err
    assert main(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "reads: prompts through clip, windows of 196 frames always" in out
    assert "clip: missing: CLIP ViT-B/32: no weights" in out and "distilbert: missing" in out
    assert "trained: 475000 steps on HumanML3D" in out


def test_import_from_an_address(
    tmp_path: Path, address: str, home: Path, stats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = write_checkpoint(tmp_path / "in", 16, 1, 50)
    (tmp_path / "served/model000475000.pt").write_bytes(data := path.read_bytes())
    sha256, arguments = hashlib.sha256(data).hexdigest(), str(path.with_name("args.json"))
    call = ["models", "import", "--from", f"{address}/model000475000.pt?token=1", "--name", "far"]
    assert main([*call, "--stats", str(stats)]) == 2
    assert "it says how many diffusion steps" in capsys.readouterr().err
    assert main([*call, arguments]) == 2
    assert "EricGuo5513/HumanML3D" in capsys.readouterr().err
    call += [arguments, "--stats", str(stats)]
    assert main([*call, "--sha256", "0" * 64]) == 2
    assert "thrown away" in capsys.readouterr().err and not list((home / "downloads").iterdir())
    assert main([*call, "--sha256", sha256]) == 0
    training = load_card("far").training
    assert training["sha256"] == sha256 and training["source"] == f"{address}/model000475000.pt"
    assert not list((home / "downloads").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "files: got 0; allowed: a checkpoint"), (["a", "b", "c"], "files: got 3"),
     (["a", "b", "--from", "https://x.org/y"], "files: got 2; allowed: args.json alone"),
     (["--from", "http://x.org/y"], "allowed: https"), (["a", "--sha256", "0" * 64], "--sha256 belongs to --from"),
     (["a.pt", "--stats", "/nowhere"], "/nowhere: no Mean.npy and no Std.npy")],
)  # fmt: skip
def test_wrong_calls_end_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "import", "--name", "m", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


@needs_transformers
@pytest.mark.parametrize(
    "variant",
    [{"arch": "trans_enc"}, {"arch": "trans_dec"}, {"arch": "trans_dec", "emb_trans_dec": True},
     {"arch": "trans_enc", "mask_frames": True}, {"arch": "trans_dec", "text_encoder_type": "bert"}],
)  # fmt: skip
def test_every_variant_makes_motion(
    variant: dict[str, object], tmp_path: Path, home: Path, stats: Path
) -> None:
    write_archive(make_tower(width=64, layers=1, vocabulary=900, projection=512), home / "clip")
    write_distilbert(home / "distilbert", dim=768, layers=1)
    path, _ = write_checkpoint(tmp_path / "in", 16, 1, 50)
    words = 768 if "text_encoder_type" in variant else 512
    torch.manual_seed(1)
    torch.save(MDM(MdmConfig(str(variant["arch"]), 16, num_layers=1, text_dim=words)).state_dict(), path)
    arguments = json.loads(path.with_name("args.json").read_text())
    path.with_name("args.json").write_text(json.dumps(arguments | variant))
    import_checkpoint(path, name="small", stats=stats)
    model = load_model("small")
    motions = [
        generate(plan_from_prompts([f"a person {verb}::3", "a person jumps::3"]), model, steps=3)
        for verb in ("walks", "runs")
    ]
    assert not np.allclose(motions[0].features[:40], motions[1].features[:40], atol=1e-5)


@needs_transformers
@pytest.mark.slow
def test_a_full_size_checkpoint_makes_thirty_seconds(
    tmp_path: Path, home: Path, stats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, state = write_checkpoint(tmp_path / "in", 512, 8, 1000)
    assert len(state) == 108
    weights = {name: value for name, value in state.items() if not name.endswith(".pe")}
    assert sum(value.numel() for value in weights.values()) == 17_880_327
    write_archive(make_tower(**OFFICIAL), home / "clip")
    assert main(["models", "import", str(path), "--name", "full", "--stats", str(stats)]) == 0
    stored = load_file(home / "models/full/model.safetensors")
    assert stored.keys() == weights.keys() and all(torch.equal(stored[k], weights[k]) for k in weights)
    words = TEXT.split()
    prompts = [
        "a person walks::8",
        "a person runs::7",
        f"{' '.join(words)} {' '.join(words)}::7.5",
        "a person jumps::7.5",
    ]
    capsys.readouterr()
    target = tmp_path / "motion.npz"
    assert (
        main(["generate", *prompts, "--model", "full", "--steps", "2", "--device", "cpu", "-o", str(target)])
        == 0
    )
    out, err = capsys.readouterr()
    assert "30 s of motion (600 frames" in out
    assert "word pieces; this model reads 20: it was cut behind" in err and err.count("word pieces") == 1
    motion = read_npz(target)
    assert motion.features.shape == (600, 263) and np.isfinite(motion.joints).all()
    assert motion.settings["padding"] == "zeros" and motion.settings["model"] == "full"
    assert len({prompt for _, _, prompt in motion.segments}) == 4
