"""In-silico perturbation of genes, after Geneformer's (Theodoris et al. 2023); see `FourierExplainer.perturb_genes`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.errors import FourierError, InputError, brief, is_list_like, whole_number
from hf_fourier.evaluation.studies import gene_shift_files as files
from hf_fourier.evaluation.studies.gene_effects import reads_first_gene
from hf_fourier.evaluation.studies.gene_shifts import GeneShifts
from hf_fourier.evaluation.studies.gene_variants import Cell, Variant, perturbed_cells, random_genes
from hf_fourier.evaluation.studies.score_genes import cells_and_groups
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.single_cell import SingleCellWrapper
from hf_fourier.results.gene_groups import NoteCounts
from hf_fourier.scoring.batching import MicroBatcher, suggested_rows
from hf_fourier.scoring.example_batch import BatchSize, grouped
from hf_fourier.torch_state import exact, theirs
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

KINDS, EMBEDDINGS = ("delete", "overexpress"), ("mean", "cls", "geneformer")
#: Perturbed cells that are done, and written, together: an interruption loses as many at most.
AT_ONCE = 1024
#: Cells of which the hidden states are held together, at most.
MOST_CELLS = 16
#: Names of states, as Geneformer's tools call them.
STATES = ("state_key", "start_state", "goal_state", "alt_states")


@exact
def perturb_genes(
    explainer: Engine,
    reader: EmbeddingReader,
    cells: Any,
    genes: Sequence[str | Sequence[str]] | None,
    by: str,
    states: Mapping[str, Any] | None,
    downstream: bool,
    output_dir: Any,
    progress: Callable[[int, int], None] | bool | None,
) -> GeneShifts:
    """See `FourierExplainer.perturb_genes`."""
    if by not in KINDS:
        raise InputError(f"by {by!r}", "delete or overexpress", "correct `by`")
    if downstream and genes is None:
        raise InputError("effects of all genes on all genes", "some genes", "pass `genes`, or leave `downstream` out")
    chosen = None if genes is None else _combinations(reader.wrapper, genes)
    examples, groups, ends = _examples(explainer, cells, states)
    taken = [i for i in range(len(examples)) if not ends or groups[i] == ends[0]]
    tokenizer = reader.wrapper.processor
    settings = {
        "by": by, "embedding": reader.embedding, "layer": reader.layer, "downstream": downstream,
        "ends": list(ends[1:]), **_identified(reader, examples, groups, ends),
        "genes": None if chosen is None else [[tokenizer.ensembl(token) for token in one] for one in chosen],
        "model": explainer.name, "task": reader.wrapper.task, "tokens": dict(tokenizer.tokens),
        "symbols": dict(tokenizer.symbols),
    }  # fmt: skip
    folder = None if output_dir is None else Path(output_dir)
    with eval_mode(explainer.model):
        goals, first = _states(reader, examples, groups, ends, taken[0])
        work = _Work(reader, by, chosen, goals, downstream)
        settings["pieces"] = -(-len(taken) // work.cells_at_once)
        if folder is not None:
            files.write_settings(folder, settings, first)
        pieces = []
        for number, start in enumerate(range(0, len(taken), work.cells_at_once)):
            path = None if folder is None else files.piece_path(folder, number)
            some = range(start, min(start + work.cells_at_once, len(taken)))
            if path is None or not files.has_piece(path, number):
                arrays = work.piece([(i, examples[taken[i]]) for i in some])
                if path is not None:
                    files.write_piece(path, number, arrays)
                else:
                    pieces.append(arrays)
            if callable(progress):
                progress(some.stop, len(taken))
    return GeneShifts(**files.merged(settings, pieces)) if folder is None else GeneShifts.load(folder)


def _combinations(wrapper: SingleCellWrapper, genes: Any) -> list[tuple[int, ...]]:
    """The tokens of each perturbation; one name is one gene."""
    several = [genes] if isinstance(genes, str) else list(genes) if is_list_like(genes) else []
    wrong = [one for one in several if not isinstance(one, str) and not is_list_like(one)]
    if not several or wrong:
        got = "no gene" if is_list_like(genes) and not wrong else f"genes {brief(wrong[0] if wrong else genes)}"
        raise InputError(got, "symbols or Ensembl ids, at least one; None for all genes", "correct `genes`")
    return [_tokens_of(wrapper, one) for one in several]


def _tokens_of(wrapper: SingleCellWrapper, names: str | Sequence[str]) -> tuple[int, ...]:
    """The tokens of one gene or of a combination, by symbol or Ensembl id."""
    tokenizer, tokens = wrapper.processor, []
    of_symbol = {symbol: gene for gene, symbol in tokenizer.symbols.items()}
    for name in [names] if isinstance(names, str) else names:
        gene = tokenizer.gene(str(name)) or of_symbol.get(str(name))
        if gene not in tokenizer.tokens or tokenizer.tokens[gene] in tokenizer.special_ids:
            raise InputError(f"gene {brief(name)}", "a symbol or an Ensembl id of the vocabulary", "correct `genes`")
        tokens.append(int(tokenizer.tokens[gene]))
    if not tokens or len(set(tokens)) < len(tokens):
        raise InputError(f"a combination of {len(tokens)} genes", "different ones", "correct `genes`")
    return tuple(tokens)


def _examples(
    explainer: Engine, cells: Any, states: Mapping[str, Any] | None
) -> tuple[Sequence[Any], tuple[str, ...], tuple[str, ...]]:
    """The cells, the state of each, and the names of the start, the goal and the alternatives; none without states."""
    if states is None:
        return *cells_and_groups(explainer, cells, None)[:2], ()
    if not isinstance(states, Mapping) or set(states) - set(STATES) or set(STATES[:3]) - set(states):
        got = f"states {', '.join(map(str, states))}" if isinstance(states, Mapping) else f"states {brief(states)}"
        raise InputError(got, f"{', '.join(STATES[:3])}, and alt_states where there are any", "correct `states`")
    examples, groups, _ = cells_and_groups(explainer, cells, states["state_key"])
    others = states.get("alt_states")
    if others is not None and not isinstance(others, str) and not is_list_like(others):
        raise InputError(f"alt_states {brief(others)}", "names of states", "correct `states`")
    alternatives = [others] if isinstance(others, str) else [] if others is None else list(others)
    ends = tuple(str(name) for name in (states["start_state"], states["goal_state"], *alternatives))
    if len(set(ends)) < len(ends):
        raise InputError(f"states {', '.join(ends)}", "different ones", "correct `states`")
    for name in ends:
        if not name or name not in groups:
            known = ", ".join(sorted(set(groups) - {""}))
            raise InputError(f"state {name!r}", f"one of {known}", "correct `states`")
    return examples, groups, ends


def _identified(
    reader: EmbeddingReader, examples: Sequence[Any], groups: Sequence[str], ends: Sequence[str]
) -> dict[str, Any]:
    """The cells that are perturbed, digests of their tokens and of those of each end state, and notes on all these.

    Raises:
        InputError: If one of them cannot be read; it is named.
    """
    digests = {name: hashlib.sha256() for name in ends or ("",)}
    names, notes = list[str](), NoteCounts()
    for i, example in enumerate(examples):
        state = groups[i] if ends else ""
        if state not in digests:
            continue
        name = str((example.get("name") if isinstance(example, Mapping) else None) or f"cell-{i:05}")
        try:
            cell = reader.cell(example)
        except FourierError as error:
            raise InputError(f"the cell {name!r}: {error.got}", error.expected, error.hint) from error
        digests[state].update(repr(cell.tokens).encode())
        notes.add(name, cell.notes)
        if not ends or state == ends[0]:
            names.append(name)
    first, *others = (one.hexdigest() for one in digests.values())
    return {"cells": names, "tokens_of_cells": first, "tokens_of_ends": others, "notes": list(notes.lines())}


def _states(
    reader: EmbeddingReader, examples: Sequence[Any], groups: Sequence[str], ends: Sequence[str], number: int
) -> tuple[list[Tensor], list[float]]:
    """The mean embedding of the goal and of each alternative, and some numbers of the embedding of one cell."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    first: list[float] = []
    rows = [i for i, name in enumerate(groups) if name in ends[1:]] if ends else []
    for start in range(0, max(len(rows), 1), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        chosen = [number, *some] if not start else some
        given = [reader.cell(examples[i]) for i in chosen]
        embedded = reader.read([cell.tokens for cell in given], partial(_embedded, reader, given))
        if not start:
            first = embedded.pop(0)[:8].tolist()
        for i, one in zip(some, embedded, strict=True):
            sums[groups[i]] = sums.get(groups[i], torch.zeros_like(one)) + one
            counts[groups[i]] = counts.get(groups[i], 0) + 1
    return [sums[name] / counts[name] for name in ends[1:]], first


def _embedded(reader: EmbeddingReader, cells: Sequence[Cell], i: int, hidden: Tensor, _: Tensor | None) -> Tensor:
    return reader.embedded(hidden, cells[i].content)


@dataclass(frozen=True, eq=False)
class EmbeddingReader:
    """Reads hidden states and log-probabilities of cells, rows of one length in a batch.

    Attributes:
        wrapper: The model's wrapper.
        embedding: "mean", "cls" or "geneformer".
        layer: 0 for the last layer, -1 for the one before, and so on.
        batch_size: Rows in a batch, at most.
    """

    wrapper: SingleCellWrapper
    embedding: str
    layer: int
    batch_size: BatchSize

    @classmethod
    def of(cls, explainer: Engine, embedding: str | None, layer: int, batch_size: BatchSize) -> EmbeddingReader:
        """That of a model.

        Args:
            explainer: The model.
            embedding: "mean", "cls" or "geneformer"; None for the first two, "cls" where the vocabulary has a `<cls>`.
            layer: 0 for the last layer, -1 for the one before, and so on.
            batch_size: Rows in a batch, at most.

        Raises:
            InputError: If it is no model of cells, or has no such embedding or layer.
        """
        wrapper = explainer.wrapper
        if not isinstance(wrapper, SingleCellWrapper):
            raise InputError(f"genes of {wrapper.task}", "a model of cells", "call explainer.perturb")
        marked = "<cls>" in wrapper.processor.tokens
        chosen = embedding or ("cls" if marked else "mean")
        if chosen not in EMBEDDINGS or (chosen == "cls" and not marked):
            got = f"embedding {chosen!r}" + ("" if chosen not in EMBEDDINGS else " of a vocabulary without <cls>")
            raise InputError(got, "mean, geneformer, or cls where there is a <cls>", "correct `embedding`")
        layers = int(wrapper.config.num_hidden_layers)
        layer = whole_number("layer", layer)
        if not -layers <= layer <= 0:
            raise InputError(f"layer {layer}", f"0 for the last, down to {-layers}", "correct `layer`")
        return cls(wrapper, chosen, layer, batch_size)

    @property
    def classifies(self) -> bool:
        """Whether the model has classes of cells."""
        return self.wrapper.task == "text-classification" and int(self.wrapper.config.num_labels) > 1

    def cell(self, example: Any) -> Cell:
        """A cell's tokens, and which of them are genes.

        Raises:
            InputError: If it cannot be read, or has no `<cls>` whose embedding is asked for.
        """
        encoded = self.wrapper.encode(example)
        assert encoded.content is not None
        tokens = encoded.inputs["input_ids"].tolist()
        if self.embedding == "cls" and tokens[0] != self.wrapper.processor.tokens["<cls>"]:
            got = "tokens without the <cls> at which its embedding is read"
            raise InputError(
                got, "<cls> first, as this model's tokenizer writes it", 'tokenise again, or pass embedding="mean"'
            )
        return Cell(tokens, encoded.content.tolist(), self.wrapper.limit, encoded.notes)

    def embedded(self, hidden: Tensor, genes: Sequence[int]) -> Tensor:
        """The embedding of a cell, float64, shape `(width,)`: of `<cls>`, or the mean over the genes at some places."""
        return (hidden[0] if self.embedding == "cls" else hidden[list(genes)].mean(0)).double()

    def read(
        self, cells: Sequence[Sequence[int]], visit: Callable[[int, Tensor, Tensor | None], Any] | None = None
    ) -> list[Any]:
        """What `visit` makes of each cell's hidden states `(tokens, width)` and log-probabilities of classes.

        Args:
            cells: The tokens of each.
            visit: Called with the number of a cell and these; None for both as they are.
        """
        model: Any = self.wrapper.model if self.classifies else self.wrapper.model.base_model
        place = int(self.wrapper.config.num_hidden_layers) + self.layer
        device = self.wrapper.device
        results: list[Any] = [None] * len(cells)
        for members in grouped(cells, len):
            entries = len(cells[members[0]]) * int(self.wrapper.config.hidden_size)
            rows = suggested_rows(entries, device) if self.batch_size == "auto" else self.batch_size

            def work(chunk: slice, members: list[int] = members) -> None:
                some = members[chunk]
                ids = torch.tensor([cells[i] for i in some], device=device)
                with torch.no_grad(), theirs():
                    out = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
                hidden = out.hidden_states[place].float().cpu()
                logits = out.logits.double().cpu().log_softmax(-1) if self.classifies else None
                for row, i in enumerate(some):
                    own = None if logits is None else logits[row]
                    results[i] = (hidden[row], own) if visit is None else visit(i, hidden[row], own)

            MicroBatcher(rows).run(work, len(members))
        return results


@dataclass(frozen=True, eq=False)
class _Work:
    """Perturbs cells piece by piece.

    Attributes:
        reader: Reads the model.
        by: "delete" or "overexpress".
        genes: The tokens of each perturbation; None for each gene of each cell.
        goals: The embeddings of the goal and the alternatives.
        downstream: Whether effects on other genes are gathered.
    """

    reader: EmbeddingReader
    by: str
    genes: list[tuple[int, ...]] | None
    goals: list[Tensor]
    downstream: bool

    @property
    def cells_at_once(self) -> int:
        """Cells of a piece."""
        most = self.reader.wrapper.limit or 2048 if self.genes is None else 2 * len(self.genes)
        return max(1, min(MOST_CELLS, AT_ONCE // most))

    def piece(self, examples: Sequence[tuple[int, Any]]) -> dict[str, np.ndarray]:
        """All perturbations of some cells, as the arrays of a piece.

        Args:
            examples: The number and the example of each.
        """
        cells = {number: self.reader.cell(example) for number, example in examples}
        clean = dict(zip(cells, self.reader.read([cell.tokens for cell in cells.values()]), strict=True))
        variants = [variant for number, cell in cells.items() for variant in self._variants(number, cell)]
        affected: dict[tuple[int, bool, int], np.ndarray] = {}

        def visit(i: int, hidden: Tensor, _: Tensor | None) -> list[float]:
            variant = variants[i]
            whole, geneformer = clean[variant.cell][0], self.reader.embedding == "geneformer"
            before: Sequence[int] = variant.before
            after: Sequence[int] = variant.after
            by_gene = None
            if self.downstream or geneformer:
                by_gene = _cosine(whole[list(before)], hidden[list(after)])
            if self.downstream:
                assert by_gene is not None
                self._gather(affected, variant, by_gene)
            if geneformer:  # perturbed genes are in both means
                before = cells[variant.cell].content
                after = range(before[0], after[-1] + 1)
            one, other = self.reader.embedded(whole, before), self.reader.embedded(hidden, after)
            cosine = by_gene.mean() if geneformer and by_gene is not None else _cosine(one, other)
            return [float(cosine), *(float(_cosine(other, g) - _cosine(one, g)) for g in self.goals)]

        found = np.array(self.reader.read([one.tokens for one in variants], visit), dtype=np.float64)
        found = found.reshape(len(variants), 1 + len(self.goals))
        arrays: dict[str, np.ndarray] = {
            "cell": np.array([one.cell for one in variants], dtype=np.int64),
            "perturbation": np.array([one.perturbation for one in variants], dtype=np.int64),
            "rank": np.array([one.rank for one in variants], dtype=np.int64),
            "control": np.array([one.control for one in variants], dtype=np.uint8),
            "cosine": found[:, 0], "shifts": found[:, 1:], "score": self._scores(variants, clean),
        }  # fmt: skip
        if self.downstream:
            arrays["affected"] = np.array(list(affected), dtype=np.int64).reshape(-1, 3)
            arrays["affected_sums"] = np.array(list(affected.values()), dtype=np.float64).reshape(-1, 3)
        return arrays

    def _variants(self, number: int, cell: Cell) -> list[Variant]:
        """The perturbed cells made of one, with a control for each where genes were named."""
        reads_first = reads_first_gene(self.reader.wrapper)
        if self.genes is None:
            every = [(token, (token,), False) for token in dict.fromkeys(cell.genes)]
            return perturbed_cells(number, cell, every, self.by, reads_first)
        named = [(i, tokens, False) for i, tokens in enumerate(self.genes)]
        variants = perturbed_cells(number, cell, named, self.by, reads_first)
        tokenizer = self.reader.wrapper.processor
        vocabulary = sorted(set(tokenizer.genes) - tokenizer.special_ids)
        drawn = [random_genes(cell, self.genes[one.perturbation], vocabulary, one.perturbation) for one in variants]
        random = [(one.perturbation, tokens, True) for one, tokens in zip(variants, drawn, strict=True) if tokens]
        return variants + perturbed_cells(number, cell, random, self.by, reads_first)

    def _scores(self, variants: Sequence[Variant], clean: Mapping[int, Any]) -> np.ndarray:
        """The change of the log-probability of each cell's own label; NaN where the model has no classes."""
        if not self.reader.classifies:
            return np.full(len(variants), np.nan)
        labels = {number: int(logits.argmax()) for number, (_, logits) in clean.items()}
        wanted = list({tokens: None for one in variants for tokens in (one.score_before, one.score_after) if tokens})
        logits = dict(zip(wanted, self.reader.read(wanted, lambda i, hidden, own: own), strict=True))

        def value(tokens: tuple[int, ...] | None, number: int) -> float:
            return float((clean[number][1] if tokens is None else logits[tokens])[labels[number]])

        return np.array([value(v.score_after, v.cell) - value(v.score_before, v.cell) for v in variants])

    def _gather(self, affected: dict[tuple[int, bool, int], np.ndarray], variant: Variant, cosines: Tensor) -> None:
        """Add the cosines of the other genes of one cell."""
        for token, cosine in zip(variant.others, cosines.tolist(), strict=True):
            key = variant.perturbation, variant.control, token
            affected.setdefault(key, np.zeros(3))[:] += (1.0, cosine, cosine**2)


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=-1)
