"""Train the node denoiser on a prepared data file; run it again to resume where it stopped.

    COLLAGE_DATA=motion.npz python scripts/train_model.py --steps 20000

State, log and settings go to a folder outside the work tree (default ~/.cache/collage-motion/train/NAME); the weights
for the package are made from it by `scripts/pack_model.py`. With --begin-from a new run goes on from a packed model's
weights instead of random ones, to train it longer on the data it had; its steps count on from that model's:

    COLLAGE_DATA=motion.npz python scripts/train_model.py --begin-from collage_motion/assets/default \
        --steps 60000 --anneal-from 52000 --anneal-steps 8000
"""

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TextColumn, TimeRemainingColumn, track

from collage_motion.cli import script
from collage_motion.data.batches import Batch, BatchMaker, to_recordings
from collage_motion.data.dataset import load_dataset
from collage_motion.errors import DataError
from collage_motion.features import group_statistics
from collage_motion.losses import MotionLoss
from collage_motion.models import load_model
from collage_motion.models.mdm import MDM, MdmConfig
from collage_motion.schedule import DiscreteSchedule
from collage_motion.text.wordpiece import WordPieceEncoder
from collage_motion.training import Trainer, TrainSettings

DIFFUSION_STEPS = 1000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="prepared file (default: $COLLAGE_DATA)")
    parser.add_argument("--name", default="default", help="name of the run")
    parser.add_argument(
        "--folder", type=Path, help="folder of the run (default: ~/.cache/collage-motion/train/NAME)"
    )
    parser.add_argument(
        "--begin-from", type=Path, help="folder of a packed model whose weights a new run begins with"
    )
    parser.add_argument("--steps", type=int, default=20000, help="train until this step")
    parser.add_argument("--every", type=int, default=500, help="steps between validations and checkpoints")
    parser.add_argument("--batch-size", type=int, default=32, help="clips a step")
    parser.add_argument("--width", type=int, default=256, help="latent width of a new network")
    parser.add_argument("--layers", type=int, default=6, help="layers of a new network")
    parser.add_argument("--hidden", type=int, default=1024, help="feed-forward width of a new network")
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout of a new network")
    parser.add_argument(
        "--displacement", type=float, default=1.0, help="weight of the joint displacement loss"
    )
    parser.add_argument(
        "--quiet-scale",
        type=float,
        default=0.005,
        help="floor of the displacement loss's unit in clips that hardly move, m/frame",
    )
    parser.add_argument(
        "--evenness",
        type=float,
        default=0.2,
        help="kinds of action are drawn with their number of clips to this power (1: as in the data)",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: as torch likes)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for field in fields(TrainSettings):
        if field.name == "warmup_from":  # the run's own affair
            continue
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default
        )
    return parser.parse_args()


def validation_batches(maker: BatchMaker, rows: int = 256, batch: int = 64) -> list[Batch]:
    """The first captions of up to `rows` clips, uncropped, the same at every call."""
    chosen = np.linspace(0, len(maker.rows) - 1, min(rows, len(maker.rows))).astype(int)
    chosen = chosen[np.argsort([len(maker.rows[i]) for i in chosen], kind="stable")]
    rng = np.random.default_rng(0)
    batches = []
    for start in range(0, len(chosen), batch):
        part = chosen[start : start + batch]
        captions = [maker.recordings[i].caption(rng) for i in part]
        batches.append(maker.collate([maker.rows[i][: maker.max_frames] for i in part], captions))
    return batches


def begin_from(trainer: Trainer, folder: Path, mean: np.ndarray, std: np.ndarray, until: int) -> None:
    """Give a new run a packed model's weights; raises CollageError where these do not fit it."""
    model = load_model(folder)
    had, sizes = model.card, model.network.config.as_dict()
    if sizes != trainer.network.config.as_dict():
        raise DataError(f"{folder}: a network of other sizes, {sizes}; give the same here")
    if not (np.allclose(had.mean, mean, 1e-3, 1e-6) and np.allclose(had.std, std, 1e-3, 1e-6)):
        raise DataError(
            f"{folder}: its features have another mean and spread than this data's; begin without it"
        )
    steps, hours = had.training.get("steps", 0), had.training.get("hours", 0)
    if steps >= until:
        raise DataError(f"--steps: got {until}; {folder} has had {steps}, and this run counts on from there")
    trainer.begin_from(dict(model.network.named_parameters()), steps, 3600 * hours)


def main() -> None:
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.folder or Path.home() / ".cache" / "collage-motion" / "train" / args.name
    data = load_dataset(args.data)
    train = to_recordings(data.clips("train"), lambda clips: track(clips, "features (train)"))
    val = to_recordings(data.clips("val"), lambda clips: track(clips, "features (val)"))
    mean, std = group_statistics(r.features for r in train)
    encoder = WordPieceEncoder()
    settings = TrainSettings(
        **{f.name: getattr(args, f.name) for f in fields(TrainSettings) if hasattr(args, f.name)}
    )
    maker = BatchMaker(train, encoder, mean, std, args.batch_size, seed=settings.seed, evenness=args.evenness)
    quiet = BatchMaker(val, encoder, mean, std, args.batch_size)
    config = MdmConfig(
        arch="trans_dec", latent_dim=args.width, ff_size=args.hidden, num_layers=args.layers, num_heads=4,
        dropout=args.dropout, text_dim=128, word_dim=encoder.dimensions,
    )  # fmt: skip
    torch.manual_seed(settings.seed)
    network = MDM(config, max_len=DIFFUSION_STEPS)
    statistics = torch.from_numpy(mean), torch.from_numpy(std)
    loss = MotionLoss(*statistics, args.displacement, quiet_scale=args.quiet_scale)
    plain = MotionLoss(*statistics, args.displacement)
    schedule = DiscreteSchedule.cosine(DIFFUSION_STEPS)
    trainer = Trainer(network, schedule, loss, replace(settings), folder, args.device, plain)
    resumed = trainer.resume()
    if args.begin_from and not resumed:
        begin_from(trainer, args.begin_from, mean, std, args.steps)
    (folder / "statistics.json").write_text(json.dumps({"mean": mean.tolist(), "std": std.tolist()}))
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, {len(train)} clips, "
          f"{'resumed at' if resumed else 'from'} step {trainer.step}, state in {folder}", flush=True)  # fmt: skip
    columns = (
        *Progress.get_default_columns()[:3],
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=args.steps, completed=trainer.step, losses="")

        def show(step: int, row: dict[str, float]) -> None:
            losses = f"x0 {row['x0']:.4f} displacement {row['displacement']:.4f}"
            bar.update(task, completed=step, losses=losses)
            if "val_x0" in row:
                bar.print(f"step {step}: {losses} validation {row['val_x0']:.4f} {row['val_displacement']:.4f} "
                          f"{row['seconds']:.0f} s")  # fmt: skip

        batches = maker.blocks(trainer.step)
        trainer.run(batches, validation_batches(quiet), args.steps, args.every, show)


if __name__ == "__main__":
    script(main, stopped="stopped; the same command goes on from here")
