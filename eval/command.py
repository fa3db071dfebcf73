"""`collage-motion eval`, without the command line: a request in, files and a report out."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from collage_motion.card import Limits
from collage_motion.errors import CollageError
from collage_motion.models import load_model
from collage_motion.pipeline import pick_device
from collage_motion.plan import Plan, Segment

from . import measuring, provenance, rechecking
from .comparisons import comparisons
from .entrants import rows_of, settings_of
from .given import check_listed, given_rows
from .judging import Judge
from .notes import notes, reason
from .parts import Share, Sizes, Watch
from .plots import MISSING, can_plot, plot
from .protocols import REAL, Protocol, get_protocol
from .report import FORMAT, check_no_less, check_outputs, markdown, outputs, write_list, write_report
from .running import Evaluation
from .store import Store
from .testbed import OwnTestbed, Testbed

OWN_SAMPLES, OFFICIAL_SAMPLES, QUICK_SAMPLES = 256, 1024, 32
REPLICATIONS, QUICK_REPLICATIONS, QUICK_STEPS = 20, 2, 4


@dataclass(frozen=True)
class Request:
    """What the command is asked for; None stands for the default of the data set and of `quick`.

    settings: fields of `Settings` that hold for all methods. given: `NAME=DIR`, rows of motions made elsewhere
    (`given.Given`). only_list: write what is asked for, and nothing else.
    """

    output: Path
    protocol: str = "long"
    methods: str = "all"
    replications: int | None = None
    samples: int | None = None
    model: str = "default"
    dataset: Path | None = None
    evaluator: Path | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    quick: bool = False
    multimodality: bool = False
    legacy_caption_length: bool = False
    given: Sequence[str] = ()
    only_list: bool = False


def run_request(request: Request, watch: Watch, share: Share | None = None) -> dict[str, Any] | None:
    """Generate what is missing and, in the first process, score it and write the report; returns that.

    Raises CollageError for all that is wrong with request, files and folders, as far as possible before anything is
    generated.
    """
    share = share or Share.of_environment()
    began = time.time()
    protocol, rows = protocol_of(request)
    if share.rank == 0:
        check_outputs(request.output, protocol.name)
        sizes = sizes_of(request, protocol)
        if not request.only_list:
            named = [row.name for row in given_rows(request.given, protocol)]
            check_no_less(request.output, protocol.name, [*rows, *named], sizes.replications, sizes.samples)
        if not can_plot() and not request.only_list:
            watch.say(MISSING)
    watch.begin("loading the model and the real clips")
    evaluation = evaluation_of(request, share)
    if request.only_list:
        if share.rank == 0:
            watch.say(f"wrote {write_list(evaluation.prompts(), request.output, protocol.name)}")
        return None
    evaluation.read_given(watch)
    evaluation.generate(share, watch)
    if share.rank:
        return None
    judge = Judge(evaluation)
    table = judge.run(watch)
    made_by, meanings = evaluation.makers(), evaluation.meanings()
    rechecked = rechecking.recheck(evaluation, watch)
    report = {
        **describe(evaluation, request),
        "made_by": made_by,
        "rechecked": rechecked,
        "distinct_meanings": meanings,
        "sizes": judge.sizes,
        "processes": share.processes,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_this_time": round(time.time() - began, 1),
        "rows": table,
        "comparisons": comparisons(table, protocol.name),
        "jerk_curves": judge.mean_curves(),
        "notes": notes(request, evaluation, judge.sizes, made_by, rechecked, meanings),
    }
    paths = write_report(report, evaluation.prompts(), request.output, protocol.name)
    if can_plot():
        paths.append(plot(report, outputs(request.output, protocol.name)["png"]))
    for line in markdown(report).splitlines():
        watch.say(line)
    watch.say("wrote " + ", ".join(map(str, paths)))
    return report


def protocol_of(request: Request) -> tuple[Protocol, list[str]]:
    """The protocol of a request and the rows of its table; raises CollageError for what does not go together."""
    protocol = get_protocol(request.protocol)
    protocol = protocol.quick() if request.quick else protocol
    _check(request, protocol)
    return protocol, rows_of(protocol, request.methods)


def evaluation_of(request: Request, share: Share | None = None) -> Evaluation:
    """Everything that a request names, loaded, with its folder opened; raises CollageError."""
    protocol, rows = protocol_of(request)
    # Other processes generate, and may be on machines that do not have what was made elsewhere.
    texts = () if share is not None and share.rank else request.given
    given = given_rows(texts, protocol, official=request.dataset is not None)
    device = _device(request.device, share or Share())
    model = load_model(request.model, device)
    testbed = load_testbed(request, device)
    common = {**({"steps": QUICK_STEPS} if request.quick else {}), **request.settings}
    for row in rows:
        if row != REAL:  # a window that the model cannot hold is refused before there is a folder
            settings = settings_of(row, protocol, **common)
            settings.graph(_longest_window(settings.limits(model.card)), model.card)
    identity = {
        "protocol": protocol.record(),
        "testbed": testbed.record,
        "model": measuring.identity(model),
        "seed": request.seed,
    }
    store = Store.open(request.output, identity, provenance.maker(device))
    sizes = sizes_of(request, protocol)
    return Evaluation(protocol, rows, sizes, model, testbed, store, request.seed, common, given)


def _longest_window(limits: Limits) -> Plan:
    """A motion as long as a window can be, in which settings that suit no plan show."""
    return Plan((Segment("a person", limits.max_frames / limits.fps),))


def describe(evaluation: Evaluation, request: Request) -> dict[str, Any]:
    """What a report says of how it came to be, but for its figures."""
    testbed, methods = evaluation.testbed, evaluation.methods
    return {
        "format": FORMAT,
        "title": evaluation.protocol.says,
        **evaluation.store.identity,
        "quick": request.quick,
        "replications": evaluation.sizes.replications,
        "samples": evaluation.sizes.samples,
        "prompts": f"{evaluation.protocol.name}.prompts.json",
        "judge": {**testbed.judge, "files": provenance.checksums(judge_files(request))},
        "j_avg": testbed.j_avg,
        "settings": {
            name: {**evaluation.part(name, 0).record, "why": reason(name, request)} for name in methods
        },
        **(
            {"given": {row.name: row.record for row in evaluation.given.values()}} if evaluation.given else {}
        ),
        "commit": provenance.commit(),
        "versions": measuring.versions(),
        "device": measuring.device_name(evaluation.model.device),
    }


def sizes_of(request: Request, protocol: Protocol) -> Sizes:
    """How much a request makes: what it says, else what its data set and `quick` make usual.

    Captions that would not fill another motion are left away, so that all rows are of the same ones.
    """
    usual = QUICK_SAMPLES if request.quick else OFFICIAL_SAMPLES if request.dataset else OWN_SAMPLES
    samples = request.samples or usual
    return Sizes(
        request.replications or (QUICK_REPLICATIONS if request.quick else REPLICATIONS),
        samples - samples % protocol.prompts,
        request.multimodality,
    )


def _check(request: Request, protocol: Protocol) -> None:
    check_listed(protocol, request.only_list)
    if request.dataset is not None and request.evaluator is None:
        raise CollageError(
            f"dataset {request.dataset}: it needs its evaluator too; give --evaluator, the folder with t2m and glove"
        )
    if request.legacy_caption_length and request.dataset is None:
        raise CollageError(
            "legacy caption length: it is a matter of HumanML3D's evaluator; give --dataset too"
        )
    if request.multimodality and protocol.name not in ("short", "long"):
        raise CollageError(f"multimodality: got protocol {protocol.name}; allowed with: short, long")
    if sizes_of(request, protocol).samples < max(4, protocol.prompts):
        raise CollageError(
            f"samples: got {request.samples}; protocol {protocol.name} needs at least {max(4, protocol.prompts)}"
        )


def load_testbed(request: Request, device: torch.device) -> Testbed:
    """The real clips and the judge that a request names; raises DataError or ModelError."""
    if request.dataset is not None and request.evaluator is not None:
        from .official import load_official

        legacy = request.legacy_caption_length
        return load_official(request.dataset, request.evaluator, legacy=legacy, device=device)
    from .benchmark import load_benchmark
    from .classifier import DEFAULT_PATH, load_classifier
    from .own_evaluator import FOLDER, load_own_evaluator

    evaluator = load_own_evaluator(request.evaluator or FOLDER, device=device)
    classifier = load_classifier() if DEFAULT_PATH.expanduser().exists() else None
    return OwnTestbed(load_benchmark(), evaluator, classifier)


def judge_files(request: Request) -> dict[str, Path]:
    """The files that `load_testbed` judges with, by what they are."""
    if request.dataset is not None and request.evaluator is not None:
        from .official import CHECKPOINTS, STATISTICS, WORDS

        def first(places: Sequence[str]) -> Path:
            root = Path(str(request.evaluator))
            return next((root / place for place in places if (root / place).exists()), root)

        words = (f"our_vab_{name}" for name in ("data.npy", "words.pkl", "idx.pkl"))
        return {
            "evaluator": first(CHECKPOINTS),
            **{name: first(STATISTICS) / name for name in ("mean.npy", "std.npy")},
            **{name: first(WORDS) / name for name in words},
        }
    from .classifier import DEFAULT_PATH
    from .own_evaluator import CARD, FOLDER, WEIGHTS

    folder = request.evaluator or FOLDER
    return {
        "evaluator": folder / WEIGHTS,
        "evaluator_card": folder / CARD,
        "classifier": DEFAULT_PATH.expanduser(),
    }


def _device(name: str | None, share: Share) -> torch.device:
    """The device asked for; of several accelerators, each process takes the one of its local rank."""
    device = pick_device(name)
    if device.type == "cuda" and name in (None, "cuda") and share.processes > 1:
        local = int(os.environ.get("LOCAL_RANK", share.rank)) % torch.cuda.device_count()
        device = torch.device("cuda", local)
    return device
