"""What made samples is recorded, and told where it is not the same for all of them."""

import hashlib
from pathlib import Path

import pytest
import torch

import collage_motion
from collage_motion.eval import provenance
from collage_motion.eval.command import Request, judge_files


def test_a_maker_is_versions_commit_code_and_device():
    made = provenance.maker(torch.device("cpu"))
    assert list(made) == ["version", "torch", "commit", "code", "device"]
    assert made["version"] == collage_motion.__version__ and made["torch"] == torch.__version__
    assert made["commit"] is None or len(made["commit"].removesuffix("+")) == 40
    assert len(made["code"]) == 16 and made["device"].startswith("cpu")


def test_code_is_what_samples_depend_on(tmp_path, monkeypatch):
    package = tmp_path / "collage_motion"
    for name in ("compose.py", "samplers/ddim.py", "cli/texts.py", "eval/report.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f"# {name}")
    monkeypatch.setattr(collage_motion, "__file__", str(package / "__init__.py"))
    before = provenance.code()
    assert provenance.code() == before
    (package / "cli" / "texts.py").write_text("other words")
    (package / "eval" / "report.py").write_text("another table")
    assert provenance.code() == before
    (package / "samplers" / "ddim.py").write_text("other steps")
    changed = provenance.code()
    assert changed != before
    (package / "new.py").write_text("")
    assert provenance.code() not in (before, changed)


MAKER = {"version": "0.1.0", "commit": "12ab", "code": "c0de", "device": "cpu 1 thread"}


def test_motions_of_one_maker_need_no_warning():
    assert provenance.mixed([]) is None
    assert provenance.mixed([{**MAKER, "motions": 5}]) is None
    assert provenance.mixed([{**MAKER, "motions": 5}, {**MAKER, "motions": 7}]) is None


def test_commits_that_share_the_code_of_samples_make_the_same_motions():
    assert provenance.mixed([MAKER, {**MAKER, "commit": "34cd"}]) is None
    nameless = {name: value for name, value in MAKER.items() if name != "code"}
    assert "commit 12ab and 34cd" in str(provenance.mixed([nameless, {**nameless, "commit": "34cd"}]))


def test_code_that_makes_the_same_motions_is_no_difference():
    makers = [MAKER, {**MAKER, "code": "beef"}, {**MAKER, "code": "feed"}]
    assert provenance.mixed(makers, {"c0de", "beef", "feed"}) is None
    assert "code beef and feed" in str(provenance.mixed(makers, {"c0de", "beef"}))
    assert "device" in str(
        provenance.mixed([MAKER, {**MAKER, "code": "beef", "device": "cuda"}], {"c0de", "beef"})
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"commit": None, "code": "beef"}, "commit 12ab and unknown; code c0de and beef"),
        ({"code": "beef"}, "code c0de and beef"),
        ({"device": "cuda", "version": "0.2.0"}, "version 0.1.0 and 0.2.0; device cpu 1 thread and cuda"),
    ],
)
def test_motions_of_several_makers_are_told(change, words):
    found = provenance.mixed([{**MAKER, "motions": 5}, {**MAKER, **change, "motions": 5}, MAKER])
    assert found is not None and found.startswith("WARNING: ") and f": {words}; make them" in found


def test_checksums_are_of_the_files_that_are_there(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"numbers")
    assert provenance.checksums({"evaluator": path, "classifier": tmp_path / "none", "folder": tmp_path}) == {
        "evaluator": hashlib.sha256(b"numbers").hexdigest()
    }


def test_outside_of_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(Path(tmp_path) / "eval" / "provenance.py"))
    assert provenance.commit() is None


def test_the_files_that_judge_are_named_for_both_test_beds(tmp_path):
    own = judge_files(Request(tmp_path / "out"))
    assert list(own) == ["evaluator", "evaluator_card", "classifier"]
    assert len(provenance.checksums({name: own[name] for name in ("evaluator", "evaluator_card")})) == 2
    root = tmp_path / "evaluator"
    for place in (
        "t2m/text_mot_match/model/finest.tar",
        "t2m/Comp_v6_KLD01/meta/mean.npy",
        "glove/our_vab_idx.pkl",
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(place.encode())
    released = judge_files(Request(tmp_path / "out", dataset=tmp_path, evaluator=root))
    assert set(provenance.checksums(released)) == {"evaluator", "mean.npy", "our_vab_idx.pkl"}
    assert set(released) == {
        "evaluator", "mean.npy", "std.npy", "our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl"
    }  # fmt: skip
