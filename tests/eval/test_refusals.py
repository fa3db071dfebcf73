"""What a run of the evaluation refuses: other settings, foreign files, what cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import Silent, command_line, samples

from collage_motion.cli import main
from collage_motion.errors import CollageError, DataError, OutputError, PlanError
from collage_motion.eval.command import run_request
from collage_motion.eval.parts import Share
from collage_motion.settings import Settings

pytestmark = pytest.mark.slow  # every test makes a run of its own


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


def test_a_report_of_more_is_not_replaced(copied):
    report = copied.output / "long.json"
    before = report.read_bytes()
    was = r"long\.json: a report of 2 replications of 32 with real, short, collage"
    for change in ({"replications": 1}, {"samples": 16}, {"methods": "naive"}):
        with pytest.raises(OutputError, match=was):
            run_request(replace(copied, **change), Silent(), Share())
    assert report.read_bytes() == before


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
        (
            {"settings": {"overlap": 100}},
            "the overlap is 100 s; allowed is at most half of the longest window",
        ),
        ({"settings": {"overlap": -1}}, "overlap.* -1"),
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
