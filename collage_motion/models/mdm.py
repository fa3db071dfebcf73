"""The MDM denoiser (Tevet et al. 2023, spec a): a transformer from noisy features and a condition to clean ones."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from collage_motion.models.layers import Decoder, Encoder, EncoderLayer
from collage_motion.skeleton import N_FEATURES


@dataclass(frozen=True)
class MdmConfig:
    """Sizes and variant of the network; the defaults are those of the released HumanML3D models (spec a.2)."""

    arch: str = "trans_enc"
    """`trans_enc`: condition as the first token; `trans_dec`: condition through cross-attention."""
    latent_dim: int = 512
    ff_size: int = 1024
    num_layers: int = 8
    num_heads: int = 4
    dropout: float = 0.1
    text_dim: int = 512
    """Width of the text features that enter `embed_text`."""
    emb_trans_dec: bool = False
    """Decoder only: prepend a token to the frames and drop its output (spec a.5)."""
    emb_token_text: bool = True
    """With `emb_trans_dec`: that token carries time and text (released file) or time alone (code since 2025)."""
    word_dim: int = 0
    """Width of static word vectors mixed by the model's own layer before `embed_text`; 0: features come as they are."""
    n_features: int = N_FEATURES

    def as_dict(self) -> dict[str, object]:
        """The fields by name, for a model card."""
        return asdict(self)


def positional_table(length: int, width: int) -> Tensor:
    """Sinusoidal table (length, width): sine in even, cosine in odd channels (spec a.5)."""
    # On the CPU even where a network is built for its shapes alone: `arange` there would load torch's compiler.
    position = torch.arange(length, dtype=torch.float32, device="cpu")[:, None]
    even = torch.arange(0, width, 2, dtype=torch.float32, device="cpu")
    frequency = torch.exp(even * (-math.log(10000.0) / width))
    table = torch.zeros(length, width, device="cpu")
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)
    return table


class _InputProcess(nn.Module):
    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.poseEmbedding = nn.Linear(n_features, width)


class _OutputProcess(nn.Module):
    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.poseFinal = nn.Linear(width, n_features)


class _TimestepEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))


class WordMixer(nn.Module):
    """Static word vectors to words in context: a projection, positions and one self-attention layer.

    Positions let "left, then right" differ from "right, then left"; a pooled vector could not tell.
    """

    def __init__(self, word_dim: int, width: int, max_words: int = 128) -> None:
        super().__init__()
        self.project = nn.Linear(word_dim, width)
        self.layer = EncoderLayer(width, 2 * width, 4, 0.0)
        self.register_buffer("pe", positional_table(max_words, width), persistent=False)
        self.pe: Tensor

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Map vectors (B, W, word_dim) and mask (B, W) (true = word) to features (B, W, width)."""
        x = self.project(words)
        return self.layer(x + self.pe[: words.shape[1]].to(x.dtype), mask)


class MDM(nn.Module):
    """MDM's denoiser in its released text variants, with the released key names (spec a.3-a.7).

    The forward pass predicts the clean sample x0. A null condition is a zero text feature, before `embed_text`.
    """

    def __init__(self, config: MdmConfig, max_len: int = 5000) -> None:
        super().__init__()
        if config.arch not in ("trans_enc", "trans_dec"):
            raise ValueError(f"arch is {config.arch!r}; allowed: 'trans_enc', 'trans_dec'")
        self.config = config
        width = config.latent_dim
        sizes = (config.num_layers, width, config.ff_size, config.num_heads, config.dropout)
        self.input_process = _InputProcess(config.n_features, width)
        self.output_process = _OutputProcess(config.n_features, width)
        self.embed_timestep = _TimestepEmbedding(width)
        self.embed_text = nn.Linear(config.text_dim, width)
        if config.word_dim:
            self.word_mixer = WordMixer(config.word_dim, config.text_dim)
        if config.arch == "trans_enc":
            self.seqTransEncoder = Encoder(*sizes)
        else:
            self.seqTransDecoder = Decoder(*sizes)
        self.dropout = nn.Dropout(config.dropout)
        # One table for time and for frames, rebuilt instead of loaded: released files differ in its length.
        self.register_buffer("pe", positional_table(max_len, width), persistent=False)
        self.pe: Tensor

    def encode_words(self, words: Tensor, mask: Tensor) -> Tensor:
        """Text features (B, W, text_dim) of word vectors; features of an external encoder pass unchanged."""
        return self.word_mixer(words, mask) if self.config.word_dim else words

    def time_vector(self, timesteps: Tensor) -> Tensor:
        """e_t (B, D) for original-schedule timesteps (B,)."""
        return self.embed_timestep.time_embed(self.pe[timesteps])

    def condition(self, timesteps: Tensor, text: Tensor) -> Tensor:
        """Condition token e_t + embed_text(c): (B, D) for pooled text (B, E), (B, W, D) for words (B, W, E)."""
        time = self.time_vector(timesteps)
        return self.embed_text(text) + (time if text.ndim == 2 else time[:, None])

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        text: Tensor,
        text_mask: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Predict x0 (B, 263, 1, T) from noisy normalised features of that shape.

        `timesteps` (B,) are original-schedule indices. `text` is (B, E), or (B, W, E) with `text_mask` (B, W), true
        where a word stands. `lengths` (B,) masks padded frames as attention keys; None masks nothing (spec a.7).
        """
        condition = self.condition(timesteps, text)
        with torch.autocast(
            x.device.type, enabled=False
        ):  # bfloat16 would bury the low noise levels in rounding
            frames = self.input_process.poseEmbedding(x[:, :, 0].transpose(1, 2).float())
        keys = None
        if lengths is not None:
            keys = torch.arange(frames.shape[1], device=x.device) < lengths[:, None]
        if self.config.arch == "trans_enc":
            tokens = self._encode(frames, condition, keys)
        else:
            tokens = self._decode(frames, condition, keys, text_mask, timesteps)
        with torch.autocast(x.device.type, enabled=False):
            return self.output_process.poseFinal(tokens.float()).transpose(1, 2)[:, :, None]

    def token_sequence(self, frames: Tensor, first: Tensor) -> Tensor:
        """Put one token (B, D) before the frames (B, T, D) and add positions from row 0."""
        tokens = torch.cat((first[:, None].to(frames.dtype), frames), dim=1)
        return self.dropout(tokens + self.positions(tokens.shape[1]))

    def positions(self, length: int) -> Tensor:
        """Rows (length, D) of the positional table, which grows when a window is longer than all before."""
        if length > len(self.pe):
            self.pe = positional_table(2 * length, self.config.latent_dim).to(self.pe)
        return self.pe[:length]

    def _encode(self, frames: Tensor, condition: Tensor, keys: Tensor | None) -> Tensor:
        tokens = self.token_sequence(frames, condition)
        if keys is not None:  # the condition token is never masked
            keys = torch.cat((keys.new_ones(len(keys), 1), keys), dim=1)
        return self.seqTransEncoder(tokens, keys)[:, 1:]

    def _decode(
        self,
        frames: Tensor,
        condition: Tensor,
        keys: Tensor | None,
        text_mask: Tensor | None,
        timesteps: Tensor,
    ) -> Tensor:
        memory = condition if condition.ndim == 3 else condition[:, None]
        memory_keys = text_mask if condition.ndim == 3 else None
        if not self.config.emb_trans_dec:
            tokens = self.dropout(frames + self.positions(frames.shape[1]))
            return self.seqTransDecoder(tokens, keys, memory, memory_keys)
        carries_text = self.config.emb_token_text and condition.ndim == 2
        first = condition if carries_text else self.time_vector(timesteps)
        tokens = self.token_sequence(frames, first)
        if keys is not None:
            keys = torch.cat((keys.new_ones(len(keys), 1), keys), dim=1)
        return self.seqTransDecoder(tokens, keys, memory, memory_keys)[:, 1:]
