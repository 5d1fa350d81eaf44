"""In-silico deletion and masking of single genes: how much the score of a cell falls without each of them.

A deleted gene's token is taken out and the gap closed, as Geneformer's in-silico deletion does (Theodoris et al. 2023);
a masked one becomes `<mask>`, and all others stay at their ranks. A classifier of version 1 reads its answer at the
first position, which is a gene: to take that one out would move the place that is read. Its effect is measured in the
cell whose first two genes are exchanged, where another gene is read with it and without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.in_silico_deletion import check_cells, read_variants
from hf_fourier.models.base import ModelWrapper
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.torch_state import exact

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Tokens that are read in one go, at most, by whole cells.
AT_ONCE = 2**21


@exact
def gene_effects(
    explainer: Engine,
    attributions: Sequence[Attribution],
    by: str = "deletion",
    *,
    places: Sequence[Sequence[int] | np.ndarray] | None = None,
    batch_size: BatchSize = "auto",
) -> list[np.ndarray]:
    """The score of each cell minus its score without one gene, for gene after gene: one forward pass each.

    Args:
        explainer: Of the model that made the results.
        attributions: Results of cells; they are not changed.
        by: "deletion" (the gap is closed) or "mask" (a `<mask>` stays in its place).
        places: For each cell, which of its genes, counted from 0 in the cell's order; None for all.
        batch_size: Rows in a batch, at most.

    Returns:
        For each cell one number for each of its `places`, above 0 where the gene speaks for the label; NaN where no
        gene would be left.

    Raises:
        InputError: If a result is none of a cell, or `by` is neither, or the vocabulary has no mask.
        TargetError: If what was explained belongs to single genes.
    """
    wrapper = check_cells(explainer, attributions)
    mask = wrapper.processor.mask_token_id
    if by not in ("deletion", "mask") or (by == "mask" and mask is None):
        got = f"by {by!r}" if by not in ("deletion", "mask") else "a vocabulary without <mask>"
        raise InputError(got, "deletion, or mask where there is a <mask>", 'pass by="deletion"')
    removed = [] if by == "deletion" else [int(mask)]
    reads_first = reads_first_gene(wrapper)
    effects: list[np.ndarray] = []
    variants: list[tuple[int, list[int]]] = []
    pairs: list[tuple[np.ndarray, int, int | None, int]] = []  # where it goes; with the gene, and without it

    def read() -> None:
        points = read_variants(explainer, wrapper, attributions, variants, batch_size)
        for own, index, clean, without in pairs:
            value = attributions[variants[without][0]].value if clean is None else points[clean].value
            own[index] = value - points[without].value
        variants.clear()
        pairs.clear()

    for number, result in enumerate(attributions):
        content = result.inputs["content"].tolist()
        chosen = range(len(content)) if places is None else [int(place) for place in places[number]]
        effects.append(np.full(len(chosen), np.nan))
        for index, gene in enumerate(chosen):
            if len(content) == 1 and not removed:
                continue
            clean, without = _tokens(result.inputs["input_ids"].tolist(), content, gene, removed, reads_first)
            variants += [(number, tokens) for tokens in (clean, without) if tokens is not None]
            pairs.append((effects[-1], index, None if clean is None else len(variants) - 2, len(variants) - 1))
        if sum(len(tokens) for _, tokens in variants) > AT_ONCE:
            read()
    read()
    return effects


def reads_first_gene(wrapper: ModelWrapper) -> bool:
    """Whether a model reads its answer at the first gene: a classifier without `<cls>`."""
    tokens = getattr(wrapper.processor, "tokens", {})
    return wrapper.task == "text-classification" and "<cls>" not in tokens


def _tokens(
    ids: list[int], content: list[int], gene: int, removed: list[int], reads_first: bool
) -> tuple[list[int] | None, list[int]]:
    """A cell with one gene, where that is not the cell itself, and the same without the gene.

    Args:
        ids: Its tokens.
        content: Which of them are genes.
        gene: Which of these goes.
        removed: What comes in its place.
        reads_first: Whether the model reads its answer at the first token.
    """
    at, clean = content[gene], None
    if reads_first and at == 0 and len(content) > 1:
        ids[0], ids[1], at = ids[1], ids[0], 1
        clean = list(ids)
    return clean, [*ids[:at], *removed, *ids[at + 1 :]]
