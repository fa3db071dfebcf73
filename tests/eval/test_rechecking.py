"""Motions of other code in a run: made again and compared, and told of."""

import json

import pytest
from tiny_runs import Silent, samples

from collage_motion.errors import CollageError
from collage_motion.eval import command, rechecking
from collage_motion.eval.command import run_request
from collage_motion.eval.parts import Share
from collage_motion.eval.sampling import perform

pytestmark = pytest.mark.slow  # every test makes a run of its own


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
