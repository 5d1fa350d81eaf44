"""FourierExplainer: a model with its processor, which explains examples, data sets and recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from hf_fourier.domains import Domain, Fourier
from hf_fourier.evaluation.evaluating import Evaluating
from hf_fourier.methods import Method
from hf_fourier.results.curve import CurveKeywords
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.domains.bands import Bands
    from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
    from hf_fourier.evaluation.studies.mutations import Mutations
    from hf_fourier.runs.options import RunKeywords
    from hf_fourier.runs.plan import Plan
    from hf_fourier.runs.recording import Recording
    from hf_fourier.runs.results import Results


@exact_class
class FourierExplainer(Evaluating):
    """Explains the predictions of one model by the frequencies of its input.

    Threads may share an explainer, or have several of models that share modules: they take turns with a model, whose
    train mode and gradient flags are as they were between them. Ambient modes of torch (autocast, inference mode) reach
    the model's forward alone.

    Args:
        model: A `transformers` model with a head; or any other `torch.nn.Module`, a function of rows on tensors or
            arrays, an estimator of scikit-learn, a session of onnxruntime (`hf-fourier docs howto/my-network`).
            Neither moved nor changed.
        processor: Its tokenizer or image processor; without one, examples come as the processor's own output.
        task: The pipeline's name of the head; None for that of the model's class.
        method: The default method, a spec or an object ("tracking", "ffc:kappa=.03"); None for "tracking", of
            functions on arrays "random_masks".
        domain: The default domain; None for the Fourier transform along the signal's ordered axes.
        name: The model's name in results; None for the name that it was loaded by.
        signal: Where to explain, if not at the model's own input: "waveform" for the samples in front of a model that
            reads their log-mel spectrogram, so that frequencies are in Hz.
        dither: Noise that is added to the model's input in all passes: its standard deviation, relative to the largest
            entry of each example's signal (1 where all are 0), seeded and noted. With 1e-6, 120 dB below the peak,
            models have a gradient that have none at digital silence (a root, a logarithm). May be set later.
        representation: The name of the module whose output is the hidden representation, for methods that read one
            and name none ("layer4"), and of an embedding; None for the input of the last linear layer.
        **network: Of a network or a function (`hf_fourier.models.network.NetworkOptions`): `preprocess` (one example
            to a tensor or array without a batch axis), `labels`, `axes` (names of the last ones, "time", "height",
            …), `sampling_rate` in Hz, `outputs` ("logits", "probabilities", "sigmoid", "values", "masks", "embedding"),
            `arrays` (numpy in and out: no gradient), `version` (a name of weights that cannot be read), `unit` (of
            voltages that the network reads, "uV", for recordings of MNE and EDF files).

    Attributes:
        donors: Other examples, for methods that put their features in place of deleted ones (`replacement=example`);
            set it to what `explain` takes, or to None.

    Raises:
        ModelError: If the model has no head that can be explained, or no such signal.
        InputError: If an option of a network is invalid, or does not suit the model.
    """

    def explain_dataset(self, dataset: Any, output_dir: str | PathLike[str], **options: Unpack[RunKeywords]) -> Results:
        """Explain every example of a data set, and write the results to a folder, in shards.

        Examples that cannot be explained are recorded with the reason. A run that is killed is resumed by the same call
        from its last finished chunk, to the same bytes. Several processes divide the chunks
        (`hf-fourier docs runs`).

        Args:
            dataset: A list of examples; a `datasets.Dataset`, streaming or not; a Hub id; a local parquet, CSV, JSON
                lines or text file, an `.h5ad`, or a folder of pictures, sounds, volumes or cells; an `AnnData`.
            output_dir: The run's folder.
            **options: The fields of `hf_fourier.runs.options.RunOptions`:

                - `target`: the target of every example, as for `explain`; None for the prediction.
                - `targets`: one target for each example instead (a list, a column of a data set).
                - `column`: the column that holds the examples; two for pairs of texts.
                - `split`: the split, if the data set has several.
                - `streaming`: whether to stream a Hub id instead of downloading it.
                - `method`, `domain`: if not the explainer's defaults.
                - `contributions`: points on the paths for signed contributions to the answer, as for `explain`.
                - `gene_scores`: with store="genes", "sequential_contributions"; None for contributions (see `genes`).
                - `fractions`: fractions to keep and to delete, or a `FractionGrid`; None for no perturbation curves.
                - `replacement`: what replaces deleted features in the curves, as for `perturb`.
                - `store`: "everything", "scores", "genes" (of cells), "top", or "auto" (the first that fits).
                - `budget`: bytes that the results may take ("20GB"); only "auto" reads it.
                - `top`: how many top features are stored, if nothing else is.
                - `seed`: seed of all random numbers.
                - `batch_size`: largest number of rows in a batch; "auto" for a size that suits signal and device.
                - `chunk`: examples in a chunk, the most that an interruption loses; None for a suitable size.
                - `processes`: expected number of processes; None for as many as were started.
                - `workers`: worker processes that read, decode and encode the examples (on Linux); 0 for none.
                - `progress`: whether to print the plan and the progress on standard error.

        Returns:
            The results, which are read lazily.

        Raises:
            InputError: If the folder holds another run, or nothing can be explained.
            StorageError: If the disk is full or closed, or another run writes to the folder; what was written stays.
        """
        from hf_fourier.runs.options import RunOptions
        from hf_fourier.runs.run import explain_dataset

        return explain_dataset(self, dataset, output_dir, RunOptions(**options))

    def estimate(self, dataset: Any, **options: Unpack[RunKeywords]) -> Plan:
        """Estimate the time, memory and space of `explain_dataset` with the same options, from a few examples."""
        from hf_fourier.runs.options import RunOptions
        from hf_fourier.runs.run import plan

        return plan(self, dataset, RunOptions(**options))

    def spectrum(
        self,
        data: Any,
        by: str | Iterable[Any] | None = None,
        bands: Bands = "octave",
        *,
        labels: str | Iterable[Any] | None = None,
        clusters: str | Iterable[Any] | None = None,
        output_dir: str | PathLike[str] | None = None,
        **options: Unpack[RunKeywords],
    ) -> ModelSpectrum:
        """Measure how the model's accuracy over a data set depends on each band.

        Each example passes low-pass, high-pass, band-pass and band-stop filters at the bands' edges, and gets noise in
        each band in turn; no gradient is needed. It is a run: resumable and parallel, with 800 bytes of memory each.

        Args:
            data: As for `explain_dataset`.
            by: How figures group examples: a column of the data, "prediction", "folder" (of each file) or a value each.
            bands: The bands (see `hf_fourier.domains.bands.Bandable`), unless `options` have a `domain` with bands.
            labels: The true classes, for accuracies: a column, "folder", or one each. None: `by`, if it names classes
                of the model; otherwise the share of the model's clean predictions that are kept replaces the accuracy.
            clusters: As `labels`: names of dependent examples, such as those of one speaker or patient.
            output_dir: A folder for the results; None for a temporary one.
            **options: As for `explain_dataset`; `method` for other settings, such as "filters:replacement=noise".

        Returns:
            A `ModelSpectrum`: `plot()`, `to_pandas()`, `summary()`, `save()`.

        Raises:
            FourierError: If nothing can be explained, there is no such column, or the bands do not suit the signal.
        """
        from tempfile import TemporaryDirectory

        from hf_fourier.evaluation.studies.band_readings import grouping, spectrum_of_run
        from hf_fourier.runs.options import RunOptions
        from hf_fourier.runs.run import explain_dataset

        settings: RunKeywords = {"store": "scores", "progress": output_dir is not None, "method": "filters"}
        settings.update(options)
        settings["domain"] = options.get("domain") or Fourier(bands=bands)
        known = grouping(data, settings, output_dir is None, by, labels, clusters)
        with TemporaryDirectory(prefix="hf_fourier-") as temporary:
            run = RunOptions(**settings)
            results = explain_dataset(self, data, output_dir or temporary, run, temporary=output_dir is None)
            return spectrum_of_run(self, results, known)

    def explain_recording(
        self,
        example: Any,
        target: Target = None,
        *,
        seconds: float | None = None,
        overlap: float = 0.25,
        fractions: Sequence[float] = (),
        output_dir: str | PathLike[str] | None = None,
        method: str | Method | None = None,
        domain: str | Domain | None = None,
        contributions: int | None = None,
        seed: int = 0,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
        **curves: Unpack[CurveKeywords],
    ) -> Recording:
        """Explain a recording of any length in overlapping segments, with one merged result.

        The file is read piece by piece and the segments' results are stored in files, so memory does not grow with it.
        Segments have one length; the last one ends with the recording. An event no longer than the overlap lies within
        at least one segment.

        Args:
            example: A path, or any other sound that `explain` takes.
            target: The target of every segment; None for the prediction in each.
            seconds: The length of a segment; None for the model's window, or 10 if it has none.
            overlap: The fraction of a segment that overlaps the next one, 0 to below 1.
            fractions: Fractions of features for perturbation curves of each segment (see `perturb`).
            output_dir: A folder for the segments' results; None for a temporary one that is removed with the result.
            method: A method other than the explainer's default.
            domain: A domain other than the explainer's default.
            contributions: Points on the paths for signed contributions to the answer, as for `explain`.
            seed: Seed of all random numbers.
            batch_size: Largest number of segments at once.
            progress: True for a bar, or a function that is called with (segments done, segments in all).
            **curves: `replacement`, what replaces deleted features, as for `perturb`.

        Returns:
            A `Recording`: the prediction over time, one spectrum for each label, and each segment's `Attribution`.

        Raises:
            InputError: If it is no sound, or the model takes none.
            FourierError: Any error after some segments were done carries them as `error.completed`.
        """
        from hf_fourier.runs.recording import explain_recording

        return explain_recording(
            self, example, target, seconds=seconds, overlap=overlap, fractions=fractions, output_dir=output_dir,
            method=method, domain=domain, contributions=contributions, seed=seed, batch_size=batch_size,
            progress=progress, **curves,
        )  # fmt: skip

    def mutations(
        self,
        sequence: Any,
        target: Target = None,
        *,
        places: Sequence[int] | None = None,
        batch_size: BatchSize = "auto",
        progress: Callable[[int, int], None] | bool | None = None,
    ) -> Mutations:
        """In-silico mutagenesis: what every substitution of one residue or base does to the log-odds of the label.

        One forward pass for each of the 19 other residues, or 3 other bases, at each place; substituted sequences share
        batches. What is read is what the model says of each variant, tokenized anew.

        Args:
            sequence: One protein or DNA sequence, as for `explain`. A mask stays as it is.
            target: As for `explain`; None for the prediction of the sequence itself.
            places: Positions to substitute, counted from 0, or a mask; None for all letters.
            batch_size: Rows in a batch, at most.
            progress: True for a bar, or a function that is called with (variants done, variants in all).

        Returns:
            A `Mutations`: `effects` (places × letters), `table()`, `track()`, `plot()`.

        Raises:
            InputError: If the model reads no sequences of residues or bases, or there is no such place.
            TargetError: If what is explained belongs to single tokens.
        """
        from hf_fourier.evaluation.studies.mutations import mutations

        call: Any = progress if callable(progress) else None
        return mutations(self, sequence, target, places, batch_size, call)
