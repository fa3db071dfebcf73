"""The scripts that measure composers and samplers, from the command line to their files, with a small model."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from beds import CONTENTS, body, write_prepared
from tiny_model import write_tiny_model

from collage_motion.card import read_card
from collage_motion.data.dataset import PreparedClip, write_dataset
from collage_motion.errors import CollageError
from collage_motion.eval.classifier import ContentClassifier, ContentNet
from collage_motion.eval.measuring import settings_from
from collage_motion.lengths import usual_seconds

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A model, a judge and a prepared file, as arguments."""
    folder = tmp_path_factory.mktemp("bed")
    write_tiny_model(folder / "tiny")
    rng = np.random.default_rng(0)
    clips = [
        PreparedClip(f"c{k}", f"c{k}", "made", CONTENTS[k % 6], "normal", "", 2 * (k % 2), body(70, rng))
        for k in range(24)
    ]
    write_dataset(clips, folder / "motion.npz")
    ContentClassifier(ContentNet(6), CONTENTS, {}).save(folder / "judge.safetensors")
    places = {"--model": "tiny", "--data": "motion.npz", "--classifier": "judge.safetensors"}
    pairs = [(key, str(folder / name)) for key, name in places.items()]
    return [*(text for pair in pairs for text in pair), "--device", "cpu", "--threads", "1"]


def command(script: str, *arguments: object) -> list[str]:
    return [sys.executable, str(SCRIPTS / script), *map(str, arguments)]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(script, *arguments), capture_output=True, text=True, check=False)


def killed_after(rows: int, path: Path, process: list[str]) -> bytes:
    """Run a command, kill it without warning once its ledger has so many rows; what the ledger then holds."""
    with subprocess.Popen(process, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + 120
        while time.monotonic() < until and running.poll() is None:
            if path.exists() and path.read_bytes().count(b"\n") > rows:
                break
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL, "it ended before it could be killed"
    return path.read_bytes()


def test_a_table_of_composers_that_was_killed_goes_on(bed: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    some = ["--composers", "collage", "naive", "replacement", "blend", "--set", "steps=3"]
    arguments = ["-o", folder, *bed, *some]
    table = ["table", *arguments, "--seconds", "10", "20", "--seeds", "2", "1"]
    left = killed_after(2, folder / "table.jsonl", command("measure_composers.py", *table))
    (folder / "table.jsonl").write_bytes(left + b'{"cell": {"dev')  # a kill in the middle of a line
    done = run("measure_composers.py", *table)
    assert done.returncode == 0, done.stderr
    rows = (folder / "table.jsonl").read_bytes()
    assert rows.startswith(left)
    assert rows.count(b"\n") == 1 + 4 * 3
    todo = 4 * 3 - (len(left.splitlines()) - 1)
    assert done.stderr.startswith(f"1/{todo} ")
    assert run("measure_composers.py", *table).stderr == ""  # nothing is left to do

    known = json.loads((folder / "table.json").read_text())
    assert known["model"]["name"] == "tiny" and known["settings"]["steps"] == 3
    found = [(row["seconds"], row["composer"], row.get("seeds")) for row in known["rows"]]
    names = ["collage", "naive", "replacement", "blend"]
    assert found == [
        (10.0, "real clips", None), *((10.0, name, 2) for name in names),
        (20.0, "real clips", None), *((20.0, name, 1) for name in names),
    ]  # fmt: skip
    lines = (folder / "table.csv").read_text().splitlines()
    assert len(list(csv.DictReader(lines))) == len(found)
    assert "| replacement | 2 |" in (folder / "table.md").read_text()
    assert (folder / "times.png").read_bytes().startswith(b"\x89PNG")

    done = run("measure_composers.py", *table[:-1], "2", "--set", "steps=4")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "was measured with settings.steps 3, now it is 4; choose another folder" in done.stderr


def test_the_search_decides_the_settings_of_the_table(bed: list[str], tmp_path: Path) -> None:
    arguments = ["all", "-o", tmp_path, *bed, "--composers", "blend", "--set", "steps=2", "--quick"]
    done = run("measure_composers.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "search.jsonl").read_text().count("\n") == 1 + 3 * 2
    rows = json.loads((tmp_path / "search.json").read_text())["rows"]
    (chosen,) = [row["options"] for row in rows if row["chosen"]]
    found = json.loads((tmp_path / "table.json").read_text())["rows"]
    made = [(row["seconds"], row["options"], row["seeds"]) for row in found if row["composer"] == "blend"]
    assert made == [(10.0, chosen, 1), (20.0, chosen, 1)]


def test_tables_of_samplers_that_were_killed_go_on(bed: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    arguments = ["all", "-o", folder, *bed, "--quick", "--compared", "1", "--set", "guidance=1"]
    arguments += ["--samplers", "ddim", "edm", "ancestral"]
    left = killed_after(3, folder / "samplers.jsonl", command("measure_samplers.py", *arguments))
    done = run("measure_samplers.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert (folder / "samplers.jsonl").read_bytes().startswith(left)
    known = json.loads((folder / "samplers.json").read_text())
    found = [(row["sampler"], row["steps"], row["motions"], row.get("compared")) for row in known["clips"]]
    assert found == [
        ("ddim", 5, 2, 1), ("ddim", 10, 2, 1), ("edm", 5, 2, 1), ("edm", 10, 2, 1),
        ("ancestral", 5, 2, None), ("ancestral", 10, 2, None),
    ]  # fmt: skip
    assert [(row["seconds"], row["steps"]) for row in known["chains"]] == [(10, 5), (10, 10), (10, 200)]
    assert len(list(folder.glob("reference-*.npz"))) == 3
    text = (folder / "samplers.md").read_text()
    assert "| sampler | 5 | 10 |" in text and "Steps until poses stay" in text
    assert run("measure_samplers.py", "report", *arguments[1:]).stdout == done.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("measure_composers.py", ["table", "--set", "stps=3"], "--set stps=3: write NAME=VALUE with one of"),
        ("measure_composers.py", ["table", "--seconds", "10", "--seeds", "1", "2"], "--seeds: one number"),
        ("measure_composers.py", ["all", "--seconds", "10"], "are those of search or table"),
        ("measure_samplers.py", ["clips", "--set", "steps="], "--set steps=: write NAME=VALUE"),
        ("measure_samplers.py", ["clips", "--steps", "0"], "numbers must be above 0"),
        ("measure_samplers.py", ["clips", "--device", "abacus"], "device 'abacus' is not there"),
    ],
)
def test_wrong_arguments_end_in_one_line(
    bed: list[str], tmp_path: Path, script: str, arguments: list[str], message: str
) -> None:
    done = run(script, *bed, *arguments, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_what_cuts_cost_is_measured_beside_whole_clips(tmp_path: Path) -> None:
    write_prepared(tmp_path / "data.npz")
    out = tmp_path / "cuts.json"
    done = run(
        "measure_cuts.py", "--data", tmp_path / "data.npz", "--replications", 2, "--samples", 8, "-o", out
    )
    assert done.returncode == 0, done.stderr
    rows = {(row["made"], row["by"]): row for row in json.loads(out.read_text())["rows"]}
    cut, again = (
        [("cut", share) for share in (1.0, 0.9, 0.75, 0.5)],
        [("repeated", by) for by in (0.4, 0.8, 1.5)],
    )
    assert list(rows) == cut + again
    assert rows["cut", 1.0]["above_floor"] == 0.0 and all(len(row["values"]) == 2 for row in rows.values())
    assert len({row["fid"] for row in rows.values()}) == len(rows)
    assert all(
        0 <= row["r_precision_3"] <= 1 and len(row["r_precision_3_values"]) == 2 for row in rows.values()
    )
    assert run("measure_cuts.py", "--replications", 1).returncode == 2

    sizes = ["--data", tmp_path / "data.npz", "--replications", 2, "--samples", 16]
    done = run("measure_cuts.py", *sizes, "--contents", "walk, run,bow", "-o", out)
    assert done.returncode == 0, done.stderr
    some = json.loads(out.read_text())
    assert some["contents"] == ["walk", "run", "bow"]
    assert [(row["made"], row["by"]) for row in some["rows"]] == list(rows)
    assert some["rows"][0]["values"] != rows["cut", 1.0]["values"]
    for contents, message in (
        ("walk,fly", "--contents: got 'fly'; allowed: "),
        ("guide", "0 of the asked clips show them"),
    ):
        wrong = run("measure_cuts.py", *sizes, "--contents", contents)
        assert wrong.returncode == 2 and message in wrong.stderr


def test_an_evaluations_own_clips_are_laid_end_to_end_too(tmp_path: Path) -> None:
    data, model, folder = (
        write_prepared(tmp_path / "data.npz"),
        write_tiny_model(tmp_path / "tiny"),
        tmp_path / "run",
    )
    sizes = ["--replications", 2, "--samples", 8, "--model", model]
    asked = [
        "eval",
        "--protocol",
        "long",
        "--methods",
        "collage",
        "--steps",
        1,
        *sizes,
        "--device",
        "cpu",
        "-o",
        folder,
    ]
    place = os.environ | {"COLLAGE_DATA": str(data), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "collage_motion", *map(str, asked)], env=place, check=False)
    assert done.returncode == 0
    known = {row["method"]: row for row in json.loads((folder / "long.json").read_text())["rows"]}
    out = tmp_path / "cuts.json"
    given = ["--run", folder, "--set", "steps=1", *sizes, "-o", out]
    done = subprocess.run(
        command("measure_cuts.py", *given), env=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {row["made"]: row for row in json.loads(out.read_text())["rows"]}
    for method in ("short", "collage"):  # the very figures of the evaluation
        assert rows[method]["values"] == pytest.approx(known[method]["fid"]["values"], rel=1e-3)
        assert rows[method]["r_precision_3"] == pytest.approx(known[method]["r_precision_3"]["mean"])
    assert rows["short repeated"]["values"] != rows["short"]["values"]
    wrong = run("measure_cuts.py", "--run", folder, "--data", data)
    assert wrong.returncode == 2 and "--data: not with --run" in wrong.stderr
    wrong = run("measure_cuts.py", "--run", tmp_path / "nowhere")
    assert wrong.returncode == 2 and "nowhere: no folder of an evaluation" in wrong.stderr
    assert not (tmp_path / "nowhere").exists()


def test_usual_lengths_are_fitted_to_the_clips_and_written_into_the_card(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny")
    rng = np.random.default_rng(0)
    frames = {"bow": 50, "walk": 100}  # 2.5 and 5 s
    clips = [
        PreparedClip(
            f"{content}{k}",
            f"{content}{k}",
            "made",
            content,
            "normal",
            "",
            2 * (k % 6 == 5),
            body(frames[content], rng),
        )
        for k in range(72)
        for content in frames
    ]
    write_dataset(clips, tmp_path / "motion.npz")
    before = json.loads((folder / "card.json").read_text())
    done = run("fit_lengths.py", folder, "--data", tmp_path / "motion.npz")
    assert done.returncode == 0, done.stderr
    after = json.loads((folder / "card.json").read_text())
    assert after.keys() - before.keys() == {"usual_length", "usual_pace"}
    assert {name: after[name] for name in before} == before
    card = read_card(folder)
    seconds = usual_seconds(("a person bows", "a person walks"), card)
    assert 2.0 < seconds["a person bows"] < 3.2 < 4.0 < seconds["a person walks"] < 6.0
    assert "wrote " in done.stdout and "train: " in done.stdout

    damaged = run("fit_lengths.py", tmp_path / "nowhere", "--data", tmp_path / "motion.npz")
    assert damaged.returncode == 2 and "nowhere" in damaged.stderr and damaged.stderr.count("\n") == 1


def test_settings_of_a_script_are_numbers_or_words_and_else_told() -> None:
    found = settings_from(["apart_above=1e6", "window=longest", "sigma_start=null", "seam_factors=true"])
    assert found == {"apart_above": 1e6, "window": "longest", "sigma_start": None, "seam_factors": True}
    for text in ("window=[1", "window=2020-13-45"):
        with pytest.raises(CollageError, match=r"--set window: got .*; allowed: a number or a word"):
            settings_from([text])
    with pytest.raises(CollageError, match="--set magic=1: write NAME=VALUE"):
        settings_from(["magic=1"])
