"""The folder of samples: whole files, one run a folder, and one clear error for everything that is not ours."""

import json

import numpy as np
import pytest

from collage_motion.errors import DataError, OutputError
from collage_motion.eval.store import Store

IDENTITY = {"protocol": {"name": "long", "seconds": 24.0}, "seed": 0}
SETTINGS = {"steps": 20}
MARKS = ["first", "second", "third"]
MAKER = {"version": "0.1.0", "commit": None, "device": "cpu 1 thread"}


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "run", IDENTITY, MAKER)


def motions(count, frames, seed=0):
    return np.random.default_rng(seed).normal(size=(count, frames, 263)).astype(np.float32)


def fill(store):
    """Two files of the collage's first replication."""
    one, two = motions(2, 40), motions(1, 60, 1)
    store.write("collage", SETTINGS, 0, [0, 2], ["first", "third"], one, (4.0, 2.0))
    store.write("collage", SETTINGS, 0, [1], ["second"], two, (2.0, 1.0))
    return one, two


def test_what_is_written_is_read_in_its_order(store):
    one, two = fill(store)
    rows, seconds, makers = store.read("collage", SETTINGS, 0, MARKS, [40, 60, 40])
    for got, wanted in zip(rows, (one[0], two[0], one[1]), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert seconds == (2.0, 1.0)
    assert {json.dumps(MAKER, sort_keys=True): 3} == makers
    rows, seconds, makers = store.read("collage", SETTINGS, 0, MARKS[:2], [40, 60])  # fewer than there are
    assert sum(makers.values()) == 2
    assert len(rows) == 2 and seconds == (2.0, 1.0)
    assert {n for shard in store.shards("collage", SETTINGS, 0, MARKS) for n in shard.numbers} == {0, 1, 2}
    assert store.shards("naive", SETTINGS, 0, MARKS) == store.shards("collage", SETTINGS, 1, MARKS) == []


def test_a_folder_is_made_and_opened_again(store):
    again = Store.open(store.folder, IDENTITY)
    assert again.identity == IDENTITY
    assert json.loads((store.folder / "run.json").read_text())["format"] == "collage-motion-eval 2"


def test_a_folder_of_other_settings_is_refused_and_named(store):
    fill(store)
    with pytest.raises(
        OutputError, match=r"run.json: .* made with seed = 0, now it is 1; name another folder"
    ):
        Store.open(store.folder, {**IDENTITY, "seed": 1})
    with pytest.raises(
        DataError, match=r"00000-002.npz: made with other settings of its method \(steps = 20, now 21\); name"
    ):
        store.shards("collage", {"steps": 21}, 0, MARKS)
    with pytest.raises(DataError, match=r"with other settings of its method \(overlap = null, now 1.5\)"):
        store.shards("collage", {**SETTINGS, "overlap": 1.5}, 0, MARKS)
    with pytest.raises(DataError, match=r"00000-002.npz: made by another run; name another folder"):
        Store(store.folder, {**IDENTITY, "seed": 1}).shards("collage", SETTINGS, 0, MARKS)
    assert len(list(store.folder.rglob("*.npz"))) == 2


def test_samples_of_something_else_than_is_asked_for_are_refused(store):
    fill(store)
    with pytest.raises(
        DataError,
        match=r"00000-002.npz: sample 2 was made of other prompts, frames or noise than those asked for",
    ):
        store.shards("collage", SETTINGS, 0, ["first", "second", "another"])
    assert len(store.shards("collage", SETTINGS, 0, MARKS[:2])) == 2  # what is beyond may be anything


def test_samples_of_other_code_are_kept_and_told_apart(store):
    fill(store)
    other = Store.open(store.folder, IDENTITY, {**MAKER, "commit": "1234"})
    other.write("collage", SETTINGS, 0, [3], ["fourth"], motions(1, 40), (1.0, 1.0))
    makers = other.read("collage", SETTINGS, 0, [*MARKS, "fourth"], [40, 60, 40, 40]).makers
    assert {json.loads(maker)["commit"]: count for maker, count in makers.items()} == {None: 3, "1234": 1}


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        OutputError, match=r"holds 'notes.txt' and no run.json, so it was not made by this command"
    ):
        Store.open(tmp_path, IDENTITY)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(OutputError, match=r"notes.txt: is a file; name a folder"):
        Store.open(tmp_path / "notes.txt", IDENTITY)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "another"}', "\x00\xff"])
def test_a_broken_record_is_one_clear_error(store, content):
    (store.folder / "run.json").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"run.json: not the record of a run .*; name another folder"):
        Store.open(store.folder, IDENTITY)


def test_parts_of_a_killed_process_are_stepped_over_and_stay(store):
    fill(store)
    part = store.folder / "samples" / "collage" / "r00" / ".0123456789ab.part.npz"
    part.write_bytes(b"half")
    assert len(store.shards("collage", SETTINGS, 0, MARKS)) == 2
    assert part.read_bytes() == b"half"


def test_a_foreign_file_among_the_samples_is_one_clear_error(store):
    fill(store)
    place = store.folder / "samples" / "collage" / "r00"
    (place / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"holiday.jpg: no file of this command; move it out"):
        store.shards("collage", SETTINGS, 0, MARKS)
    assert (place / "holiday.jpg").read_bytes() == b"mine"


def _npy(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def _pickle(path):
    with path.open("wb") as file:
        np.savez(file, run=np.array([{}], dtype=object), numbers=np.arange(2), seconds=np.zeros(2))


def _others(path):
    with path.open("wb") as file:
        np.savez(file, joints=np.zeros((2, 3)))


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no samples"),
    "first half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "single array": _npy,
    "pickle": _pickle,
    "other arrays": _others,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_broken_file_is_one_clear_error(store, damage):
    fill(store)
    path = store.folder / "samples" / "collage" / "r00" / "00000-002.npz"
    damage(path)
    with pytest.raises(DataError, match=r"00000-002.npz: broken, truncated or foreign .*; remove it and run"):
        store.read("collage", SETTINGS, 0, MARKS, [40, 60, 40])
    assert path.exists()


def test_damaged_numbers_are_found(store):
    fill(store)
    path = store.folder / "samples" / "collage" / "r00" / "00000-002.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="broken, truncated or foreign"):
        store.read("collage", SETTINGS, 0, MARKS, [40, 60, 40])


def test_numbers_that_are_missing_doubled_infinite_or_of_another_length_are_named(store):
    fill(store)
    with pytest.raises(DataError, match="sample 3 is missing; run the command again"):
        store.read("collage", SETTINGS, 0, [*MARKS, "fourth"], [40, 60, 40, 40])
    with pytest.raises(DataError, match=r"sample 1 has shape \(60, 263\); expected \(64, 263\)"):
        store.read("collage", SETTINGS, 0, MARKS, [40, 64, 40])
    store.write("collage", SETTINGS, 0, [2], ["third"], motions(1, 40), (1.0, 1.0))
    with pytest.raises(DataError, match=r"sample 2 is in 00000-002.npz too; remove one"):
        store.shards("collage", SETTINGS, 0, MARKS)
    bad = motions(1, 40)
    bad[0, 3, 4] = np.nan
    store.write("naive", SETTINGS, 0, [0], ["first"], bad, (1.0, 1.0))
    with pytest.raises(DataError, match="numbers that are not finite"):
        store.read("naive", SETTINGS, 0, MARKS[:1], [40])


def test_a_batch_that_another_process_has_kept_meanwhile_stays(store):
    fill(store)
    path = store.folder / "samples" / "collage" / "r00" / "00000-002.npz"
    kept = path.read_bytes()
    store.write("collage", SETTINGS, 0, [0, 1], MARKS[:2], motions(2, 60) + 1.0, (9.0, 9.0))
    assert path.read_bytes() == kept
    with pytest.raises(DataError, match="with other settings of its method"):
        store.write("collage", {**SETTINGS, "overlap": 9}, 0, [0, 1], MARKS[:2], motions(2, 60), (1.0, 1.0))
