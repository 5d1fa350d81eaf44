"""The contents of a report: results, records, evaluation and sanity checks, for everything that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from hf_fourier.errors import InputError, brief, is_list_like
from hf_fourier.report import privacy
from hf_fourier.report.example_record import ExampleRecord, report_record
from hf_fourier.report.examples import example_numbers
from hf_fourier.results.integrity import readable
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
    from hf_fourier.report.class_summary import ClassSummary
    from hf_fourier.results.attribution import Attribution


ContentT = TypeVar("ContentT", bound="ReportContent")


@exact_class
class ReportContent:
    """The contents of a report; everything that writes takes one. See `Report`."""

    def __init__(
        self,
        results: Sequence[Attribution],
        evaluation: Evaluation | None = None,
        sanity: SanityResult | Sequence[SanityResult] | None = None,
        title: str | None = None,
        names: Sequence[str] | None = None,
        spectrum: SpectrumMeans | None = None,
    ) -> None:
        self.results: tuple[Attribution, ...] = tuple(results if is_list_like(results) else [results])  # type: ignore[list-item]
        self.evaluation, self.spectrum = evaluation, spectrum
        self.sanity = () if sanity is None else tuple(sanity) if isinstance(sanity, Sequence) else (sanity,)
        self._check_kinds()
        if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
            raise InputError(f"names {brief(names)}", "one for each result, in a list", "correct `names`")
        if names is not None and len(names) != len(self.results):
            got = f"{len(names)} names for {len(self.results)} results"
            raise InputError(got, "one for each", "correct `names`")
        self.names = tuple(readable(str(n)) for n in names) if names is not None else _numbers(len(self.results))
        if not self.results and evaluation is None and not self.sanity and spectrum is None:
            raise InputError("nothing to report", "results, an evaluation, sanity checks or a spectrum", "pass some")
        models = {one.provenance.get("model") for one in self.results}
        if spectrum is not None and privacy.model_of(spectrum.model) not in {privacy.model_of(m) for m in models}:
            models = models | {spectrum.model}
        if len(models) > 1:
            got = f"results of {len(models)} models: {', '.join(sorted(map(str, models))[:4])}"
            raise InputError(got, "those of one", "make a report of each")
        if title is not None and not isinstance(title, str):
            raise InputError(f"title {brief(title)}", "a text", "correct `title`")
        self.title = readable(title if title is not None else f"Frequency explanations of {self.model or 'a model'}")

    def _check_kinds(self) -> None:
        """Refuse what is no result, evaluation, sanity check or spectrum.

        Raises:
            InputError: If something is none.
        """
        from hf_fourier.evaluation.results import Evaluation, SanityResult
        from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans
        from hf_fourier.results.attribution import Attribution

        evaluations = [] if self.evaluation is None else [self.evaluation]
        spectra = [] if self.spectrum is None else [self.spectrum]
        parts: tuple[tuple[Sequence[Any], type, str, str], ...] = (
            (self.results, Attribution, "results", "what `explain` returns"),
            (evaluations, Evaluation, "evaluation", "what `evaluate` returns"),
            (self.sanity, SanityResult, "sanity", "what `sanity_check` returns"),
            (spectra, SpectrumMeans, "spectrum", "what `spectrum` returns"),
        )
        for values, kind, name, expected in parts:
            if wrong := [value for value in values if not isinstance(value, kind)]:
                raise InputError(f"{name} with {brief(wrong[0])}", expected, f"correct `{name}`")

    def __repr__(self) -> str:
        kinds = [f"{len(self.records)} examples"]
        kinds += ["an evaluation"] if self.evaluation else []
        kinds += ["a spectrum"] if self.spectrum else []
        kinds += [f"{len(self.sanity)} sets of sanity checks"] if self.sanity else []
        return f"Report({self.title!r}: {', '.join(kinds)})"

    def __len__(self) -> int:
        return len(self.records)

    @property
    def model(self) -> str:
        """The explained model's name."""
        if self.records:
            return str(self.records[0].provenance.get("model") or "")
        if self.spectrum is not None:
            return self.spectrum.model
        return self.evaluation.model if self.evaluation else self.sanity[0].model if self.sanity else ""

    @property
    def has_inputs(self) -> bool:
        """Whether the examples themselves are here, to be looked at and listened to."""
        return any(result.signal is not None for result in self.results)

    @cached_property
    def records(self) -> tuple[ExampleRecord, ...]:
        """One per example: what can be shared of it."""
        return self._records(shared=True)

    @cached_property
    def classes(self) -> tuple[ClassSummary, ...]:
        """Summaries of the examples of each label."""
        return self._classes(self.records)

    def written(self, include_inputs: bool) -> ReportContent:
        """The content as it is written: texts scrubbed, and without inputs rounded, with nothing of an example."""
        from hf_fourier.report import serialization as values
        from hf_fourier.report.spectrum_values import spectrum_from, spectrum_to

        shared, evaluation, spectrum = not include_inputs, self.evaluation, self.spectrum
        if evaluation is not None:
            evaluation = values.evaluation_from(values.evaluation_to(evaluation, shared))
        if spectrum is not None:
            spectrum = spectrum_from(spectrum_to(spectrum, shared))
        sanity = [values.sanity_from(values.sanity_to(one, shared)) for one in self.sanity]
        records, title = self._records(shared), privacy.title_of(self.title, self.model, shared)
        found = ReportContent._of(records, self._classes(records), evaluation, sanity, title, spectrum)
        if include_inputs:
            found.results, found.names = self.results, self.names
        return found

    def _records(self, shared: bool) -> tuple[ExampleRecord, ...]:
        """One per example; not `shared`: with its name and with labels that are a part of it."""
        if not self.results:  # those that were stored, if any
            return tuple(vars(self).get("records", ()))
        numbers = example_numbers(self.results, self.names)
        triples = zip(self.results, self.names, numbers, strict=True)
        return tuple(report_record(result, name, shared, number) for result, name, number in triples)

    def _classes(self, records: Sequence[ExampleRecord]) -> tuple[ClassSummary, ...]:
        from hf_fourier.report.class_summary import summaries

        stored: tuple[ClassSummary, ...] = vars(self).get("classes", ())
        return tuple(summaries(records, self.results)) if self.results else stored

    @classmethod
    def _of(
        cls: type[ContentT], records: Sequence[ExampleRecord], classes: Sequence[ClassSummary],
        evaluation: Evaluation | None,
        sanity: Sequence[SanityResult], title: str, spectrum: SpectrumMeans | None,
    ) -> ContentT:  # fmt: skip
        """A report of records without results."""
        content = cls.__new__(cls)
        content.results, content.names = (), _numbers(len(records))
        content.evaluation, content.sanity, content.title = evaluation, tuple(sanity), title
        content.spectrum = spectrum
        content.records, content.classes = tuple(records), tuple(classes)
        return content


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"example {i + 1}" for i in range(count))


def require_inputs(report: ReportContent) -> None:
    """Refuse to show inputs that are not there.

    Raises:
        InputError: If a result is compact, or there are none.
    """
    compact = [i + 1 for i, result in enumerate(report.results) if result.signal is None]
    if report.records and (compact or not report.results):
        got = f"compact results ({', '.join(map(str, compact[:5]))})" if compact else "a report without its inputs"
        raise InputError(f"include_inputs=True and {got}", "results with their examples", "leave include_inputs out")
