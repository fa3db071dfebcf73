"""An evaluation's motions become scenes, and scenes become the rows of its table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .entrants import settings_of
from .metrics import draw_pairs, multimodality
from .parts import Part, Watch
from .protocols import REAL, SHORT, Script, derived
from .quality import SEAM_FRAMES
from .report import Row, row_of
from .running import PAIRS, REPEATS, Evaluation
from .sampling import room_for, seams_of
from .scene import Scene
from .scoring import Figures, measure, real_of
from .testbed import Drawn, Rows
from .windows import Places, places_beside, seam_windows

Floats = NDArray[np.float64]


class Judge:
    """Scores what an `Evaluation` has generated, replication by replication."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation, self.testbed = evaluation, evaluation.testbed
        self.figures: dict[str, list[Figures]] = defaultdict(list)
        self.curves: dict[str, list[Floats]] = defaultdict(list)
        self.sizes: dict[str, int] = {}

    def run(self, watch: Watch) -> list[Row]:
        """Score every row of every replication; raises DataError for samples that are missing or broken."""
        job = self.evaluation
        watch.begin("scoring")
        done, total = 0, job.sizes.replications * len(job.rows)
        for replication in range(job.sizes.replications):
            drawn = job.drawn(replication)
            seed = derived(job.seed, "score", replication)
            beside = self._places(drawn, replication, seed)
            real = real_of(self.testbed, drawn, sum(beside.counts), seed)
            captions = None if job.protocol.of_list else self._texts(drawn)
            self.sizes = {
                "reference": len(drawn.reference), "asked": len(drawn.asked), "floor": len(drawn.different),
                "places": sum(beside.counts),
            }  # fmt: skip
            empty: list[Rows] = []
            base = Scene(real, self.testbed, [], None, None, empty, [], seed=seed)
            for method in job.rows:
                watch.step(done, total)
                if method == REAL:
                    scene = self._real(drawn, captions, base, beside)
                else:
                    scene = self._made(job.part(method, replication), drawn, captions, base, beside)
                self.figures[method].append(measure(scene) | self._modes(method, replication, seed))
                if scene.curves is not None:
                    self.curves[method].append(scene.curves.mean(0))
                done += 1
        return [row_of(method, self.figures[method]) for method in job.rows]

    def mean_curves(self) -> dict[str, list[float]]:
        """Mean jerk around the seams of each row, over the replications."""
        return {method: np.mean(rows, axis=0).tolist() for method, rows in self.curves.items()}

    def _places(self, drawn: Drawn, replication: int, seed: int) -> Places:
        """How many seams of each motion are looked at, and the random places of real clips beside them.

        Of each motion as many as the method of the protocol has that is put together in the fewest places, asked for
        or not, for windows are to be as many in all rows. Where nothing is put together, one place a motion. Prompts
        of a published list have no clips of their own: all that were drawn stand for each.
        """
        job = self.evaluation
        everything = range(len(drawn.asked))
        if not job.protocol.methods:
            own: list[Sequence[int]] = [[number] for number in everything]
            counts = [1] * len(own)
        else:
            scripts = job.scripts("collage", replication)
            # Seam factors move no seam, and not all methods can have them.
            common = {name: value for name, value in job.common.items() if name != "seam_factors"}
            ways = [settings_of(method, job.protocol, **common) for method in job.protocol.methods]
            counts = [min(len(self._seams(script, way)) for way in ways) for script in scripts]
            own = [[piece.asked for piece in script.pieces] or everything for script in scripts]
        lengths = [row.n_frames for row in drawn.asked]
        return places_beside(lengths, own, counts, np.random.default_rng((seed, 7)))

    def _seams(self, script: Script, settings: Any) -> list[int]:
        """A script's seams with room for their window; of a loop in the motion twice over."""
        seams = seams_of(script, self.evaluation.model, settings)
        if not script.loop:
            return room_for(seams, script.n_frames, SEAM_FRAMES)
        near = SEAM_FRAMES // 2
        twice = [seam if seam >= near else seam + script.n_frames for seam in seams]
        return room_for(twice, 2 * script.n_frames, SEAM_FRAMES)

    @staticmethod
    def _some(seams: Sequence[int], count: int, seed: int, number: int) -> list[int]:
        """`count` of the seams of a motion, or all where it has no more; which ones depends on seed and motion."""
        if len(seams) <= count:
            return list(seams)
        rng = np.random.default_rng((seed, 9, number))
        return sorted(rng.choice(seams, count, replace=False).tolist())

    def _texts(self, drawn: Drawn) -> dict[bool, Floats]:
        """Embedded captions, of real motions (False) and beside generated ones (True)."""
        made = self.testbed.embed_captions(drawn.asked, made=True).astype(np.float64)
        return {True: made, False: self.testbed.embed_captions(drawn.real).astype(np.float64)}

    def _real(self, drawn: Drawn, captions: dict[bool, Floats] | None, base: Scene, beside: Places) -> Scene:
        """Real clips, with random places of those that were asked for as seams.

        FID is that of the floor, of different clips; of the whole split where that is the reference.
        """
        asked = [row.features for row in drawn.asked]
        scene = replace(base, motions=asked, seams=beside.places, windows=base.real.different_windows)
        if captions is None:
            return scene
        clips = [row.features for row in drawn.real]
        motion = self.testbed.embed_motions(clips).astype(np.float64)
        return replace(
            scene, asked=drawn.real, text=captions[False], motion=motion, pieces=clips,
            sample=base.real.different if base.real.floor is not None else None,
        )  # fmt: skip

    def _made(
        self, part: Part, drawn: Drawn, captions: dict[bool, Floats] | None, base: Scene, beside: Places
    ) -> Scene:
        """What a method has generated, or single windows with random places for seams."""
        motions, seconds = self.evaluation.motions(part)
        pieces = self._pieces(part, motions)
        loop = False
        if part.method == SHORT or not self.evaluation.protocol.methods:
            motions = [rows[:length] for rows, length in zip(motions, pieces.lengths, strict=True)]
            seams = [beside.places[number] for number in pieces.asked]
        else:
            seams = [
                self._some(self._seams(script, part.settings), count, base.seed, number)
                for number, (script, count) in enumerate(zip(part.scripts, beside.counts, strict=True))
            ]
            loop = self.evaluation.protocol.loop
        if loop:
            motions = [np.concatenate((rows, rows)) for rows in motions]
        scene = replace(
            base, motions=motions, seams=seams, windows=self._windows(motions, seams), loop=loop,
            held=[script.held for script in part.scripts], seconds_each=seconds,
        )  # fmt: skip
        if part.method != SHORT and self.evaluation.protocol.prompts > 1:
            rounds = 2 if loop else 1
            frames = [np.cumsum(script.frames * rounds)[:-1].tolist() for script in part.scripts]
            scene = replace(
                scene, prompts=[script.prompts * rounds for script in part.scripts], changes=frames
            )
        if captions is None or not pieces.lengths:
            return scene
        return replace(
            scene,
            asked=[drawn.asked[number] for number in pieces.asked],
            text=captions[True][pieces.asked],
            motion=self._embedded(pieces),
            pieces=[rows[:length] for rows, length in zip(pieces.features, pieces.lengths, strict=True)],
        )

    def _windows(self, motions: Sequence[Rows], seams: Sequence[Sequence[int]]) -> Floats | None:
        """Embeddings of the windows around seams, where there are enough for a distribution."""
        around = seam_windows(motions, seams)
        return self.testbed.embed_motions(around).astype(np.float64) if len(around) >= 3 else None

    def _pieces(self, part: Part, motions: Sequence[Rows]) -> "_Pieces":
        found = _Pieces([], [], [])
        for script, rows in zip(part.scripts, motions, strict=True):
            for piece in script.pieces:
                found.asked.append(piece.asked)
                # What follows stays: an evaluator may look a little past the end of generated motion.
                found.features.append(rows[piece.start : piece.start + self.testbed.most_frames])
                found.lengths.append(piece.length)
        return found

    def _embedded(self, pieces: "_Pieces") -> Floats:
        return self.testbed.embed_motions(pieces.features, pieces.lengths, made=True).astype(np.float64)

    def _modes(self, method: str, replication: int, seed: int) -> Figures:
        """Multimodality where it was asked for: mean distance of motions of one caption (Guo et al.)."""
        if not self.evaluation.sizes.multimodality or method not in self.evaluation.methods:
            return {}
        part = self.evaluation.repeats(method, replication)
        embedded = self._embedded(self._pieces(part, self.evaluation.motions(part)[0]))
        pairs = draw_pairs(REPEATS, PAIRS, np.random.default_rng((seed, 8)))
        return {"multimodality": multimodality(embedded.reshape(-1, REPEATS, embedded.shape[1]), *pairs)}


class _Pieces(NamedTuple):
    """Scored pieces: what each stands for, its features with what follows, and how many frames count."""

    asked: list[int]
    features: list[Rows]
    lengths: list[int]
