"""Evidence for or against the target: signed numbers per position and per feature, their total and its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hf_fourier.domains import Basis
from hf_fourier.typing import Bool, Float, Tensor

#: Prefix of the tensors in a file.
PREFIX = "contributions."


@dataclass(frozen=True, eq=False)
class Contributions:
    """Path integrals from one or several references to the example; what is below is their mean over references.

    With the mean gradient ḡ along the straight path from a reference x0, an entry of the signal contributes
    `(x - x0) ḡ`, and a feature `<W₊ ḡ, W (x - x0)>_k`, with the pullback W₊ and the analysis W of the domain. Either
    sums to `total + completeness_error` (integrated gradients, arXiv 1703.01365). Above 0 is for the answer.

    Attributes:
        gradient: ḡ for each reference, shape `(references, *signal)`.
        reference: Each x0 in the signal's shape, with length 1 along axes where it is constant.
        total: The quantity of the example minus its mean over the references.
        completeness_error: The sum of the contributions minus the total.
        quantity: "log-odds" of the target, or "score" (`Attribution.value`).
        references: Each reference in words ("silence").
        points: Gradients that were averaged, over all references.
    """

    gradient: Float[Tensor, "references *signal"]
    reference: tuple[Float[Tensor, "..."], ...]
    total: float
    completeness_error: float
    quantity: str
    references: tuple[str, ...]
    points: int

    def __repr__(self) -> str:
        off = f"{self.completeness_error:.2g}"
        whole = f"{self.quantity} {self.total:.4g} over {', '.join(self.references)}, sum off by {off}"
        return f"Contributions({whole}, {self.points} gradients)"

    def by_entry(
        self, signal: Float[Tensor, "*signal"], basis: Basis, mask: Bool[Tensor, " features"] | None = None
    ) -> Float[Tensor, "*signal"]:
        """The contribution of each entry of the signal.

        Args:
            signal: The clean signal x.
            basis: The domain, bound.
            mask: The features whose part of `x - x0` is taken; None for all. Their numbers sum to those features'.
        """
        difference = self._difference(signal)
        if mask is not None:
            kept = mask.unsqueeze(0).expand(len(difference), -1)
            difference = basis.keep_features(basis.forward(difference), kept)
        return (difference * self.gradient).mean(0)

    def by_feature(self, signal: Float[Tensor, "*signal"], basis: Basis) -> Float[Tensor, " features"]:
        """The contribution of each feature of a domain.

        Args:
            signal: The clean signal x.
            basis: The domain, bound.
        """
        return basis.inner(basis.pullback(self.gradient), basis.forward(self._difference(signal))).mean(0)

    def _difference(self, signal: Float[Tensor, "*signal"]) -> Float[Tensor, "references *signal"]:
        """`x - x0` for each reference."""
        return torch.stack([signal - reference for reference in self.reference])

    @property
    def against(self) -> str:
        """The references in words."""
        if len(self.references) == 1:
            return self.references[0]
        return f"the mean of {len(self.references)} references: {', '.join(self.references)}"

    @property
    def sum(self) -> float:
        """What they sum to: the total and the completeness error."""
        return self.total + self.completeness_error

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Plain values for JSON, and tensors by name."""
        tensors = {f"{PREFIX}gradient": self.gradient}
        tensors |= {f"{PREFIX}reference.{i}": reference for i, reference in enumerate(self.reference)}
        values = {
            "total": self.total,
            "completeness_error": self.completeness_error,
            "quantity": self.quantity,
            "references": list(self.references),
            "points": self.points,
        }
        return values, tensors

    @classmethod
    def from_parts(cls, values: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]) -> Contributions | None:
        """The contributions that `to_parts` took apart; None where a result has none."""
        if values is None or f"{PREFIX}gradient" not in tensors:
            return None
        return cls(
            gradient=tensors[f"{PREFIX}gradient"],
            reference=tuple(tensors[f"{PREFIX}reference.{i}"] for i in range(len(values["references"]))),
            total=values["total"],
            completeness_error=values["completeness_error"],
            quantity=values["quantity"],
            references=tuple(values["references"]),
            points=values["points"],
        )
