"""The MDM network against the reference's vectors: both forms, the masks, and whole guided sampling loops."""

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


def load(path: Path) -> Vectors:
    return {name: torch.from_numpy(array) for name, array in np.load(path).items()}


def network(vectors: Vectors, prefix: str, **changes: object) -> MDM:
    state = {k.removeprefix(prefix): v for k, v in vectors.items() if k.startswith(prefix)}
    pe = state.pop("sequence_pos_encoder.pe", None)
    state.pop("embed_timestep.sequence_pos_encoder.pe", None)
    sizes = {
        name: int(vectors[f"config/{name}"]) for name in ("latent_dim", "ff_size", "num_layers", "num_heads")
    }
    text_dim = state["embed_text.weight"].shape[1]
    config = MdmConfig(**sizes, text_dim=text_dim, **changes)  # type: ignore[arg-type]
    result = MDM(config).eval().requires_grad_(False)
    result.load_state_dict(state)
    if pe is not None:
        close(positional_table(len(pe), config.latent_dim)[:, None], pe, 1e-6)
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
    return sorted({name.split("/")[0] for name in vectors if name[0] == "c" and name[1].isdigit()})


def test_encoder_outputs(encoder: Vectors) -> None:
    model = network(encoder, "sd/")
    known = set(cases(encoder))
    assert known
    for case in known:
        x, steps, text, lengths = (
            encoder[f"{case}/{name}"] for name in ("x", "timesteps", "text_embed", "lengths")
        )
        null = torch.zeros_like(text)
        close(model.time_vector(steps), encoder[f"{case}/timestep_embedding"], 1e-5)
        close(model.condition(steps, text), encoder[f"{case}/cond_token"], 1e-5)
        close(model.condition(steps, null), encoder[f"{case}/null_token"], 1e-5)
        conditional, unconditional = model(x, steps, text), model(x, steps, null)
        close(conditional, encoder[f"{case}/out_cond"], 1e-5)
        close(unconditional, encoder[f"{case}/out_uncond"], 1e-5)
        close(unconditional + 2.5 * (conditional - unconditional), encoder[f"{case}/out_cfg2.5"], 2e-5)
        if f"{case}/out_cond_framemask" in encoder:
            close(model(x, steps, text, None, lengths), encoder[f"{case}/out_cond_framemask"], 1e-5)
            close(model(x, steps, null, None, lengths), encoder[f"{case}/out_uncond_framemask"], 1e-5)


def test_encoder_insides(encoder: Vectors) -> None:
    model = network(encoder, "sd/")
    for case in (case for case in cases(encoder) if f"{case}/after_layer0" in encoder):
        x, steps, text = (encoder[f"{case}/{name}"] for name in ("x", "timesteps", "text_embed"))
        frames = model.input_process.poseEmbedding(x[:, :, 0].transpose(1, 2))
        tokens = model.token_sequence(frames, model.condition(steps, text))
        close(tokens.transpose(0, 1), encoder[f"{case}/after_pos_encoding"], 1e-5)
        close(
            model.seqTransEncoder.layers[0](tokens, None).transpose(0, 1),
            encoder[f"{case}/after_layer0"],
            1e-5,
        )


@pytest.mark.parametrize(
    ("name", "steps", "spacing", "eta"),
    [("ddim50_of_1000_eta0", 1000, "ddim50", 0.0), ("ddim50_of_1000_eta1", 1000, "ddim50", 1.0),
     ("ancestral_50of50", 50, 50, None)],
)  # fmt: skip
def test_guided_loops(encoder: Vectors, name: str, steps: int, spacing: str | int, eta: float | None) -> None:
    schedule = DiscreteSchedule.cosine(steps)
    windows = MdmDenoiser(
        network(encoder, "sd/"), schedule, encoder["loop/text_embed"], None, mask_frames=False
    )
    start = encoder["loop/x_T"][:, :, 0].transpose(1, 2)
    graph = Graph(start.shape[1], (Region(tuple(range(start.shape[1])), 0, 1),), ("the prompt",))
    denoise = compose(graph, windows, guidance=Guidance(float(encoder["loop/scale"])))

    def noise(k: int) -> Tensor:
        return encoder["loop/noises"][k][:, :, 0].transpose(1, 2)

    sigmas = schedule.sigmas(spacing)
    x = start / vp_scale(sigmas[0])
    result = ancestral(denoise, x, sigmas, noise) if eta is None else ddim(denoise, x, sigmas, noise, eta=eta)
    close(result.transpose(1, 2)[:, :, None], encoder[f"loop/{name}"], 1e-4)


def test_every_array_of_the_encoder_file_is_known(encoder: Vectors) -> None:
    per_case = "x timesteps text_embed lengths out_cond out_uncond out_cfg2.5 out_cond_framemask out_uncond_framemask"
    per_case += " timestep_embedding cond_token null_token after_pos_encoding after_layer0"
    known = {f"{case}/{name}" for case in cases(encoder) for name in per_case.split()}
    loop = "x_T text_embed scale noises ddim50_of_1000_eta0 ddim50_of_1000_eta1 ancestral_50of50"
    known |= {f"loop/{name}" for name in loop.split()}
    unknown = [n for n in encoder if n not in known and not n.startswith(("sd/", "config/"))]
    assert not unknown


def test_decoder_with_words(decoder: Vectors) -> None:
    model = network(decoder, "dec_bert/sd/", arch="trans_dec")
    x, steps, lengths = decoder["x"], decoder["timesteps"], decoder["lengths"]
    words, mask = decoder["bert/token_embed"].transpose(0, 1), ~decoder["bert/padding_mask"]
    close(model(x, steps, words, mask), decoder["dec_bert/out_cond"], 1e-5)
    close(model(x, steps, words, mask, lengths), decoder["dec_bert/out_cond_framemask"], 1e-5)
    null = torch.zeros_like(words)
    close(model(x, steps, null, mask, lengths), decoder["dec_bert/out_uncond_framemask"], 1e-5)


@pytest.mark.parametrize("variant", ["dec_clip", "dec_clip_emb"])
def test_decoder_with_one_token(decoder: Vectors, variant: str) -> None:
    model = network(
        decoder,
        f"{variant}/sd/",
        arch="trans_dec",
        emb_trans_dec=variant.endswith("emb"),
        emb_token_text=False,
    )
    x, steps, text = decoder["x"], decoder["timesteps"], decoder["clip/text_embed"]
    close(model(x, steps, text), decoder[f"{variant}/out_cond"], 1e-5)
    close(model(x, steps, torch.zeros_like(text)), decoder[f"{variant}/out_uncond"], 1e-5)


def test_every_array_of_the_decoder_file_is_known(decoder: Vectors) -> None:
    variants = ("dec_clip", "dec_clip_emb", "dec_bert")
    outputs = ("out_cond", "out_uncond", "out_cond_framemask", "out_uncond_framemask")
    known = {f"{variant}/{output}" for variant in variants for output in outputs}
    known |= {"x", "timesteps", "lengths", "clip/text_embed", "bert/token_embed", "bert/padding_mask"}
    unknown = [n for n in decoder if n not in known and "/sd/" not in n and not n.startswith("config/")]
    assert not unknown
