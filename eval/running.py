"""An evaluation from its request to its report: what is missing is generated, then everything is scored."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collage_motion.errors import OutputError
from collage_motion.methods.seam_factors import with_seam_factors
from collage_motion.models import Model

from .benchmark import distinct_meanings
from .entrants import settings_of
from .given import Given
from .metrics import BATCH
from .parts import MULTIMODAL, Part, Share, Sizes, Watch
from .protocols import REAL, SHORT, Protocol, Script, derived, listed_scripts, scripts_of, short_scripts
from .sampling import batch_frames, batches_of, graph_of, likeness_of, perform
from .store import Store
from .testbed import Drawn, Testbed

EFFORT: Final = {"naive": 1.2, "reconstruction": 3.0, "handshake": 1.8}
"""Work of a frame beside the collage's, roughly: what the time that is left is estimated with."""

PATIENCE_S: Final = 6 * 3600.0
"""How long the first process waits for a new sample of the others."""

REPEATS, TEXTS, PAIRS = 30, 100, 10
"""Multimodality: motions a caption, captions, pairs."""


class Evaluation:
    """One protocol with one model on one test bed, in one folder."""

    def __init__(
        self,
        protocol: Protocol,
        rows: Sequence[str],
        sizes: Sizes,
        model: Model,
        testbed: Testbed,
        store: Store,
        seed: int = 0,
        common: dict[str, Any] | None = None,
        given: Sequence[Given] = (),
    ) -> None:
        """rows: as `entrants.rows_of` gives them. common: fields of `Settings` that hold for all methods.

        given: rows besides, whose motions were made elsewhere; their joins are looked for where the collage's are.
        """
        self.given = {row.name: row for row in given}
        self.protocol, self.rows, self.sizes, self.seed = protocol, [*rows, *self.given], sizes, seed
        self.model, self.testbed, self.store = model, testbed, store
        self.common = common or {}
        self.settings = {
            row: settings_of("collage" if row in self.given else row, protocol, **self.common)
            for row in self.rows
            if row != REAL
        }
        limits = model.card.limits
        self.most = min(testbed.most_frames, limits.max_frames) // 4 * 4
        self.least = max(-(-limits.min_frames // 4) * 4, round(protocol.least_s * model.card.fps))
        self._drawn: dict[int, Drawn] = {}
        self._makers: dict[tuple[str, int], Counter[str]] = {}

    @property
    def methods(self) -> list[str]:
        """The rows that are generated."""
        return [row for row in self.rows if row != REAL and row not in self.given]

    def drawn(self, replication: int) -> Drawn:
        """The real data of a replication."""
        if replication not in self._drawn:
            own = derived(self.seed, "draw", replication)
            self._drawn = {  # one at a time: the clips of many replications would fill the memory
                replication: self.testbed.draw(own, self.sizes.samples, self.least, self.most)
            }
        return self._drawn[replication]

    def scripts(self, method: str, replication: int) -> list[Script]:
        """What a row is asked for in a replication: single clips, or what every composer is, ours or not."""
        asked, name = self.drawn(replication).asked, self.protocol.name
        if method == SHORT or not self.protocol.methods:
            canvas = self.most if self.testbed.canvas else None
            return short_scripts(asked, name, self.seed, replication, canvas)
        if self.protocol.of_list:
            count = max(1, self.sizes.samples // self.protocol.repeats)
            return listed_scripts(self.protocol, count, self.seed, replication)
        return scripts_of(self.protocol, asked, self.seed, replication)

    def part(self, method: str, replication: int) -> Part:
        """The motions of one method in one replication."""
        return Part(method, replication, self.settings[method], self.scripts(method, replication))

    def repeats(self, method: str, replication: int) -> Part:
        """The motions of multimodality: the first captions of a replication, 30 times each."""
        scripts = []
        for number, script in enumerate(self.scripts(method, replication)[:TEXTS]):
            for k in range(REPEATS):
                own = derived(self.seed, self.protocol.name, replication, number, "repeat", k)
                scripts.append(_again(script, own))
        return Part(method + MULTIMODAL, replication, self.settings[method], scripts)

    def parts(self) -> Iterator[Part]:
        """Everything that is generated, replication by replication, so that a part of a run can be scored."""
        for replication in range(self.sizes.replications):
            for method in self.methods:
                yield self.part(method, replication)
                if self.sizes.multimodality:
                    yield self.repeats(method, replication)

    def batches(self, share: Share) -> list[tuple[Part, list[int]]]:
        """The batches of this process that are not there yet, of which only what is missing is made.

        Which batch is whose does not depend on what is there, so processes need not talk to one another. Raises
        PlanError for windows that cannot be as the settings have them: now, not when the first of them is due.
        """
        size = batch_frames(self.model.device)
        todo, turn = [], 0
        for part in self.parts():
            gone = self.missing(part)
            for numbers in batches_of(
                part.scripts, size, partial(likeness_of, model=self.model, settings=part.settings)
            ):
                missing = [number for number in numbers if number in gone]
                if missing:
                    graph = graph_of(part.scripts[numbers[0]], self.model, part.settings)
                    if part.settings.seam_factors:
                        with_seam_factors(graph, part.settings.limits(self.model.card))
                if missing and turn % share.processes == share.rank:
                    todo.append((part, missing))
                turn += 1
        return todo

    def missing(self, part: Part) -> set[int]:
        """Numbers of the motions that are not there yet."""
        shards = self.store.shards(part.method, part.record, part.replication, part.marks)
        return set(range(len(part.scripts))).difference(*(shard.numbers for shard in shards))

    def prompts(self) -> dict[str, Any]:
        """All that is asked for: prompts with their frames, replication by replication, and how noise is seeded."""
        lists = [self.scripts("collage", replication) for replication in range(self.sizes.replications)]
        return {
            "protocol": self.protocol.name,
            "rows": "motions in their order: prompts, frames of each, [first frame, frames] of each scored piece",
            "seeds": f"motion k of replication r: first 8 bytes of SHA-256 of '{self.seed}/{self.protocol.name}/r/k'",
            "replications": [[_listed(script) for script in scripts] for scripts in lists],
        }

    def generate(self, share: Share, watch: Watch) -> None:
        """Make this process's share of what is missing; the first process then waits for the others."""
        todo = self.batches(share)
        works = [self._work(part, numbers) for part, numbers in todo]
        done, total = 0, sum(works)
        watch.begin(f"generating {sum(len(numbers) for _, numbers in todo)} motions")
        for (part, numbers), work in zip(todo, works, strict=True):
            watch.step(done, total)
            began, spent = time.perf_counter(), time.process_time()
            features = perform(self.model, [part.scripts[number] for number in numbers], part.settings)
            took = time.perf_counter() - began, time.process_time() - spent
            marks = [part.marks[number] for number in numbers]
            self.store.write(part.method, part.record, part.replication, numbers, marks, features, took)
            done += work
        if share.processes > 1 and share.rank == 0:
            self._wait(watch)

    def _work(self, part: Part, numbers: Sequence[int]) -> int:
        effort = EFFORT.get(part.method.removesuffix(MULTIMODAL), 1.0)
        return round(effort * sum(part.scripts[number].n_frames for number in numbers))

    def _wait(self, watch: Watch, nap: Callable[[float], None] = time.sleep) -> None:
        """Until the other processes have written their samples."""
        watch.begin("waiting for the samples of other processes")
        waiting = [(part, len(part.scripts)) for part in self.parts()]
        before, since = -1, time.monotonic()
        while waiting:
            counts = [(part, len(self.missing(part))) for part, _ in waiting]
            waiting = [(part, count) for part, count in counts if count]
            left = sum(count for _, count in waiting)
            if left != before:
                before, since = left, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                raise OutputError(
                    f"{self.store.folder}: no new sample of other processes for {PATIENCE_S / 3600:g} h, {left} are "
                    "missing; run the same command again"
                )
            if waiting:
                nap(1.0)

    def read_given(self, watch: Watch) -> None:
        """Read all motions that were made elsewhere once, so that what is wrong with them is told before the work."""
        if self.given:
            watch.begin("reading the motions that were made elsewhere")
            for replication in range(self.sizes.replications):
                watch.step(replication, self.sizes.replications)
                for name in self.given:
                    self.motions(self.part(name, replication))

    def motions(self, part: Part) -> tuple[list[NDArray[np.float32]], tuple[float, float] | None]:
        """The features of a part's motions, and seconds a motion, by the clock and of the processor, where known."""
        if part.method in self.given:
            return self.given[part.method].read(part.replication, part.frames), None
        found = self.store.read(part.method, part.record, part.replication, part.marks, part.frames)
        self._makers[part.method, part.replication] = found.makers
        return found.features, found.seconds

    def makers(self) -> list[dict[str, Any]]:
        """What made the motions that were read so far (`provenance.maker`), with how many each made."""
        counts = sum(self._makers.values(), Counter[str]())
        return [{**json.loads(maker), "motions": count} for maker, count in counts.most_common()]

    def methods_of(self) -> dict[str | None, set[str]]:
        """The methods whose motions that were read so far each code made."""
        found: dict[str | None, set[str]] = {}
        for (method, _), makers in self._makers.items():
            for maker in makers:
                found.setdefault(json.loads(maker).get("code"), set()).add(method)
        return found

    def meanings(self) -> dict[str, Any] | None:
        """How many of the motions that R-precision ranks in a batch are asked for with different meanings, on average.

        None where it ranks none, as the captions of a published list have no real clips.
        """
        if self.protocol.of_list:
            return None
        values = []
        for replication in range(self.sizes.replications):
            asked = self.drawn(replication).asked
            batch = min(BATCH, len(asked))
            values.append(distinct_meanings(asked, batch))
        return {"batch": batch, "mean": float(np.mean(values)), "values": values}


def _listed(script: Script) -> list[Any]:
    return [script.prompts, script.frames, [[piece.start, piece.length] for piece in script.pieces]]


def _again(script: Script, seed: int) -> Script:
    return Script(script.prompts, script.frames, seed, script.pieces, script.loop, script.told, script.held)
