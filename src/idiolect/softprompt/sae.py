"""The sparse autoencoder of the DEP paper (Eq. 5), shared by both streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from idiolect.softprompt.config import Activation, AdapterConfig


class SparseAutoencoder(nn.Module):
    """One layer in, one layer out. Xavier-uniform weights and zero biases (appendix C.2).

    Args:
        d_in: Width of the vectors.
        d_sae: Width of the code.
        activation: Of the code.
        k: Units kept where ``activation`` is ``topk``.
        decoder_activation: Of the reconstruction; ``gelu`` for weights trained by the authors' program.
        generator: Draws the initial weights; None: torch's global one.
    """

    def __init__(
        self,
        d_in: int,
        d_sae: int,
        *,
        activation: Activation = "relu",
        k: int = 32,
        decoder_activation: str = "linear",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation, self.k, self.decoder_activation = activation, min(k, d_sae), decoder_activation
        self.W_enc = nn.Parameter(torch.empty(d_sae, d_in))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.empty(d_in, d_sae))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        for weight in (self.W_enc, self.W_dec):
            nn.init.xavier_uniform_(weight, generator=generator)

    @classmethod
    def of(cls, config: AdapterConfig, generator: torch.Generator | None = None) -> SparseAutoencoder:
        """The autoencoder that ``config`` describes."""
        return cls(
            config.d_in,
            config.width,
            activation=config.activation,
            k=config.k,
            decoder_activation=config.decoder_activation,
            generator=generator,
        )

    def hidden_pre(self, x: Tensor) -> Tensor:
        """(n, d_in) to (n, d_sae): the code before its activation."""
        return F.linear(x, self.W_enc, self.b_enc)

    def feature_acts(self, x: Tensor) -> Tensor:
        """(n, d_in) to (n, d_sae): the code ``z`` of Eq. 5."""
        pre = self.hidden_pre(x)
        if self.activation == "sigmoid":
            return torch.sigmoid(pre)
        if self.activation == "gelu":
            return F.gelu(pre)
        return _top(F.relu(pre), self.k) if self.activation == "topk" else F.relu(pre)

    def decode(self, code: Tensor) -> Tensor:
        """(n, d_sae) to (n, d_in): the reconstruction of Eq. 5."""
        x_hat = F.linear(code, self.W_dec, self.b_dec)
        return F.gelu(x_hat) if self.decoder_activation == "gelu" else x_hat


def _top(code: Tensor, k: int) -> Tensor:
    values, places = code.topk(k, dim=-1)
    return torch.zeros_like(code).scatter(-1, places, values)
