"""The benchmark: batches of different meanings, every clip as often, disjoint halves, all by seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from real_like import clips, recordings, small_benchmark

from collage_motion.data.dataset import PreparedClip, mirror_clip, write_dataset
from collage_motion.errors import DataError
from collage_motion.eval.benchmark import (
    Benchmark,
    BenchmarkItem,
    distinct_meanings,
    load_benchmark,
    make_benchmark,
    most_common_share,
)
from collage_motion.eval.meaning import meaning_of_caption

STYLES = ("normal", "sad", "happy", "angry", "proud", "active", "elderly")


def labelled(counts: dict[str, int]) -> Benchmark:
    """A benchmark with so many clips of each meaning, features empty."""
    items = []
    for meaning, count in counts.items():
        content, style = meaning.split("|")
        for number in range(count):
            name = f"{content}-{style}-{number // 2}"
            rows = np.zeros((20, 263), np.float32)
            items.append(BenchmarkItem(rows, "", meaning, content, style, name, name))
    return Benchmark(items, recordings(items))


@pytest.fixture(scope="module")
def uneven() -> Benchmark:
    """40 meanings with 2 to 10 clips each."""
    names = [
        f"{content}|{style}" for content in ("walk", "run", "bow", "dash", "guide", "bye") for style in STYLES
    ]
    return labelled({name: 2 + 2 * (k % 4) for k, name in enumerate(names[:40])})


def test_items_are_the_clips_with_captions_that_tell_their_meaning() -> None:
    benchmark = small_benchmark(3)
    assert len(benchmark) == 15
    for item in benchmark.items:
        assert item.features.shape == (item.length, 263)
        assert item.joints.shape == (item.length, 22, 3)
        assert np.isfinite(item.features).all()
        assert meaning_of_caption(item.caption) == item.meaning
    again = small_benchmark(3)
    assert [item.caption for item in again.items] == [item.caption for item in benchmark.items]
    other = make_benchmark(clips(3), seed=1)
    assert [item.caption for item in other.items] != [item.caption for item in benchmark.items]


def test_a_mirror_image_has_its_own_meaning_and_its_originals_recording() -> None:
    raised = next(clip for clip in clips(1) if clip.content == "raise-up-left-hand")
    benchmark = make_benchmark([raised, mirror_clip(raised)])
    one, other = benchmark.items
    assert (one.meaning, other.meaning) == ("raise-up-left-hand|normal", "raise-up-right-hand|normal")
    assert one.recording == other.recording
    assert "left" in one.caption
    assert "right" in other.caption


def test_batches_hold_32_meanings_and_every_clip_comes_as_often(uneven: Benchmark) -> None:
    assert most_common_share(uneven) <= 1 / 20
    few = dict.fromkeys(uneven.meanings, 2)
    even = labelled(few)  # 80 clips of 40 meanings: 2 clips are less than 80 / 32
    batches = even.batches(200, seed=3)
    assert all(len({item.meaning for item in batch}) == 32 for batch in batches)
    counts = Counter(id(item.features) for batch in batches for item in batch)
    assert len(counts) == 80
    assert min(counts.values()) > 45  # 80 expected
    assert max(counts.values()) < 120


def test_too_common_a_meaning_comes_twice_and_that_is_reported(uneven: Benchmark) -> None:
    found = distinct_meanings(uneven.draw(32 * 50))
    assert 25 < found < 32


def test_draws_depend_on_the_seed_alone(uneven: Benchmark) -> None:
    one, again, other = ([(i.name, i.caption) for i in uneven.draw(100, seed)] for seed in (5, 5, 6))
    assert one == again != other
    assert len(one) == 100
    assert [(i.name, i.caption) for i in uneven.draw(50, 5)] == one[:50]


def test_halves_share_no_recording(uneven: Benchmark) -> None:
    one, other = uneven.halves(0)
    assert len(one) + len(other) == len(uneven)
    assert abs(len(one) - len(other)) <= 12
    assert not {i.recording for i in one.items} & {i.recording for i in other.items}
    assert {i.name for i in uneven.halves(1)[0].items} != {i.name for i in one.items}


def test_pieces_of_a_recording_and_their_mirror_images_stay_together(tmp_path: Path) -> None:
    plain = clips(4, frames=30)
    prepared = [
        PreparedClip(
            f"{clip.name}#{piece}", clip.name, clip.source, clip.content, clip.style, "", 2, clip.joints
        )
        for clip in plain
        for piece in (1, 2, 3)
    ]
    write_dataset(prepared, tmp_path / "data.npz")
    benchmark = load_benchmark(tmp_path / "data.npz")
    assert len(benchmark) == 6 * len(plain)
    assert {item.recording for item in benchmark.items} == {clip.name for clip in plain}
    assert sum(item.mirrored for item in benchmark.items) == 3 * len(plain)
    for seed in range(5):
        one, other = benchmark.halves(seed)
        for half in (one, other):
            assert set(Counter(item.recording for item in half.items).values()) == {6}
            assert len({item.recording for item in half.items}) == len(plain) // 2
        assert not {i.recording for i in one.items} & {i.recording for i in other.items}


def test_what_is_taken_once_is_different_and_has_the_shares_of_draws(uneven: Benchmark) -> None:
    names = {id(item.features) for item in uneven.once(100, 4)}
    assert len(names) == 100
    assert len(uneven.once(10_000)) == len(uneven)
    share = Counter(item.meaning for item in uneven.items)
    half = Counter(item.meaning for item in uneven.once(len(uneven) // 2, 1))
    assert all(abs(half[meaning] - count / 2) <= 1 for meaning, count in share.items())
    assert [i.name for i in uneven.once(50, 1)] != [i.name for i in uneven.once(50, 2)]


def test_too_small_a_benchmark_is_refused() -> None:
    with pytest.raises(DataError, match="larger split"):
        labelled({"walk|normal": 31}).batches(1)
    with pytest.raises(DataError, match="at least one clip"):
        make_benchmark([])
    with pytest.raises(DataError, match="no batch"):
        distinct_meanings(labelled({"walk|normal": 3}).items)
