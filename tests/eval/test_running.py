"""Whole evaluations with a tiny network: the same numbers whole, resumed and shared; nothing foreign touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from beds import write_evaluator, write_prepared
from tiny_model import write_tiny_model

from collage_motion.cli import main
from collage_motion.errors import CollageError, DataError, OutputError, PlanError
from collage_motion.eval import command, plots, rechecking, running
from collage_motion.eval.command import Request, run_request
from collage_motion.eval.protocols import get_protocol
from collage_motion.eval.running import Share
from collage_motion.eval.sampling import perform
from collage_motion.settings import Settings

pytestmark = pytest.mark.slow  # every test makes a run of its own

ROOT = Path(__file__).resolve().parents[2]


class Silent:
    """A watch that remembers what it was told."""

    def __init__(self):
        self.stages, self.lines, self.steps = [], [], []

    def begin(self, stage):
        self.stages.append(stage)

    def step(self, done, total):
        self.steps.append((done, total))

    def say(self, line):
        self.lines.append(line)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, an evaluator and a prepared file."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny_model(folder / "tiny")
    write_evaluator(folder / "judge")
    write_prepared(folder / "data.npz")
    return folder


@pytest.fixture(autouse=True)
def home(place, tmp_path, monkeypatch):
    monkeypatch.setenv("COLLAGE_DATA", str(place / "data.npz"))
    monkeypatch.setattr("collage_motion.eval.classifier.DEFAULT_PATH", tmp_path / "no-classifier")
    monkeypatch.setenv("HOME", str(tmp_path))  # the same for processes of their own
    for name in ("RANK", "WORLD_SIZE", "COLLAGE_DEBUG"):
        monkeypatch.delenv(name, raising=False)


def small(place, folder):
    """A small run of one method."""
    return Request(
        folder, "long", "collage", 2, 32, str(place / "tiny"), None, place / "judge", device="cpu", quick=True,
        settings={"steps": 1},
    )  # fmt: skip


@pytest.fixture
def request_(place, tmp_path):
    """A small run in a new folder."""
    return small(place, tmp_path / "run")


def figures(report):
    """All values of a report that do not depend on the clock."""
    return {
        (row["method"], name): figure["values"]
        for row in report["rows"]
        for name, figure in row.items()
        if name != "method" and "seconds" not in name
    }


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    """The figures of an undisturbed run, its folder, and what it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLLAGE_DATA", str(place / "data.npz"))
        patch.setattr("collage_motion.eval.classifier.DEFAULT_PATH", place / "no-classifier")
        folder, watch = tmp_path_factory.mktemp("whole"), Silent()
        return figures(run_request(small(place, folder), watch, Share())), folder, watch


@pytest.fixture
def copied(request_, whole):
    """The request of that run in a copy of its folder."""
    shutil.copytree(whole[1], request_.output)
    return request_


def samples(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("samples/**/*.npz"))}


def test_a_report_holds_what_is_needed_to_trust_it(whole):
    report = json.loads((whole[1] / "long.json").read_text())
    assert [row["method"] for row in report["rows"]] == ["real", "short", "collage"]
    collage = report["rows"][2]
    wanted = (
        "fid", "fid_floor", "r_precision_1", "r_precision_2", "r_precision_3", "mm_dist", "diversity", "peak_jerk",
        "area_under_jerk", "transition_fid", "foot_slide",
    )  # fmt: skip
    for name in wanted:
        assert set(collage[name]) == {"mean", "ci95", "values"} and len(collage[name]["values"]) == 2
    assert report["commit"] is None or len(report["commit"].removesuffix("+")) == 40
    assert report["versions"]["torch"] and report["device"].startswith("cpu")
    assert (
        report["settings"]["collage"]["steps"] == 1 and report["settings"]["collage"]["variables"] == "prompt"
    )
    assert report["seed"] == 0 and report["quick"] is True and report["model"]["name"] == "tiny"
    assert len(report["jerk_curves"]["collage"]) == 57
    assert any("no content accuracy" in note for note in report["notes"])
    assert any("Student's t" in note for note in report["notes"])
    (made_by,) = report["made_by"]
    assert made_by["motions"] == 4 * 32 and made_by["version"] == report["versions"]["collage_motion"]
    assert made_by["commit"] == report["commit"] and made_by["device"] == report["device"]
    assert not any("WARNING" in note for note in report["notes"])
    files = report["judge"]["files"]
    assert set(files) == {"evaluator", "evaluator_card"} and all(len(sum_) == 64 for sum_ in files.values())
    fields = set(Settings.__dataclass_fields__)
    for name in ("short", "collage"):
        away = {"max_tokens", "taper"} if name == "short" else {"max_tokens"}
        assert set(report["settings"][name]) == (fields - away) | {"why"}
    real = report["rows"][0]
    assert real["fid"]["values"] == real["fid_floor"]["values"] == collage["fid_floor"]["values"]
    assert real["fid_above_floor"]["mean"] == 0.0
    prompts = json.loads((whole[1] / "long.prompts.json").read_text())["replications"]
    assert [len(rows) for rows in prompts] == [32, 32] and prompts[0] != prompts[1]


def test_the_table_says_how_many_meanings_a_batch_holds(whole, place):
    report = json.loads((whole[1] / "long.json").read_text())
    found = report["distinct_meanings"]
    batches = [
        {item.meaning for item in command.evaluation_of(small(place, whole[1])).drawn(r).asked}
        for r in (0, 1)
    ]
    assert found["batch"] == 32 and found["values"] == [len(batch) for batch in batches]
    assert 1 < found["mean"] < 32  # the prepared file has 48 recordings with as many meanings, halved
    (line,) = [note for note in report["notes"] if note.startswith("R-precision")]
    assert (
        line
        == f"R-precision among 32 motions, asked for with {found['mean']:.1f} different meanings on average"
    )
    assert f"- {line}" in (whole[1] / "long.md").read_text().splitlines()


@pytest.mark.parametrize("changed", [False, True])
def test_motions_of_mixed_code_are_made_again_and_told(copied, monkeypatch, changed):
    paths = sorted(samples(copied.output))
    for path in (paths[0], paths[-1]):
        path.unlink()
    earlier = command.provenance.code()
    monkeypatch.setattr(command.provenance, "commit", lambda: "1" * 40)
    monkeypatch.setattr(command.provenance, "code", lambda: "1" * 16)
    if changed:  # as by another formula; only that of the collage

        def other(model, scripts, settings):
            return perform(model, scripts, settings) + (0.25 if settings.window == "usual" else 0.0)

        monkeypatch.setattr(rechecking, "perform", other)
    watch = Silent()
    report = run_request(copied, watch, Share())
    counts = {maker["commit"]: maker["motions"] for maker in report["made_by"]}
    assert len(counts) == 2 and sum(counts.values()) == 128 and 0 < counts["1" * 40] < 128
    again = {row["method"]: row for row in report["rechecked"]}
    assert set(again) == {"short", "collage"} and all(row["made_by"] == earlier for row in again.values())
    assert again["short"]["largest_difference"] == 0.0 < again["short"]["motions"] <= 32
    assert again["collage"]["largest_difference"] == (pytest.approx(0.25, rel=1e-3) if changed else 0.0)
    (line,) = [note for note in report["notes"] if "made again" in note]
    assert line.startswith(f"motions of short, collage are of earlier code {earlier}; ")
    told = "others came of collage (0.25), in brackets the largest difference of a feature"
    assert line.endswith(told if changed else "all came out the same, bit for bit")
    assert report["notes"][0].startswith("WARNING: the motions are of different making: code ") is changed
    assert any(line.startswith("- WARNING") and "1" * 40 in line for line in watch.lines) is changed


@pytest.mark.slow
def test_only_what_was_made_again_is_trusted(copied, monkeypatch):
    """A method that cannot be made again leaves the warning, whatever the others do, and the table."""
    paths = sorted(samples(copied.output))
    for path in (paths[0], paths[-1]):
        path.unlink()
    monkeypatch.setattr(command.provenance, "code", lambda: "1" * 16)

    def other(model, scripts, settings):
        if settings.window == "usual":
            raise CollageError("sampling: 5 numbers are not finite")
        return perform(model, scripts, settings)

    monkeypatch.setattr(rechecking, "perform", other)
    report = run_request(copied, Silent(), Share())
    found = {row["method"]: row["largest_difference"] for row in report["rechecked"]}
    assert found == {"short": 0.0, "collage": None}
    assert report["notes"][0].startswith("WARNING: the motions are of different making: code ")
    assert any("collage (none could be made)" in note for note in report["notes"])
    # Not looked at at all, as of another device: no other method vouches for it.
    monkeypatch.setattr(rechecking, "_longest", lambda *_: {})
    report = run_request(copied, Silent(), Share())
    assert report["rechecked"] == [] and report["notes"][0].startswith("WARNING: ")


def test_the_longest_motions_are_made_again(copied, monkeypatch):
    monkeypatch.setattr(command.provenance, "code", lambda: "1" * 16)
    evaluation = command.evaluation_of(copied)
    chosen = rechecking._longest(evaluation, json.loads(evaluation.store.maker))
    assert {method for method, _ in chosen} == {"short", "collage"}
    for part, shard in chosen.values():
        longest = max(
            max(script.n_frames for script in part.scripts)
            for part in evaluation.parts()
            if part.method == "short"
        )
        if part.method == "short":
            assert max(part.scripts[number].n_frames for number in shard.numbers) == longest
    monkeypatch.setattr(
        command.provenance, "maker", lambda device: {**json.loads(evaluation.store.maker), "torch": "1.0"}
    )
    elsewhere = command.evaluation_of(copied)
    assert rechecking._longest(elsewhere, json.loads(elsewhere.store.maker)) == {}


def test_a_default_that_changed_is_seen(copied, monkeypatch):
    """Every setting is on record, also those that nobody names."""
    names, usual = list(Settings.__dataclass_fields__), list(Settings.__init__.__defaults__)
    usual[names.index("order")] = 2
    monkeypatch.setattr(Settings.__init__, "__defaults__", tuple(usual))
    monkeypatch.setattr("collage_motion.settings.check_sampler", lambda *_, **__: None)
    with pytest.raises(DataError, match=r"made with other settings of its method \(order = null, now 2\)"):
        run_request(copied, Silent(), Share())


def test_other_prompts_for_the_same_numbers_are_seen(copied, place, tmp_path, monkeypatch):
    monkeypatch.setattr("collage_motion.eval.benchmark.draw_caption", lambda *_: "a person walks")
    with pytest.raises(DataError, match="was made of other prompts, frames or noise than those asked for"):
        run_request(copied, Silent(), Share())


def test_a_finished_run_makes_nothing_again_and_needs_no_matplotlib(copied, whole, monkeypatch):
    before = samples(copied.output)
    assert len(before) >= 10
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    picture = (copied.output / "long.png").stat().st_mtime_ns
    watch = Silent()
    assert figures(run_request(copied, watch, Share())) == whole[0]
    assert "generating 0 motions" in watch.stages and samples(copied.output) == before
    assert [line for line in watch.lines if line.startswith("no figure")] == [plots.MISSING]
    assert (copied.output / "long.png").stat().st_mtime_ns == picture


def test_a_killed_run_goes_on_and_ends_with_the_same_numbers(request_, whole, monkeypatch):
    done = []
    perform = running.perform

    def dying(*arguments):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(1)
        return perform(*arguments)

    monkeypatch.setattr(running, "perform", dying)
    with pytest.raises(KeyboardInterrupt):
        run_request(request_, Silent(), Share())
    before = samples(request_.output)
    assert len(before) == 6 and not (request_.output / "long.json").exists()
    monkeypatch.setattr(running, "perform", perform)
    assert figures(run_request(request_, Silent(), Share())) == whole[0]
    assert {path: samples(request_.output)[path] for path in before} == before


def test_two_processes_make_the_same_numbers_as_one(request_, whole):
    assert run_request(request_, Silent(), Share(1, 2)) is None
    half = samples(request_.output)
    everything = {path.relative_to(whole[1]) for path in samples(whole[1])}
    assert 0 < len(half) < len(everything)
    assert figures(run_request(request_, Silent(), Share(0, 2))) == whole[0]
    assert {path.relative_to(request_.output) for path in samples(request_.output)} == everything
    assert {path: samples(request_.output)[path] for path in half} == half


def test_more_samples_and_replications_keep_those_that_are_there(request_, whole):
    first = figures(run_request(replace(request_, replications=1), Silent(), Share()))
    before = samples(request_.output)
    more = figures(run_request(request_, Silent(), Share()))
    assert more == whole[0]
    assert {path: samples(request_.output)[path] for path in before} == before
    assert first["collage", "fid"] == whole[0]["collage", "fid"][:1]
    larger = run_request(replace(request_, samples=40, replications=1), Silent(), Share())
    assert {path: samples(request_.output)[path] for path in before} == before
    assert larger["samples"] == 40


def test_the_first_process_waits_for_the_others_and_gives_up_in_the_end(request_, monkeypatch):
    evaluation = command.evaluation_of(request_)
    evaluation.generate(Share(1, 2), Silent())
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            evaluation.generate(Share(0, 1), Silent())  # the other one has come so far

    evaluation._wait(Silent(), nap)
    assert len(naps) == 2
    monkeypatch.setattr(running, "PATIENCE_S", -1.0)
    evaluation.sizes = replace(evaluation.sizes, replications=3)
    with pytest.raises(OutputError, match=r"no new sample of other processes .* are missing; run the same"):
        evaluation._wait(Silent(), lambda _: None)


def test_shares_come_from_the_environment(monkeypatch):
    assert Share.of_environment() == Share(0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Share.of_environment() == Share(1, 3)
    for rank in ("3", "-1", "one"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(CollageError, match=f"RANK '{rank}' of WORLD_SIZE '3': not a process of several"):
            Share.of_environment()


def test_a_broken_or_foreign_file_is_one_clear_error_and_stays(copied, capfd):
    path = next(iter(samples(copied.output)))
    good = path.read_bytes()
    path.write_bytes(good[:-100])
    with pytest.raises(DataError, match=f"{path.name}: broken, truncated or foreign"):
        run_request(copied, Silent(), Share())
    path.write_bytes(good)
    (path.parent / "mine.txt").write_text("mine")
    capfd.readouterr()
    assert main(command_line(copied)[2:]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "mine.txt: no file of this command; move it out" in said
    assert (path.parent / "mine.txt").read_text() == "mine"


def test_other_settings_in_the_same_folder_are_refused(copied):
    for change, message in (
        ({"seed": 1}, "made with seed = 0, now it is 1"),
        ({"protocol": "compose"}, "made with protocol = .*long"),
        ({"settings": {"steps": 2}}, "made with other settings of its method"),
    ):
        with pytest.raises(CollageError, match=message):
            run_request(replace(copied, **change), Silent(), Share())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": Path("x"), "evaluator": None}, "dataset x: it needs its evaluator too"),
        ({"legacy_caption_length": True}, "legacy caption length: it is a matter of HumanML3D"),
        (
            {"multimodality": True, "protocol": "compose"},
            "multimodality: got protocol compose; allowed with: short",
        ),
        ({"samples": 2}, "samples: got 2; protocol long needs at least 4"),
        ({"methods": "magic"}, "methods: got 'magic'"),
        ({"evaluator": Path("nowhere")}, "nowhere/card.json: no card of an evaluator"),
        ({"model": "nowhere"}, "nowhere"),
        ({"settings": {"window": 99}}, "window: got 99 s; this model's windows hold"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_made(request_, change, message):
    with pytest.raises(CollageError, match=message):
        run_request(replace(request_, **change), Silent(), Share())
    assert not request_.output.exists()


def test_windows_that_cannot_be_are_refused_before_anything_is_made(request_):
    # `short` is one window whatever is set, and comes first: it would be made before the collage is found impossible.
    allowed = r"allowed is at most half of the longest window, 0\.75 s; shorten it or choose a longer window"
    with pytest.raises(PlanError, match=rf"the overlap is 0\.8 s; {allowed}"):
        run_request(replace(request_, settings={"window": 1.5}), Silent(), Share())
    assert not list(request_.output.rglob("*.npz"))


def test_the_collage_with_seam_factors_is_measured_though_other_methods_cannot_have_them(request_):
    few = replace(request_, methods="collage", replications=1, settings={"steps": 1, "seam_factors": True})
    report = run_request(few, Silent(), Share())
    assert report["settings"]["collage"]["seam_factors"] and "fid" in report["rows"][-1]


def test_captions_that_fill_no_motion_are_left_away_in_all_rows(request_):
    assert command.sizes_of(replace(request_, samples=22), get_protocol("path")).samples == 21
    assert command.sizes_of(replace(request_, samples=22), get_protocol("long")).samples == 22


@pytest.mark.parametrize("protocol", ["short", "compose", "loop", "extrapolate", "path"])
def test_every_protocol_makes_its_table(request_, protocol, capfd):
    few = replace(
        request_, protocol=protocol, methods="all" if protocol == "short" else "collage", replications=1
    )
    report = run_request(few, Silent(), Share())
    row = report["rows"][-1]
    special = {
        "short": "fid", "compose": "seam_lag", "loop": "wrap_closed", "extrapolate": "peak_jerk", "path": "path_error"
    }  # fmt: skip
    assert row["method"] == ("short" if protocol == "short" else "collage")
    assert special[protocol] in row and "foot_slide" in row and "seconds_per_second" in row
    if protocol == "path":
        assert row["path_error"]["mean"] < 1e-4 and row["keyframe_error"]["mean"] < 1e-4
        assert row["path_far"]["mean"] == 0.0
    if protocol == "extrapolate":
        assert "fid" not in row and [r["method"] for r in report["rows"]] == ["real", "collage"]


def test_multimodality_is_measured_when_asked_for(request_, monkeypatch):
    for module in (running, sys.modules["collage_motion.eval.judging"]):
        monkeypatch.setattr(module, "REPEATS", 4)
        monkeypatch.setattr(module, "PAIRS", 2, raising=False)
    monkeypatch.setattr(running, "TEXTS", 3)
    few = replace(request_, protocol="short", methods="all", replications=1, multimodality=True)
    report = run_request(few, Silent(), Share())
    row = {row["method"]: row for row in report["rows"]}["short"]
    assert row["multimodality"]["mean"] > 0
    assert len(list((request_.output / "samples" / "short.mm").rglob("*.npz"))) >= 1
    files = np.concatenate(
        [np.load(path)["numbers"] for path in (request_.output / "samples" / "short.mm").rglob("*.npz")]
    )
    assert sorted(files.tolist()) == list(range(12))


def test_progress_says_how_far_it_is(whole):
    steps = whole[2].steps
    assert steps[0][0] == 0 and all(0 <= done < total for done, total in steps)
    assert whole[2].stages[1:] == ["generating 128 motions", "scoring"]
    assert [line for line in whole[2].lines if line.startswith("| collage")]


# As processes of their own


def command_line(request, *more):
    return [
        "-m", "collage_motion", "eval", "--quick", "--protocol", "long", "--methods", request.methods, "-o",
        str(request.output), "--model", request.model, "--evaluator", str(request.evaluator), "--steps", "1",
        "--device", "cpu", *more,
    ]  # fmt: skip


def test_a_process_killed_without_warning_leaves_a_folder_to_go_on_with(request_, whole):
    process = subprocess.Popen(
        [sys.executable, *command_line(request_)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    deadline = time.monotonic() + 120
    while len(samples(request_.output)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = samples(request_.output)
    assert len(before) >= 3
    done = subprocess.run(
        [sys.executable, *command_line(request_)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert figures(json.loads((request_.output / "long.json").read_text())) == whole[0]
    assert {path: samples(request_.output)[path] for path in before} == before


def test_torchrun_shares_the_work(request_, whole):
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *command_line(request_)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((request_.output / "long.json").read_text())
    assert figures(report) == whole[0] and report["processes"] == 2
    assert done.stdout.count("# long: ") == 1  # the first process alone reports
