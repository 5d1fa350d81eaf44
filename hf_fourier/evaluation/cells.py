"""Cells: genes scored by their effect on the prediction, and genes deleted or over-expressed, with one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from hf_fourier.engine import Engine
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.gene_shifts import GeneShifts
    from hf_fourier.results.gene_scores import GeneScores


@exact_class
class ScoringGenes(Engine):
    """One wrapped model of cells, whose genes are scored and perturbed. Users meet it as `FourierExplainer`."""

    def genes(
        self,
        cells: Any,
        target: Target = None,
        *,
        by: str = "sequential_contributions",
        groupby: Any = None,
        check: int = 5,
        fractions: Sequence[float] | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> GeneScores:
        """Score the genes of many cells: which ones the model's answers rest on, tested by group.

        Cells are explained in blocks; only one number for each expressed gene of a cell stays in memory.

        Args:
            cells: A list of cells, an `AnnData` (in memory, a view, backed), or the path of a table of cells or of a
                `.dataset`.
            target: As for `explain`; None for each cell's prediction.
            by: What the score of a gene is; `hf-fourier docs genes` says which question each answers.

                - "sequential_contributions" (the default): which genes change the prediction when they are deleted
                  together. The top genes by contributions are deleted, the contributions of the shorter cell are taken,
                  and so on. A round deletes genes that speak for the label, at most 1/128 of the cell's genes or a
                  fifth of those deleted before, whichever is more. The score of a deleted gene is its contribution in
                  the cell from which it was deleted, and at most that of the gene deleted before it: the order of
                  scores is that of deletion. Where no gene that is left speaks for the label, each has its contribution
                  in that cell, 0 or below. There are at most 46 rounds; genes that are left then have their
                  contributions in the last one. These scores have no sum.
                - "contributions": the gene's signed contribution to the target; they sum to a stated total. About seven
                  times as fast.
                - "deletion" or "mask": the fall of the score without the gene, a forward pass for each.
                - A method: its scores of the genes' places ("integrated_gradients").
            groupby: A column of `obs`, or the group of each cell; None for no groups.
            check: How many of the strongest genes of each cell are also deleted one by one, for `sign disagrees`.
            fractions: Fractions of a cell's genes to keep and to delete, for `curve_table`; None for no curves.
            seed: Seed of all random numbers.
            batch_size: Rows in a batch, at most.
            progress: True for a bar, or a function that is called with (cells done, cells in all).

        Returns:
            A `GeneScores`: `table()`, `compare()`, `curve_table()`, `to_anndata()`, `save()`.

        Raises:
            InputError: If no cell is there, one cannot be read, two of a table share a name, or groups are missing.
            SpecError: If there is no such method.
            TargetError: If what is explained belongs to single genes (a gene classifier, a language model).
        """
        from hf_fourier.evaluation.studies.score_genes import score_genes

        return score_genes(
            self, cells, target, by=by, groupby=groupby, check=check, fractions=fractions, seed=seed,
            batch_size=batch_size, progress=progress if callable(progress) else None,
        )  # fmt: skip

    def perturb_genes(
        self,
        cells: Any,
        genes: Sequence[str | Sequence[str]] | None = None,
        by: str = "delete",
        *,
        embedding: str | None = None,
        layer: int = -1,
        states: Mapping[str, Any] | None = None,
        downstream: bool = False,
        output_dir: str | PathLike[str] | None = None,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> GeneShifts:
        """In-silico perturbation after Theodoris et al. 2023: how cells' embeddings shift without genes, or with more.

        Of classifiers of cells and of pretrained models. One forward pass for each perturbation of each cell, cells of
        one length in a batch without padding; named genes have a control each, random genes of like rank.

        Args:
            cells: As for `genes`.
            genes: One or several symbols or Ensembl ids; an inner list is one combination, perturbed together. None for
                each gene of each cell.
            by: "delete" takes the token out and closes the gap, in the cells that have all genes; "overexpress" puts it
                first, whether the cell had it or not.
            embedding: Of a cell: "mean" over its genes, marks left out, or "cls"; None for that where there is a
                `<cls>`. Perturbed genes are in neither of the means that are compared. "geneformer" as Geneformer's
                tools take it (`emb_mode="cell"`): means with the perturbed genes in them; without states the mean over
                the other genes of the cosines of their embeddings.
            layer: 0 for the last layer, which Geneformer's authors advise for fine-tuned classifiers, -1 for the one
                before, for pretrained models.
            states: As Geneformer's `cell_states_to_model`: `state_key` (a column of `obs`, or one state for each cell),
                `start_state` (the cells that are perturbed), `goal_state`, `alt_states`. None perturbs all cells.
            downstream: Whether shifts of the embeddings of other genes are gathered too, of named genes.
            output_dir: A folder, in which the same call goes on where it was stopped; None for memory alone.
            batch_size: Rows in a batch, at most.
            progress: True for a bar, or a function that is called with (cells done, cells in all).

        Returns:
            A `GeneShifts`: `table()` with columns named like Geneformer's, `downstream_table()`.

        Raises:
            InputError: If there is no such gene or state, a cell cannot be read, or the folder holds another one.
            StorageError: If the folder cannot be written, or its settings are damaged.
        """
        from hf_fourier.evaluation.studies.perturb_genes import EmbeddingReader, perturb_genes

        reader = EmbeddingReader.of(self, embedding, layer, batch_size)
        return perturb_genes(self, reader, cells, genes, by, states, downstream, output_dir, progress)
