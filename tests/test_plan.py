"""Plans: prompts with seconds, the YAML file, and the errors of both."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collage_motion.errors import OutputError, PlanError
from collage_motion.plan import (
    Plan,
    Segment,
    parse_segment,
    plan_from_prompts,
    plan_to_yaml,
    read_plan,
    write_plan,
)


def plan_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "plan.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("text", "prompt", "seconds"),
    [
        ("a person walks", "a person walks", 4.0),
        ("a person waves::3", "a person waves", 3.0),
        ("  walks :: 2.5 ", "walks", 2.5),
        ("note: a person runs", "note: a person runs", 4.0),
        ("note: runs::.5", "note: runs", 0.5),
        ("a::b::1e1", "a::b", 10.0),
        ("geht über die Brücke::2", "geht über die Brücke", 2.0),
    ],
)
def test_a_prompt_carries_its_seconds_behind_the_last_double_colon(text, prompt, seconds):
    assert parse_segment(text) == Segment(prompt, seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^prompt 2: a prompt is empty; .*'a person walks'$"),
        ("  ::3", r"^prompt 2: a prompt is empty"),
        (
            "walks::",
            r"^prompt 2: the seconds of 'walks::' are ''; allowed is a number above 0; write .*walks::3'$",
        ),
        ("walks::fast", r"^prompt 2: the seconds of 'walks::fast' are 'fast'; allowed"),
        ("walks::nan", r"are 'nan'; allowed"),
        ("walks::inf", r"are 'inf'; allowed"),
        ("walks::1_0", r"are '1_0'; allowed"),
        ("walks::٣", r"allowed is a number"),
        (
            "walks::-2",
            r"^prompt 2: segment 'walks' lasts -2 s; allowed is a number of seconds above 0 and at most",
        ),
        ("walks::0", r"lasts 0 s; allowed"),
        ("walks::1e999", r"lasts an endless time; allowed"),
        ("walks::90000", r"lasts 90000 s; allowed .* at most 86400"),
        (
            "walks\nruns::3",
            r"^prompt 2: prompt 'walks\\nruns' contains the character U\+000A; .*; remove it$",
        ),
        ("\x1b[2J walks", r"contains the character U\+001B"),
        ("\udcff", r"contains the character U\+DCFF"),
        ("x" * 1001, r"^prompt 2: prompt 'x{37}\.\.\.' has 1001 characters; allowed are 1000; split"),
    ],
)
def test_a_bad_prompt_is_one_line_with_its_number_and_the_cure(text, message):
    with pytest.raises(PlanError, match=message) as caught:
        plan_from_prompts(["a person walks", text])
    assert "\n" not in str(caught.value)


def test_a_plan_needs_a_segment_and_at_most_a_day():
    with pytest.raises(PlanError, match="no segments; it needs at least one"):
        plan_from_prompts([])
    with pytest.raises(PlanError, match="lasts 100000 s; allowed are 86400 s"):
        Plan((Segment("walks", 50_000), Segment("runs", 50_000)))


@pytest.mark.parametrize("overlap", [-0.5, float("nan"), float("inf"), "1", True])
def test_an_overlap_is_a_number_of_seconds_from_zero(overlap):
    with pytest.raises(
        PlanError, match=r"segment 'walks' has an overlap of .*; allowed is a number of seconds from 0"
    ):
        Segment("walks", 3, overlap)


def test_a_plan_file_is_read(tmp_path):
    path = plan_file(
        tmp_path,
        "loop: true\nsegments:\n  - prompt: 'a person walks: slowly'\n    seconds: 3\n    overlap: 1.5\n"
        "  - {prompt: runs}\n  - {prompt: '5', seconds: 1e1, overlap: null}\n"
        "  - {prompt: jumps, overlap: 0}\n",
    )
    plan = read_plan(path)
    assert plan == Plan(
        (
            Segment("a person walks: slowly", 3.0, 1.5),
            Segment("runs"),
            Segment("5", 10.0),
            Segment("jumps", 4.0, 0.0),
        ),
        loop=True,
    )
    assert [segment.place.rpartition(":")[2] for segment in plan.segments] == ["3", "6", "7", "8"]


GOOD = "segments:\n- prompt: walks\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"plan\.yaml: the plan is empty; it needs 'segments'"),
        ("loop: true\n", r"plan\.yaml:1: the plan has no 'segments'; it needs a list"),
        ("segments: []\n", r"plan\.yaml: a plan has no segments"),
        ("- walks\n", r"plan\.yaml:1: the plan is a list; allowed is a mapping with the keys segments, loop"),
        ("walks\n", r"plan\.yaml:1: the plan is 'walks'; allowed is a mapping"),
        ("segments: walks\n", r"plan\.yaml:1: 'segments' is 'walks'; allowed is a list; begin each"),
        ("segments:\n- walks::3\n", r":2: a segment is 'walks::3'; allowed is a mapping with the keys"),
        ("segments:\n- seconds: 3\n", r":2: a segment has no 'prompt'; it needs one"),
        (GOOD + "- promt: runs\n", r":3: unknown key 'promt' in a segment; allowed are .* mean 'prompt'\?$"),
        (GOOD + "lop: true\n", r":3: unknown key 'lop' in the plan; allowed are segments, loop; .* 'loop'\?"),
        (GOOD + "  second: 3\n", r":3: unknown key 'second' .* did you mean 'seconds'\?"),
        (GOOD + "  <<: {seconds: 3}\n", r":3: unknown key '<<'"),
        (GOOD + "  ? [a]\n  : 3\n", r":3: unknown key 'a list'"),
        (GOOD + "  prompt: runs\n", r":3: key 'prompt' appears twice in a segment; keep one"),
        (GOOD + "- prompt: 5\n", r":3: 'prompt' is '5'; allowed is text; put it in quotes"),
        (GOOD + "- prompt: yes\n", r":3: 'prompt' is 'yes'; allowed is text"),
        (GOOD + "- prompt:\n", r":3: 'prompt' is nothing; allowed is text"),
        (GOOD + "- prompt: [runs]\n", r":3: 'prompt' is a list; allowed is text"),
        (GOOD + "- prompt: ''\n", r":3: a prompt is empty"),
        (GOOD + "- prompt: !!python/object/apply:os.getcwd []\n", r":3: 'prompt' is a list; allowed is text"),
        (GOOD + "- prompt: !!binary aGk=\n", r":3: 'prompt' is 'aGk='; allowed is text"),
        (GOOD + "  seconds: '3'\n", r":3: 'seconds' is '3'; allowed is a number of seconds, such as 3"),
        (GOOD + "  seconds: 1:30\n", r":3: 'seconds' is '1:30'; allowed"),
        (GOOD + "  seconds: .nan\n", r":3: 'seconds' is '\.nan'; allowed"),
        (GOOD + "  seconds: true\n", r":3: 'seconds' is 'true'; allowed"),
        (GOOD + "  seconds:\n", r":3: 'seconds' is nothing; allowed"),
        (GOOD + "  seconds: 0x10\n", r":3: 'seconds' is '0x10'; allowed"),
        (GOOD + "  seconds: -1\n", r":2: segment 'walks' lasts -1 s; allowed"),
        (GOOD + "  overlap: -1\n", r":2: segment 'walks' has an overlap of -1 s; allowed"),
        (GOOD + "loop: 1\n", r":3: 'loop' is '1'; allowed are true and false"),
        (GOOD + "loop: 'true'\n", r":3: 'loop' is 'true'; allowed are true and false"),
        (GOOD + "- prompt: a: b\n", r"plan\.yaml:3: not YAML: .*; quote prompts"),
        (GOOD + "---\n" + GOOD, r"plan\.yaml:3: not YAML"),
        ("a: &x [1]\nsegments: *x\n", r":2: alias '\*x'; a plan has none; write it out"),
        ("[" * 100_000, r":1: brackets or lists nested 9 deep"),
        ("- " * 100_000, r":1: brackets or lists nested 9 deep"),
        ("segments: \x07", r"plan\.yaml.*: not YAML: "),
        (b"segments:\n- prompt: \xff\n", r"plan\.yaml:2: the plan is not UTF-8 text; save it as UTF-8"),
        (b"#" * (4 * 2**20 + 1), r"plan\.yaml: the plan is larger than 4194304 bytes; split"),
    ],
)  # fmt: skip
def test_a_bad_plan_file_is_one_line_with_file_and_line(tmp_path, text, message):
    with pytest.raises(PlanError, match=message) as caught:
        read_plan(plan_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    with pytest.raises(PlanError, match=r":2: alias '\*a0'"):
        read_plan(plan_file(tmp_path, bomb))


def test_a_plan_that_is_no_file_is_an_error(tmp_path):
    with pytest.raises(PlanError, match=r"nothing\.yaml: the plan cannot be read: No such file"):
        read_plan(tmp_path / "nothing.yaml")
    with pytest.raises(PlanError, match="cannot be read: Is a directory"):
        read_plan(tmp_path)


segments = st.builds(
    Segment,
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40).filter(
        str.strip
    ),
    st.floats(1e-6, 4000),
    st.none() | st.floats(0, 100),
)


@settings(max_examples=60, deadline=None)
@given(st.builds(Plan, st.lists(segments, min_size=1, max_size=6), st.booleans()))
def test_a_written_plan_reads_back_equal(tmp_path_factory, plan):
    path = tmp_path_factory.mktemp("plans") / "plan.yaml"
    write_plan(plan, path)
    assert read_plan(path) == plan


def test_the_plan_file_is_plain_to_read():
    plan = plan_from_prompts(["a person walks::3", "läuft::2.5"], loop=True)
    assert plan_to_yaml(plan) == (
        "loop: true\nsegments:\n- prompt: a person walks\n  seconds: 3\n- prompt: läuft\n  seconds: 2.5\n"
    )


def test_writing_refuses_what_is_there_and_leaves_nothing_half(tmp_path):
    plan, path = plan_from_prompts(["walks"]), tmp_path / "plan.yaml"
    write_plan(plan, path)
    with pytest.raises(OutputError, match=r"plan\.yaml: the file exists; add --overwrite"):
        write_plan(plan_from_prompts(["runs"]), path)
    assert read_plan(path) == plan
    write_plan(plan_from_prompts(["runs"]), path, overwrite=True)
    assert read_plan(path).segments[0].prompt == "runs"
    with pytest.raises(OutputError, match="a folder is in the way"):
        write_plan(plan, tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        write_plan(plan, tmp_path / "missing" / "plan.yaml")
    assert os.listdir(tmp_path) == ["plan.yaml"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to stand for a full disk")
def test_a_full_disk_leaves_no_temporary_file(tmp_path, monkeypatch):
    real_open = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", **kw: real_open(Path("/dev/full") if "x" in mode else self, "w", **kw),
    )
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        write_plan(plan_from_prompts(["walks"]), tmp_path / "plan.yaml")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_plan_of_5000_segments_is_read_in_moments(tmp_path):
    plan = plan_from_prompts([f"a person walks {i}::3" for i in range(5000)])
    began = time.process_time()
    write_plan(plan, tmp_path / "plan.yaml")
    assert read_plan(tmp_path / "plan.yaml") == plan
    assert time.process_time() - began < 3
