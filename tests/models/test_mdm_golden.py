"""The MDM network against the reference's vectors: both forms, the masks, and whole guided sampling loops."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from collage_motion.compose import Guidance, compose
from collage_motion.graph import Graph, Region
from collage_motion.models.adapter import MdmDenoiser
from collage_motion.models.mdm import MDM, MdmConfig, positional_table
from collage_motion.samplers.ancestral import ancestral
from collage_motion.samplers.ddim import ddim
from collage_motion.schedule import DiscreteSchedule, vp_scale

pytestmark = pytest.mark.golden
Vectors = dict[str, Tensor]
SIZES = ("latent_dim", "ff_size", "num_layers", "num_heads")
VARIANTS = ("dec_clip", "dec_clip_emb", "dec_bert")
LOOP = re.compile(
    r"loop/(?:(?P<spacing>ddim\d+)_of_(?P<total>\d+)_eta(?P<eta>[\d.]+)|ancestral_(?P<all>\d+)of(?P=all))"
)


def load(path: Path) -> Vectors:
    return {name: torch.from_numpy(array) for name, array in np.load(path).items()}


def network(vectors: Vectors, prefix: str, **changes: object) -> MDM:
    state = {k.removeprefix(prefix): v for k, v in vectors.items() if k.startswith(prefix)}
    tables = [state.pop(key) for key in list(state) if key.endswith("sequence_pos_encoder.pe")]
    sizes = {name: int(vectors[f"config/{name}"]) for name in SIZES}
    sizes |= {
        "text_dim": state["embed_text.weight"].shape[1],
        "n_features": len(state["output_process.poseFinal.bias"]),
    }
    config = MdmConfig(**sizes, **changes)  # type: ignore[arg-type]
    result = MDM(config).eval().requires_grad_(False)
    result.load_state_dict(state)
    for pe in tables:
        got, place = (
            positional_table(len(pe), config.latent_dim)[:, None],
            torch.arange(len(pe))[:, None, None],
        )
        # Processors round the frequencies otherwise, and an angle of so many radians is off by as many last digits.
        assert got.shape == pe.shape and ((got - pe).abs() <= 1e-6 + 1.2e-7 * place).all()
    return result


def close(got: Tensor, wanted: Tensor, tolerance: float) -> None:
    assert got.shape == wanted.shape
    assert (got - wanted).abs().max() <= tolerance


@pytest.fixture(scope="module")
def encoder(golden: Path) -> Vectors:
    return load(golden / "mdm_trans_enc.npz")


@pytest.fixture(scope="module")
def decoder(golden: Path) -> Vectors:
    return load(golden / "mdm_trans_dec.npz")


def cases(vectors: Vectors) -> list[str]:
    return sorted({name.split("/")[0] for name in vectors if re.match(r"c\d+/", name)})


def check(vectors: Vectors, name: str, got: Tensor, tolerance: float, needed: bool = True) -> set[str]:
    """Compare with the array of that name, which may be missing unless it is needed; returns the names it was."""
    if name not in vectors and not needed:
        return set()
    close(got, vectors[name], tolerance)
    return {name}


def check_case(model: MDM, vectors: Vectors, case: str) -> set[str]:
    """Compare everything that is known of one case; returns the names of the arrays."""
    x, steps, text, lengths = (
        vectors[f"{case}/{name}"] for name in ("x", "timesteps", "text_embed", "lengths")
    )
    null = torch.zeros_like(text)
    conditional, unconditional = model(x, steps, text), model(x, steps, null)
    token = model.condition(steps, text)
    sequence = model.token_sequence(model.input_process.poseEmbedding(x[:, :, 0].transpose(1, 2)), token)
    found = {f"{case}/{name}" for name in ("x", "timesteps", "text_embed", "lengths")}
    for name, got in (
        ("timestep_embedding", model.time_vector(steps)),
        ("cond_token", token),
        ("null_token", model.condition(steps, null)),
        ("out_cond", conditional),
        ("out_uncond", unconditional),
    ):
        found |= check(vectors, f"{case}/{name}", got, 1e-5)
    for name, got in (
        ("out_cond_framemask", model(x, steps, text, None, lengths)),
        ("out_uncond_framemask", model(x, steps, null, None, lengths)),
        ("after_pos_encoding", sequence.transpose(0, 1)),
        ("after_layer0", model.seqTransEncoder.layers[0](sequence, None).transpose(0, 1)),
    ):
        found |= check(vectors, f"{case}/{name}", got, 1e-5, needed=False)
    for name in vectors:
        if match := re.fullmatch(rf"{case}/out_cfg([\d.]+)", name):
            guided = unconditional + float(match[1]) * (conditional - unconditional)
            found |= check(vectors, name, guided, 2e-5)
    return found


def check_loop(model: MDM, vectors: Vectors, name: str) -> None:
    """Run one guided loop through our own denoiser, composition and sampler, a sample at a time."""
    match = LOOP.fullmatch(name)
    assert match is not None
    schedule = DiscreteSchedule.cosine(int(match["total"] or match["all"]))
    sigmas = schedule.sigmas(match["spacing"] or len(schedule))
    starts, scales = vectors["loop/x_T"], vectors["loop/scale"].expand(len(vectors["loop/x_T"]))
    for n, start in enumerate(starts[:, :, 0].transpose(1, 2)):
        text = vectors["loop/text_embed"][n : n + 1]
        windows = MdmDenoiser(model, schedule, text, None, mask_frames=False)
        graph = Graph(len(start), (Region(tuple(range(len(start))), 0, 1),), ("the prompt",))
        denoise = compose(graph, windows, guidance=Guidance(float(scales[n])))

        def noise(k: int, n: int = n) -> Tensor:
            return vectors["loop/noises"][k, n : n + 1, :, 0].transpose(1, 2)

        x = start[None] / vp_scale(sigmas[0])
        if match["all"]:
            result = ancestral(denoise, x, sigmas, noise)
        else:
            result = ddim(denoise, x, sigmas, noise, eta=float(match["eta"]))
        close(result.transpose(1, 2)[:, :, None], vectors[name][n : n + 1], 1e-4)


def unknown(vectors: Vectors, known: set[str], weights: tuple[str, ...]) -> list[str]:
    """Names of arrays that are neither compared, nor inputs, nor sizes, nor weights (which must fit the network)."""
    known |= {f"config/{name}" for name in SIZES}
    return [name for name in vectors if name not in known and not name.startswith(weights)]


def test_the_encoder(encoder: Vectors) -> None:
    model = network(encoder, "sd/")
    known = set().union(*(check_case(model, encoder, case) for case in cases(encoder)))
    known |= {f"loop/{name}" for name in ("x_T", "text_embed", "scale", "noises")}
    known |= {name for name in encoder if LOOP.fullmatch(name)}
    assert not unknown(encoder, known, ("sd/",)), "arrays no test knows"


@pytest.mark.parametrize("kind", ["eta0", "eta1", "ancestral"])
def test_guided_loops(encoder: Vectors, kind: str) -> None:
    names = [name for name in encoder if LOOP.fullmatch(name) and kind in name]
    assert names
    for name in names:
        check_loop(network(encoder, "sd/"), encoder, name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_decoder(decoder: Vectors, variant: str) -> None:
    words = variant == "dec_bert"
    model = network(
        decoder,
        f"{variant}/sd/",
        arch="trans_dec",
        emb_trans_dec=variant.endswith("emb"),
        emb_token_text=False,
    )
    x, steps, lengths = decoder["x"], decoder["timesteps"], decoder["lengths"]
    text = decoder["bert/token_embed"].transpose(0, 1) if words else decoder["clip/text_embed"]
    mask = ~decoder["bert/padding_mask"] if words else None
    found: set[str] = set()
    for condition, given in (("cond", text), ("uncond", torch.zeros_like(text))):
        for suffix, valid in (("", None), ("_framemask", lengths)):
            name = f"{variant}/out_{condition}{suffix}"
            needed = name.endswith("out_cond")
            found |= check(decoder, name, model(x, steps, given, mask, valid), 1e-5, needed)
    assert len(found) >= 2
    assert {name for name in decoder if name.startswith(f"{variant}/out")} == found, "arrays no test knows"


def test_every_array_of_the_decoder_file_is_known(decoder: Vectors) -> None:
    known = {"x", "timesteps", "lengths", "clip/text_embed", "bert/token_embed", "bert/padding_mask"}
    known |= {name for name in decoder if name.startswith(tuple(f"{v}/out" for v in VARIANTS))}
    assert not unknown(decoder, known, tuple(f"{v}/sd/" for v in VARIANTS)), "arrays no test knows"
