"""Complete methods that miss their sum say so, with the two numbers, wherever a result is shown."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer, Report, attribute
from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.results.remarks import INCOMPLETE, MAX_COMPLETENESS_ERROR, incomplete, once
from tests.models import tiny_models, tiny_tokenizers
from tests.toy_scores import noise


def normalised(x: torch.Tensor) -> torch.Tensor:
    """A model that divides its input by its size: it says the same along the whole path from zero."""
    y = x / (x.norm(dim=1, keepdim=True) + 1e-12)
    return torch.stack([9 * y[:, 0] + 5 * y[:, 1], 0 * y[:, 0]], 1)


def first(outputs: torch.Tensor) -> torch.Tensor:
    return outputs[:, 0]


X = noise(2, 12, dtype=torch.float32).abs() + 0.5


def missed(result: Attribution) -> str:
    (note,) = [one for one in result.provenance["notes"] if one.startswith(INCOMPLETE)]
    return note


@pytest.mark.parametrize("method", ["integrated_gradients", "integrated_gradients:path=geometric", "wam:ig"])
def test_a_model_that_normalises_its_input_signals_nothing_to_sum_and_that_is_said(method: str) -> None:
    for result in attribute(normalised, X, target=first, method=method):
        value = result.value
        assert float(result.scores.sum()) == pytest.approx(0, abs=1e-3)
        note = missed(result)
        assert f"in place of {value:.4g}" in note
        assert "the other end of the path 0)" in note
        assert result.completeness_error == pytest.approx(-value, abs=1e-3)


@pytest.mark.parametrize("method", ["gradient_input", "integrated_gradients", "attexplore", "fampe", "freqx", "wam:ig"])
def test_what_is_complete_is_not_said_not_to_be(method: str) -> None:
    net = torch.nn.Linear(12, 3).double()
    for result in attribute(net, X.double(), target=lambda z: z[:, 0], method=method):
        assert result.completeness_error is not None
        assert result.incomplete == []


def test_the_share_and_its_floors() -> None:
    assert incomplete(10 * (1 - 0.9 * MAX_COMPLETENESS_ERROR), -10 * 0.9 * MAX_COMPLETENESS_ERROR, 20, 10, 0) is None
    assert "10.2" not in str(
        incomplete(10 * (1 - 1.1 * MAX_COMPLETENESS_ERROR), -10 * 1.1 * MAX_COMPLETENESS_ERROR, 20, 10, 0)
    )
    assert str(incomplete(9, -1, 20, 12, 2)) == (
        f"{INCOMPLETE}the scores sum to 9 in place of 10, 10% of it away (the example scores 12, the other end of the "
        "path 2)"
    )
    assert incomplete(1e-6, 1e-6, 50, 3, 3) is None  # rounding, of a sum that should be 0
    assert incomplete(1e-5, 1e-5, 1e-4, 3, 3) is None  # nothing, beside the scores at both ends
    assert "sum to 0.5 in place of 0 (the example scores 3," in str(incomplete(0.5, 0.5, 1, 3, 3))
    assert "nan" in str(incomplete(1, math.nan, 1, 3, math.nan))


def test_a_reference_without_a_score_is_said() -> None:
    def divided(x: torch.Tensor) -> torch.Tensor:
        return normalised(x / x.norm(dim=1, keepdim=True))

    for result in attribute(divided, X, target=first, method="integrated_gradients:steps=4"):
        assert "nan" in missed(result)


def test_it_is_in_the_repr_the_table_and_the_figure(tmp_path: Path) -> None:
    result = attribute(normalised, X, target=first, method="integrated_gradients")[0]
    note = missed(result)
    assert note in repr(result)
    assert note in str(result.top_features(3))
    assert f" {note[0].upper()}{note[1:]}." in wording.figure_conclusion(record_of(result), 0.04)
    again = Attribution.load(result.save(tmp_path / "saved"))
    assert again.incomplete == [note]
    figure = again.plot()
    assert any(
        INCOMPLETE.capitalize() in text.get_text().replace("\n", " ")
        for text in figure.findobj(lambda a: hasattr(a, "get_text"))
    )
    fine = attribute(normalised, X, target=first, method="saliency")[0]
    said = f"{fine!r}{fine.top_features(3)}{wording.figure_conclusion(record_of(fine), 0.04)}"
    assert INCOMPLETE not in said.lower()


@pytest.mark.parametrize("inputs", [True, False])
def test_it_is_in_a_report_once_and_at_each_example(inputs: bool) -> None:
    results = attribute(normalised, X, target=first, method="integrated_gradients")
    report = Report(results)
    records = report.written(inputs).records
    said = [note for note in wording.notes(records, None, []) if note.startswith(INCOMPLETE)]
    assert len(said) == 1
    for record in records:
        assert INCOMPLETE in wording.example_facts(record)["completeness error"]
    assert INCOMPLETE in report.html(include_inputs=inputs)


def test_an_evaluation_says_it_of_the_method() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = tiny_models.build("text-classification", "bert")
        torch.nn.init.normal_(model.classifier.weight, std=20)
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer())
    spec = "integrated_gradients:steps=2,baseline=zero"
    texts = tiny_tokenizers.texts(3)
    own = [len(result.incomplete) for result in explain.explain(texts, method=spec)]
    assert sum(own)
    notes = explain.evaluate(texts, spec, metrics=["dig"]).notes
    assert any(note.startswith(INCOMPLETE) and f"{sum(own)} of 3 examples" in note for note in notes)


def test_notes_that_differ_in_numbers_alone_are_one() -> None:
    assert once(["a 1.5", "b", "a -2e-3", "b", "a nan"]) == ["a 1.5", "b"]
