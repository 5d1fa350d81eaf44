"""Cells whose genes were deleted or over-expressed: their tokens, and which genes can be compared before and after."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from hf_fourier.seeding import ExampleRng

#: How far in rank a random gene may be from the one that it stands for, as a share of the cell's genes, at least one.
LIKE_RANK = 0.05


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell as the model reads it.

    Attributes:
        tokens: Its tokens.
        content: The places of its genes among them.
        limit: The longest input of the model; None for no limit.
        notes: Remarks on the input.
    """

    tokens: list[int]
    content: list[int]
    limit: int | None
    notes: tuple[str, ...] = ()

    @cached_property
    def genes(self) -> list[int]:
        """The tokens of its genes, by rank."""
        return [self.tokens[place] for place in self.content]

    def around(self, genes: Sequence[int]) -> tuple[int, ...]:
        """Other genes between the cell's marks."""
        first, last = self.content[0], self.content[-1]
        return (*self.tokens[:first], *genes, *self.tokens[last + 1 :])

    @property
    def room(self) -> int | None:
        """How many genes the model takes of it."""
        return None if self.limit is None else self.limit - (len(self.tokens) - len(self.content))


@dataclass(frozen=True, eq=False)
class Variant:
    """A perturbed cell.

    Attributes:
        cell: The number of the cell that it was made of.
        perturbation: The number of the perturbation.
        control: Whether other genes stand in the place of those of the perturbation.
        rank: The rank of the first perturbed gene in the cell, from 0; -1 where the cell has no such gene.
        tokens: Its tokens.
        others: The genes that both cells have, without the perturbed ones.
        before: Their places in the cell.
        after: Their places in the perturbed cell.
        score_before: The tokens at which a classifier's score is read before; None for the cell itself.
        score_after: And after.
    """

    cell: int
    perturbation: int
    control: bool
    rank: int
    tokens: tuple[int, ...]
    others: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    score_before: tuple[int, ...] | None
    score_after: tuple[int, ...]


def perturbed_cells(
    number: int, cell: Cell, perturbations: Iterable[tuple[int, tuple[int, ...], bool]], by: str, reads_first: bool
) -> list[Variant]:
    """The perturbed cells made of one; without those that would change nothing that can be compared.

    A deleted gene's token is taken out and the gap closed; it must be in the cell, of a combination every gene. An
    over-expressed one comes first, those of a combination in their order, whether the cell had it or not; what does not
    fit the model any more falls off the end.

    Args:
        number: The cell's number.
        cell: The cell.
        perturbations: The number, the tokens, and whether it is a control.
        by: "delete" or "overexpress".
        reads_first: Whether the model reads its answer at the first gene. Then the same gene stands first before and
            after wherever scores are read, the first one that is not perturbed, and over-expressed genes come second.
    """
    variants = []
    for perturbation, tokens, control in perturbations:
        chosen, raised = set(tokens), tokens if by == "overexpress" else ()
        missing = chosen - set(cell.genes)
        room = None if cell.room is None else max(cell.room - len(raised), 0)
        places = [i for i, gene in enumerate(cell.genes) if gene not in chosen][:room]
        if (missing and by == "delete") or not places:
            continue
        others = [cell.genes[i] for i in places]
        whole = cell.around([*raised, *others])
        score_before, score_after = None, whole
        if reads_first:
            first = others[0]
            rest = [gene for gene in cell.genes if gene != first]
            score_before = None if cell.genes[0] == first else cell.around([first, *rest])
            score_after = cell.around([first, *raised, *others[1:]])
        start = cell.content[0] + len(raised)
        variants.append(Variant(
            number, perturbation, control, -1 if missing else cell.genes.index(tokens[0]), whole, tuple(others),
            tuple(cell.content[i] for i in places), tuple(range(start, start + len(others))), score_before, score_after,
        ))  # fmt: skip
    return variants


def random_genes(cell: Cell, tokens: Sequence[int], vocabulary: Sequence[int], number: int) -> tuple[int, ...]:
    """As many other genes of like rank in the cell, for a control; for one that it lacks another one that it lacks.

    Genes of like rank are the nearest above and below, as many on either side: nearer the end of the ranking fewer, and
    none for the first and the last gene, since what moves when a gene is perturbed depends on its rank.

    Args:
        cell: The cell.
        tokens: The perturbed genes.
        vocabulary: All genes.
        number: The perturbation's number, of the random stream.

    Returns:
        The genes; none where the cell has none for one of them.
    """
    generator = ExampleRng(0, [zlib.crc32(repr(cell.tokens).encode())]).generator(
        0, "random genes of like rank", number
    )
    taken, width = set(tokens), max(1, round(LIKE_RANK * len(cell.genes)))
    order = list(dict.fromkeys(cell.genes))
    ranks = {gene: rank for rank, gene in enumerate(order)}
    drawn: list[int] = []
    for token in tokens:
        if token in ranks:
            rank = ranks[token]
            steps = range(1, min(rank, len(order) - 1 - rank) + 1)
            pairs = [pair for step in steps if taken.isdisjoint(pair := (order[rank - step], order[rank + step]))]
            near = [gene for pair in pairs[:width] for gene in pair]
        else:
            near = [gene for gene in vocabulary if gene not in ranks and gene not in taken]
        if not near:
            return ()
        drawn.append(near[int(torch.randint(len(near), (), generator=generator))])
        taken.add(drawn[-1])
    return tuple(drawn)
