"""Whole evaluations with a tiny network: the same numbers whole, resumed and shared; nothing foreign touched."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, command_line, figures, samples, small

from collage_motion.errors import CollageError, OutputError
from collage_motion.eval import command, plots, running
from collage_motion.eval.command import run_request
from collage_motion.eval.parts import Share
from collage_motion.eval.protocols import get_protocol
from collage_motion.settings import Settings

pytestmark = pytest.mark.slow  # every test makes a run of its own

ROOT = Path(__file__).resolve().parents[2]


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
        away = {"max_tokens", "spread"} | (
            {"taper", "apart_above", "stagger_below"} if name == "short" else set()
        )
        assert set(report["settings"][name]) == (fields - away) | {"why"}
    real = report["rows"][0]
    assert real["fid"]["values"] == real["fid_floor"]["values"] == collage["fid_floor"]["values"]
    assert real["fid_above_floor"]["mean"] == 0.0
    prompts = json.loads((whole[1] / "long.prompts.json").read_text())["replications"]
    assert [len(rows) for rows in prompts] == [32, 32] and prompts[0] != prompts[1]


def test_the_table_says_how_many_meanings_a_batch_holds(whole, place, undisturbed):
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
    larger = run_request(replace(request_, samples=40), Silent(), Share())
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


def test_shares_come_from_the_environment(undisturbed, monkeypatch):
    assert Share.of_environment() == Share(0, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert Share.of_environment() == Share(1, 3)
    for rank in ("3", "-1", "one"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(CollageError, match=f"RANK '{rank}' of WORLD_SIZE '3': not a process of several"):
            Share.of_environment()


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
