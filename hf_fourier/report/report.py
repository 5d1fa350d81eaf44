"""A report: results of one model and the measurements about them, as a folder, one HTML file, and tables."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.report.content import ReportContent
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.report.hub.repository import PushResult
    from hf_fourier.results.table import Table


@exact_class
class Report(ReportContent):
    """Explanations of one model with the measurements about them and what can be concluded.

    It is made from results alone and never runs the model. Without `include_inputs=True` it contains no input and
    nothing from which one can be reconstructed; see `hf-fourier docs reports`. It opens with bands if the results
    have some: add `explainer.explain(x, method="occlusion:mode=both", domain="fourier:bands=octave")`, and the view of
    that example starts with what each band is worth.

    Args:
        results: Attributions of one model: of many examples, by one method or several, in bands and in single
            frequencies.
        evaluation: The result of `FourierExplainer.evaluate`.
        sanity: The result of `FourierExplainer.sanity_check`, or several.
        title: The report's title; by default it names the model. It is shown and shared as it is.
        names: The names of the examples, one per result. They are shown only with inputs.
        spectrum: The result of `FourierExplainer.spectrum`: which bands the model reads over a data set. Only its means
            are written, no number of a single example; groups that are not classes of the model become numbers.

    Attributes:
        results: The attributions; empty in a report that was read from a folder without inputs.
        records: One `ExampleRecord` per example, which holds no input.
        evaluation: As given, or None.
        sanity: All checks that were given.
        title: The title.
        names: As given, or numbers.
        spectrum: As given; in a loaded report its means (`SpectrumSummary`); None without one.

    Raises:
        InputError: If there is nothing to report, the results are of several models, or names are too few or many.
    """

    def save(self, folder: str | PathLike[str], include_inputs: bool = False, figures: bool = True) -> Path:
        """Write the report into a folder and return it; `hf-fourier docs reports` gives the layout.

        Args:
            folder: Created if it does not exist. An earlier report in it is replaced, including its inputs.
            include_inputs: Write the examples too: results to load again, pictures, sounds, tokens, genes and names.
                Otherwise the folder contains nothing from which an input can be reconstructed.
            figures: Draw the curves, bands, classes, evaluation and spectrum as PNG, which takes a second or two;
                `figures()` draws them as SVG too, and each example.

        Raises:
            InputError: If the folder holds something else, or inputs are asked for and there are none.
            MissingExtraError: If a package of the extra `report` is missing.
        """
        from hf_fourier.report.folder import save

        return save(self, folder, include_inputs, figures)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Report:
        """Read what `save` wrote.

        Raises:
            InputError: If the folder holds no report, or one of a newer format.
            DamagedFile: If a file is not as it was written.
        """
        from hf_fourier.report.folder import load

        return load(folder, cls)

    def html(self, path: str | PathLike[str] | None = None, include_inputs: bool = False) -> str:
        """Return the report as one HTML page that needs no network.

        Args:
            path: Where to write it as well.
            include_inputs: Show the examples too; see `save`.

        Raises:
            InputError: If inputs are asked for and there are none.
            MissingExtraError: If Jinja2 is not installed.
        """
        from hf_fourier.report.html.page import page

        text = page(self, include_inputs)
        if path is not None:
            where = Path(path)
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(text, encoding="utf-8", errors="backslashreplace")
        return text

    def tables(self, include_inputs: bool = False) -> dict[str, Table]:
        """Return all tables that have rows, by name.

        They are `examples`, `curves`, `bands` (power by frequency), `band_scores`, `classes`, `evaluation`, `spectrum`
        and `sanity`.

        Args:
            include_inputs: Name the examples, and the labels that are a part of them.
        """
        from hf_fourier.report.tables import tables

        return tables(self, include_inputs)

    def figures(self, folder: str | PathLike[str], include_inputs: bool = False) -> dict[str, Path]:
        """Write figures as PNG and SVG, light and dark, and return their paths.

        They show the curves, bands, classes, the evaluation and the spectrum, as far as the report has them.

        Args:
            folder: Created if it does not exist.
            include_inputs: Also write a figure of each example (`Attribution.plot`), which takes seconds each.

        Raises:
            InputError: If inputs are asked for and there are none.
            MissingExtraError: If matplotlib is not installed.
        """
        from hf_fourier.report.content import require_inputs
        from hf_fourier.report.figures.overview import save_figures

        if include_inputs:
            require_inputs(self)
        return save_figures(self, folder, include_inputs, examples=True)

    def to_parquet(self, folder: str | PathLike[str], include_inputs: bool = False) -> dict[str, Path]:
        """Write each of `tables` as a Parquet file, and return the paths by name.

        Raises:
            MissingExtraError: If pyarrow is not installed.
        """
        from hf_fourier.report.tables import to_parquet

        return to_parquet(self, folder, include_inputs)

    def to_csv(self, folder: str | PathLike[str], include_inputs: bool = False) -> dict[str, Path]:
        """Write each of `tables` as a CSV file, and return the paths by name."""
        from hf_fourier.report.tables import to_csv

        return to_csv(self, folder, include_inputs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        as_space: bool | str = False,
        include_inputs: bool = False,
        private: bool = True,
        license: str | None = None,
        token: str | None = None,
    ) -> PushResult:
        """Push the report to the Hub in one commit, as a data set with a card, or as a Space that shows the page.

        An earlier report in the repository is replaced, with its files; a repository that holds something else is left
        alone. Nothing on this machine changes. `hf-fourier docs sharing` lists what is written.

        Args:
            repo_id: "user/name"; created if it does not exist.
            as_space: A static Space with the HTML page instead of a data set; "gradio" for a Space whose app shows the
                page, and the tables to sort and search.
            include_inputs: Share the examples too, and what is kept or deleted of them.
            private: Whether a new repository is private; True refuses an existing one that is public.
            license: By the Hub's identifier ("cc-by-4.0"), for the card.
            token: For the Hub; None for the one that is logged in, or HF_TOKEN.

        Raises:
            HubError: If there is no token or it is refused, the network fails, or the repository is not the report's.
            InputError: If the name cannot be a repository's, or inputs are asked for and there are none.
            MissingExtraError: If a package of the extra `report` is missing.
        """
        from hf_fourier.report.hub.repository import push

        return push(self, repo_id, as_space, include_inputs, private, license, token)

    def propose_model_card(
        self, model_id: str, *, dataset: str | None = None, dataset_id: str = "custom", token: str | None = None
    ) -> str | None:
        """Open a pull request that adds the measurements to a model card.

        It changes one marked section, and in `model-index` the results of this library for the same task and data.
        All other text stays as it is.

        Args:
            model_id: The explained model's id.
            dataset: A description of the examples; with None the card says that they are the author's.
            dataset_id: The id of that data set on the Hub, if it has one.
            token: For the Hub; None for the one that is logged in, or HF_TOKEN.

        Returns:
            The pull request's page; None if the card already has the same content.

        Raises:
            HubError: If there is no token or it is refused, the network fails, or there is no such model.
            InputError: If the report has neither an evaluation nor a spectrum, is of another model, or the card's
                metadata are broken.
        """
        from hf_fourier.report.hub.repository import propose

        return propose(self, model_id, dataset, dataset_id, token)

    @classmethod
    def from_hub(
        cls, repo_id: str, revision: str | None = None, *, token: str | None = None, max_bytes: int = 2_000_000_000
    ) -> Report:
        """Read a report that `push_to_hub` pushed, at one commit.

        Only values and tensors are downloaded, no page and no code; sizes are checked before and after.

        Args:
            repo_id: "user/name".
            revision: A branch, a tag or a commit.
            token: For a private repository; None for the one that is logged in, or HF_TOKEN.
            max_bytes: Largest size of the download.

        Raises:
            HubError: If there is no such report, it is too large or not whole, or the network fails.
        """
        from hf_fourier.report.hub.repository import pull

        return pull(repo_id, revision, token, max_bytes, cls)

    def _repr_html_(self) -> str:
        """The page in a frame, for notebooks. Notebooks are shared, so it shows no input; `show()` does."""
        from hf_fourier.report.html.page import framed

        return framed(self.html())
