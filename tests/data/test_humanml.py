"""HumanML3D's layout: filters, croppings, and an account of everything that cannot be used."""

import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collage_motion.data import humanml
from collage_motion.errors import DataError

WHOLE = "a man walks.#a/DET man/NOUN walk/VERB#0.0#0.0"


class Builder:
    """Writes a small data set in the published layout."""

    def __init__(self, root):
        self.root = root
        for name in ("new_joint_vecs", "texts"):
            (root / name).mkdir()
        self.clips = []

    def clip(self, name, n_frames=60, lines=(WHOLE,), dtype=np.float32):
        rng = np.random.default_rng(len(self.clips))
        np.save(self.vectors(name), rng.normal(size=(n_frames, 263)).astype(dtype))
        self.text(name).write_text("\n".join(lines) + "\n", "utf-8")
        return self.listed(name)

    def listed(self, name):
        self.clips.append(name)
        (self.root / "test.txt").write_text("".join(f"{clip}\n" for clip in self.clips), "utf-8")
        return self

    def vectors(self, name):
        return self.root / "new_joint_vecs" / f"{name}.npy"

    def text(self, name):
        return self.root / "texts" / f"{name}.txt"


@pytest.fixture
def data(tmp_path):
    return Builder(tmp_path)


def test_the_length_filter_keeps_40_to_199_frames_and_items_are_sorted(data):
    for name, n_frames in (
        ("000001", 199),
        ("000002", 39),
        ("M000003", 40),
        ("000004", 200),
        ("000005", 120),
    ):
        data.clip(name, n_frames)
    split = humanml.read_humanml(data.root)
    assert [(item.name, item.n_frames) for item in split.items] == [
        ("M000003", 40),
        ("000005", 120),
        ("000001", 199),
    ]
    assert split.outside_length == ("000002", "000004")
    assert split.problems == ()
    head = "test: 5 clips listed, 3 items used, 2 outside 40 to 199 frames, 0 problems"
    assert split.report() == head


def test_a_caption_with_a_range_is_an_item_of_its_own(data):
    lines = [
        WHOLE,
        "he turns.#he/PRON turn/VERB#1.0#4.56",
        "he stops.#he/PRON stop/VERB#1.0#2.5",
        "he sits.#he/PRON sit/VERB#nan#nan",
        "he runs.#he/PRON run/VERB#5.0#99.0",
    ]
    data.clip("000001", 150, lines)
    split = humanml.read_humanml(data.root)
    items = {item.name: item for item in split.items}
    assert {name: item.n_frames for name, item in items.items()} == {
        "000001": 150,
        "000001:2": 71,
        "000001:5": 50,
    }
    assert [caption.text for caption in items["000001"].captions] == ["a man walks.", "he sits."]
    assert [caption.text for caption in items["000001:2"].captions] == ["he turns."]
    assert items["000001:2"].first_frame == 20
    np.testing.assert_array_equal(items["000001:2"].features, items["000001"].features[20:91])
    assert split.outside_length == ("000001:3",)


def test_a_clip_described_only_in_parts_is_not_an_item(data):
    data.clip("000001", 150, ["he turns.#he/PRON turn/VERB#1.0#4.0"])
    assert [item.name for item in humanml.read_humanml(data.root).items] == ["000001:1"]


def test_features_are_float32_and_read_only(data):
    data.clip("000001", dtype=np.float64)
    features = humanml.read_humanml(data.root).items[0].features
    assert features.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        features[0, 0] = 1


# --- problems: counted and named, or raised when strict


def _nan(data, clip):
    features = np.load(data.vectors(clip))
    features[7, 5] = np.nan
    np.save(data.vectors(clip), features)


def _truncate(data, clip):
    data.vectors(clip).write_bytes(data.vectors(clip).read_bytes()[:-1000])


def _pickle(data, clip):
    data.vectors(clip).write_bytes(pickle.dumps(np.zeros((60, 263))))


def _objects(data, clip):
    np.save(data.vectors(clip), np.array([[object]], dtype=object), allow_pickle=True)


def _archive(data, clip):
    with data.vectors(clip).open("wb") as file:
        np.savez(file, a=np.zeros((60, 263)))


def _line(text):
    return lambda data, clip: data.text(clip).write_text(text + "\n", "utf-8")


DAMAGES = {
    "missing features": (lambda d, c: d.vectors(c).unlink(), r"000002\.npy: no such file"),
    "missing captions": (lambda d, c: d.text(c).unlink(), r"000002\.txt: no such file"),
    "NaN": (_nan, r"000002\.npy: 1 numbers are not finite, the first is nan at \[7, 5\]"),
    "truncated": (_truncate, r"000002\.npy: not a readable \.npy array"),
    "empty file": (lambda d, c: d.vectors(c).write_bytes(b""), r"000002\.npy: not a readable \.npy array"),
    "pickle": (_pickle, r"000002\.npy: not a readable \.npy array"),
    "pickled objects": (_objects, r"000002\.npy: not a readable \.npy array"),
    "archive": (_archive, r"000002\.npy: not a readable \.npy array"),
    "KIT width": (lambda d, c: np.save(d.vectors(c), np.zeros((60, 251))), r"expected .* shape \(n, 263\)"),
    "integers": (lambda d, c: np.save(d.vectors(c), np.zeros((60, 263), int)), "holds int64"),
    "folder": (lambda d, c: (d.text(c).unlink(), d.text(c).mkdir()), r"000002\.txt: cannot be read"),
    "not UTF-8": (lambda d, c: d.text(c).write_bytes(b"caf\xe9#"), r"000002\.txt: byte 3 is not UTF-8"),
    "no captions": (_line("  \n"), r"000002\.txt: holds no caption"),
    "missing field": (
        _line("he walks.#he/PRON walk/VERB#0.0"),
        r"000002\.txt:1: 3 fields; expected caption#",
    ),
    "extra field": (_line(WHOLE + "#1"), r"000002\.txt:1: 5 fields; expected caption#"),
    "untagged token": (_line("he walks.#he walk/VERB#0.0#0.0"), r"txt:1: token 'he' is not word/POS"),
    "no tokens": (_line("he walks.##0.0#0.0"), r"000002\.txt:1: the token list is empty"),
    "no text": (_line("#he/PRON#0.0#0.0"), r"000002\.txt:1: the caption is empty"),
    "no number": (_line("he walks.#he/PRON#0.0#end"), r"txt:1: end 'end' is not a number of seconds"),
    "negative": (_line("he walks.#he/PRON#-1#2"), r"txt:1: start is -1 s; it must be 0 or more"),
    "infinite": (_line("he walks.#he/PRON#0#inf"), r"txt:1: end is inf s; it must be 0 or more"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_broken_clip_is_named_and_the_others_are_used(data, name):
    damage, message = DAMAGES[name]
    data.clip("000001").clip("000002").clip("000003")
    damage(data, "000002")
    split = humanml.read_humanml(data.root)
    assert [item.clip for item in split.items] == ["000001", "000003"]
    assert [problem.clip for problem in split.problems] == ["000002"]
    assert split.report().splitlines()[0].endswith("1 problems")
    assert split.report().splitlines()[1] == f"  000002: {split.problems[0].reason}"
    with pytest.raises(DataError, match=message) as caught:
        humanml.read_humanml(data.root, strict=True)
    assert str(caught.value) == split.problems[0].reason
    assert "\n" not in str(caught.value)


def test_a_broken_line_does_not_drop_the_other_captions(data):
    data.clip("000001", lines=[WHOLE, "", "broken", WHOLE])
    split = humanml.read_humanml(data.root)
    assert len(split.items[0].captions) == 2
    assert [problem.reason.split(": ")[0][-4:] for problem in split.problems] == ["xt:3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"test\.txt: the split is empty"),
        (b"\n \n", r"test\.txt: the split is empty"),
        (b"000001\nM12345\n", r"test\.txt:2: 'M12345' is no clip id"),
        (b"../../etc\n", r"test\.txt:1: '\.\./\.\./etc' is no clip id"),
        (b"000001\n000001\n", r"test\.txt:2: clip 000001 is listed before, in line 1"),
        (b"\xff\xfe0\x000", r"test\.txt: byte 0 is not UTF-8"),
    ],
)
def test_a_split_list_that_cannot_be_used_is_one_clear_error(data, content, message):
    (data.root / "test.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        humanml.read_humanml(data.root)


def test_a_missing_split_list_names_those_of_the_data_set(data):
    with pytest.raises(DataError, match=r"val\.txt: no such split list; .* train, val, test, train_val, all"):
        humanml.read_humanml(data.root, "val")


def test_a_split_of_which_nothing_is_left_is_an_error_that_counts(data):
    data.clip("000001", 20).listed("000002")
    message = (
        r"none of 2 clips can be used \(1 problems, 1 outside 40 to 199 frames\); .*000002\.npy: no such"
    )
    with pytest.raises(DataError, match=message):
        humanml.read_humanml(data.root)


# --- croppings


@given(st.integers(40, 199), st.integers(0, 2**32 - 1))
def test_a_drawn_crop_is_whole_units_inside_the_clip(n_frames, seed):
    features = np.arange(n_frames, dtype=np.float32)[:, None].repeat(263, axis=1)
    caption = humanml.parse_caption(WHOLE, "here")
    item = humanml.Item("000001", "000001", 0, features, (caption,))
    crop, drawn = humanml.draw_sample(item, np.random.default_rng(seed))
    assert len(crop) in (n_frames // 4 * 4, (n_frames // 4 - 1) * 4)
    assert len(crop) <= humanml.WINDOW_FRAMES
    np.testing.assert_array_equal(np.diff(crop[:, 0]), 1)
    assert drawn == caption


def test_crops_have_the_reference_s_odds():
    """Two thirds single, one third double; starts and captions uniform."""
    features = np.arange(42, dtype=np.float32)[:, None].repeat(263, axis=1)
    captions = tuple(humanml.parse_caption(WHOLE.replace("man", who), "here") for who in ("man", "boy"))
    item = humanml.Item("000001", "000001", 0, features, captions)
    rng = np.random.default_rng(0)
    draws = [humanml.draw_sample(item, rng) for _ in range(6000)]
    counts = Counter((len(crop), int(crop[0, 0])) for crop, _ in draws)
    singles = {(40, start): 2 / 3 / 3 for start in range(3)}
    doubles = {(36, start): 1 / 3 / 7 for start in range(7)}
    assert counts.keys() == singles.keys() | doubles.keys()
    for key, share in (singles | doubles).items():
        assert abs(counts[key] / 6000 - share) < 0.02
    assert abs(sum(caption == captions[0] for _, caption in draws) / 6000 - 0.5) < 0.03


# --- statistics and the published samples


def test_statistics_are_read_and_refused_when_they_cannot_divide(tmp_path):
    mean, std = tmp_path / "Mean.npy", tmp_path / "Std.npy"
    np.save(mean, np.arange(263, dtype=np.float32))
    np.save(std, np.full(263, 0.5))
    centre, spread = humanml.read_statistics(mean, std)
    assert (centre.dtype, spread.dtype) == (np.float64, np.float64)
    assert (centre[262], spread[0]) == (262, 0.5)
    np.save(std, np.where(np.arange(263) == 4, 0.0, 0.5))
    with pytest.raises(
        DataError, match=r"Std\.npy: feature 4 has a standard deviation of 0; it must be positive"
    ):
        humanml.read_statistics(mean, std)
    np.save(mean, np.zeros(251))
    with pytest.raises(DataError, match=r"Mean\.npy: holds float64 \(251,\); expected .* shape \(263\)"):
        humanml.read_statistics(mean, std)


def test_the_published_samples_are_read(shared, tmp_path):
    samples = shared / "data" / "humanml3d-samples" / "HumanML3D"
    if not samples.is_dir():
        pytest.skip("the published samples are not in the shared folder")
    sizes = {split: len(humanml.read_split_list(samples, split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 23384, "val": 1460, "test": 4384}
    shutil.copytree(samples, tmp_path / "set")
    (tmp_path / "set" / "test.txt").write_text("012314\n000000\n000001\n", "utf-8")
    split = humanml.read_humanml(tmp_path / "set")
    assert [(item.name, item.n_frames) for item in split.items] == [("000000", 116)]
    assert len(split.items[0].captions) == 4
    kick = split.items[0].captions[0]
    assert kick.text == "a man kicks something or someone with his left leg."
    assert kick.tokens[:3] == ("a/DET", "man/NOUN", "kick/VERB")
    assert [problem.clip for problem in split.problems] == ["012314", "000001"]
    mean, std = humanml.read_statistics(samples / "Mean.npy", samples / "Std.npy")
    assert np.all(np.abs((split.items[0].features - mean) / std) < 40)
