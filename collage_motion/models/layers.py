"""Post-norm transformer layers under the key names of the released MDM checkpoints (spec a.3, a.5)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head scaled dot-product attention with a packed query-key-value projection.

    `in_proj_weight` holds the rows of query, key and value one after the other, as the released files do.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor | None, keys: Tensor | None) -> Tensor:
        """Attend from `x` (B, T, D) to `memory` (B, M, D), or to itself; `keys` (B, M) is true where a key counts."""
        if memory is None:
            query, key, value = linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            width = x.shape[-1]
            query = linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width])
            key, value = linear(memory, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(
                2, dim=-1
            )
        mask = None if keys is None else keys[:, None, None, :]
        query, key, value = self._split(query), self._split(key), self._split(value)
        if self.training and query.device.type == "cpu":
            mixed = self._explicit(query, key, value, mask)
        else:
            rate = self.dropout if self.training else 0.0
            mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _explicit(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        # The fused kernel's backward pass on the CPU is several times slower than these three products.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, -1e9)
        return dropout(scores.softmax(-1), self.dropout, self.training) @ value


class _Layer(nn.Module):
    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.activation = nn.GELU()

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class EncoderLayer(_Layer):
    """Self-attention, then a GELU feed-forward; LayerNorm after each residual sum (spec a.5)."""

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """Map tokens (B, T, D) to tokens (B, T, D); `keys` (B, T) is true where a token may be attended to."""
        x = self.norm1(x + self.dropout(self.self_attn(x, None, keys)))
        return self.norm2(x + self._feed_forward(x))


class DecoderLayer(_Layer):
    """Self-attention, cross-attention to the condition, feed-forward; LayerNorm after each (spec a.5)."""

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__(width, hidden, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, keys: Tensor | None, memory: Tensor, memory_keys: Tensor | None) -> Tensor:
        """Map tokens (B, T, D) attending to `memory` (B, M, D); the two key masks are true where a key counts."""
        x = self.norm1(x + self.dropout(self.self_attn(x, None, keys)))
        x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory_keys)))
        return self.norm3(x + self._feed_forward(x))


class Encoder(nn.Module):
    """A stack of `EncoderLayer`; like the released models it ends without a further LayerNorm."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, hidden, heads, dropout) for _ in range(layers))

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """Run every layer on tokens (B, T, D)."""
        for layer in self.layers:
            x = layer(x, keys)
        return x


class Decoder(nn.Module):
    """A stack of `DecoderLayer`; like the released models it ends without a further LayerNorm."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, hidden, heads, dropout) for _ in range(layers))

    def forward(self, x: Tensor, keys: Tensor | None, memory: Tensor, memory_keys: Tensor | None) -> Tensor:
        """Run every layer on tokens (B, T, D) with memory (B, M, D)."""
        for layer in self.layers:
            x = layer(x, keys, memory, memory_keys)
        return x
