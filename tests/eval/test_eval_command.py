"""`collage-motion eval` at the edge: options, one-line errors, and how progress is told."""

import io
import sys

import pytest

from collage_motion.cli import evaluate, main
from collage_motion.eval import command, protocols
from collage_motion.eval.protocols import get_protocol


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    """Run the command in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        code = main(["eval", *map(str, arguments)])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call


def test_help_names_defaults_and_protocols(run):
    code, out, _ = run("--help")
    text = " ".join(out.split())
    assert code == 0
    for words in (
        "-o, --output DIR",
        "[default: 20; 2 with --quick]",
        "256; 1,024 with --dataset; 32 with --quick",
        "[default: long]",
    ):
        assert words in text
    assert tuple(protocols.PROTOCOLS) == evaluate.PROTOCOLS


def test_ctrl_c_says_that_the_same_command_goes_on(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_request", interrupted)
    assert run("-o", "out") == (130, "", f"collage-motion: {evaluate.STOPPED}\n")


def test_defaults_are_those_of_the_request(run, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "run_request", lambda request, watch: seen.append(request))
    assert run("-o", "out")[0] == 0
    (request,) = seen
    assert request == command.Request(request.output)
    assert command.sizes_of(request, get_protocol("long")) == command.Sizes(20, 256, False)
    options = [
        "--protocol", "loop", "--methods", "blend", "--replications", 3, "--samples", 64, "--model", "m",
        "--dataset", "d", "--evaluator", "e", "--seed", 5, "--steps", 7,
        "--guidance", 2, "--set", "window=4", "--set", "spacing=karras", "--set", "sigma_start=null",
        "--set", "apart_above=1e6",
        "--device", "cpu", "--quick", "--multimodality",
        "--legacy-caption-length", "--given", "a=b", "--given", "c=d", "--list",
    ]  # fmt: skip
    assert run("-o", "out", *options)[0] == 0
    got = {key: str(value) for key, value in vars(seen[1]).items()}
    assert got == {
        "output": "out", "protocol": "loop", "methods": "blend", "replications": "3", "samples": "64", "model": "m",
        "dataset": "d", "evaluator": "e", "seed": "5",
        "settings": "{'steps': 7, 'guidance': 2.0, 'window': 4, 'spacing': 'karras', 'sigma_start': None, "
        "'apart_above': 1000000.0}",
        "device": "cpu",
        "quick": "True", "multimodality": "True", "legacy_caption_length": "True",
        "given": "('a=b', 'c=d')", "only_list": "True",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--output'"),
        (("-o", "x", "--protocol", "wide"), "got 'wide'; allowed: short, long, compose, loop"),
        (("-o", "x", "--methods", "magic"), "methods: got 'magic'; allowed: all, or real, short, collage"),
        (("-o", "x", "--replications", "0"), "got '0'; allowed: whole numbers from 1"),
        (("-o", "x", "--guidance", "nan"), "got 'nan'; allowed: numbers from 0 to 100"),
        (
            ("-o", "x", "--set", "window"),
            "--set: got 'window'; allowed: NAME=VALUE, where NAME is one of steps, g",
        ),
        (("-o", "x", "--set", "method=naive"), "--set: got 'method=naive'; allowed: NAME=VALUE"),
        (("-o", "x", "--set", "steps=2", "--steps", "3"), "--set: steps is given twice"),
        (("-o", "x", "--set", "window=[1"), "--set window: got '[1'; allowed: a number, a word"),
        (("-o", "x", "--set", "window=2020-13-45"), "--set window: got '2020-13-45'; allowed: a number"),
        (("-o", "x", "--set", "window=" + "[" * 3000), "--set window: got '[[["),
        (("-o", "x", "--set", "window=[1]"), "--set window: got '[1]'; allowed: a number, a word"),
        (("-o", "x", "--model", "nowhere", "--device", "cpu"), "nowhere"),
        (("-o", "x", "--device", "abacus"), "device 'abacus' is not there"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, arguments, message):
    code, _, err = run(*arguments)
    assert code == 2 and message in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_data_there_is_one_line(run, monkeypatch):
    monkeypatch.delenv("COLLAGE_DATA", raising=False)
    code, _, err = run("-o", "x", "--quick", "--device", "cpu")
    assert code == 2 and err.count("\n") == 1
    assert "COLLAGE_DATA is not set" in err or "no card of an evaluator" in err


def test_the_time_left_is_told_every_half_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(evaluate.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    class Bar:
        def begin(self, stage):
            self.stage = stage

    watch = evaluate._Watch(Bar())
    watch.begin("generating 9 motions")
    for now[0], done in ((0, 0), (10, 1), (40, 2), (50, 3), (75, 8)):
        watch.step(done, 10)
    assert sys.stderr.getvalue().splitlines() == [
        "collage-motion: generating 9 motions: 20.0% done, about 3 min left",
        "collage-motion: generating 9 motions: 80.0% done, about 19 s left",
    ]
    assert [evaluate.duration(s) for s in (20, 89, 3600, 9000)] == [
        "20 s",
        "1 min",
        "1 h 0 min",
        "2 h 30 min",
    ]
