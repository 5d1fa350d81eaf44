"""Makes results from a ranked batch: copies its numbers to the CPU at once, and builds one `Attribution` per row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from hf_fourier.domains import Basis, SignalShape
from hf_fourier.errors import NotFinite
from hf_fourier.methods.base import Numbers, Ranking
from hf_fourier.methods.contributions import of_each
from hf_fourier.methods.path_gradients import Path
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.ordering import LEADING, SORTED, Leading, leading_there, reach, sorted_there
from hf_fourier.results.remarks import FURTHER_HINT, NO_GRADIENT, NOT_FINITE_HINT, incomplete, unfinished
from hf_fourier.scoring.example_batch import EncodedExample, ExplanationRequest
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import LazyFingerprint
from hf_fourier.torch_state import has_float64
from hf_fourier.typing import Tensor


@dataclass(frozen=True)
class Asked:
    """What of a ranking is asked for, where an accelerator would have to make or send the rest of it.

    Attributes:
        features: How many of the top features are sorted there; None for all. The others are sorted on the host, when
            `order` is read.
        fraction: Top features up to this fraction are sorted there too.
        scores: Whether scores are fetched. Otherwise those of the top features are, with their fractions of the
            signal's power; the scores of results then stay on the accelerator.
    """

    features: int | None = None
    fraction: float = 0.0
    scores: bool = True

    def count(self, basis: Basis) -> int | None:
        """How many of the top features are sorted on an accelerator; None for all."""
        if self.features is None:
            return None
        count = max(self.features, reach(basis.multiplicity, self.fraction))
        return count if count < len(basis) else None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a batch's results are made of, all on the CPU.

    Attributes:
        ranking: The ranking; without its gradient where that was not asked for.
        gradient: The gradient where it was taken, on its own device; None where none was.
        value, agreement, confidence: The clean readings.
        frozen: The resolved targets, one row each.
        signal: The clean signals.
        orders: The descending orders, int32, as an accelerator sorted them; None on the CPU, which sorts when asked,
            and where the top alone was.
        top: Of each row the top features, int32, their scores and their fractions of the power (see `Asked`), as an
            accelerator selected them.
        tied: The rows where that leaves ties to be settled.
        steepest: The largest entry of each gradient in size, shape `(batch,)`; None without a gradient.
        sums: The sum of each row's scores, and the sum of their sizes, shape `(2, batch)`; None where nothing is made
            of them.
    """

    ranking: Ranking
    gradient: Tensor | None
    value: Tensor
    agreement: Tensor
    confidence: Tensor | None
    frozen: Tensor
    signal: Tensor
    orders: Tensor | None
    top: tuple[Tensor, Tensor, Tensor | None] | None
    tied: Tensor | None
    steepest: Tensor | None
    sums: Tensor | None


def fetched(
    score: Score,
    ranking: Ranking,
    signal_here: Tensor | None,
    basis: Basis,
    asked: Asked,
    *,
    with_gradient: bool,
    dither: float,
) -> Callable[[], Answers]:
    """The answers of a batch: begin to copy them, and return what waits for them, on an accelerator the only time.

    Args:
        score: The batch, its method done.
        ranking: What the method returned.
        signal_here: The signals, where they are on the CPU already, and are not fetched.
        basis: The domain.
        asked: What is fetched of the ranking.
        with_gradient: Whether the gradient is.
        dither: Noise that was added, for the error.

    What is returned raises `NotFinite` if the model's clean output or a score is not finite.
    """
    scores, gradient = ranking.scores.detach(), ranking.gradient
    away = scores.device.type != "cpu"
    kept = gradient if with_gradient else None
    orders, top, tied = _ranked(score, basis, scores, asked) if away else (None, None, None)
    stay = scores if away and not asked.scores and top is not None else None
    sent = scores if stay is None else scores[:, :0]
    ranking = replace(ranking, scores=_wide(sent), gradient=None if kept is None else _wide(kept))
    known = signal_here is not None and score.signal.device.type != "cpu"
    reading = score.clean_reading()
    made = (
        ranking,
        [reading.value, reading.agreement, reading.confidence],
        score.frozen_targets,
        signal_here if known else score.signal,
        torch.stack(torch.aminmax(scores)).isfinite().all(),  # aminmax keeps NaN
        (orders, top, tied),
        *_sizes(ranking, scores, gradient),
    )
    tensors: list[Tensor | None] = []

    def note(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    _mapped(made, note)
    coming = score.pending.sent(tensors)

    def answers() -> Answers:
        arrived = iter(coming())
        own, readings, frozen, signal, finite, order, *rest = _mapped(made, lambda _: next(arrived))
        if not finite:
            raise not_finite(replace(ranking, scores=scores, gradient=gradient), score, basis.signal, dither)
        extras = {name: one.values.tolist() if isinstance(one, Numbers) else one for name, one in own.extras.items()}
        own = replace(own, scores=own.scores if stay is None else _wide(stay), extras=extras)
        return Answers(*(own, gradient, *readings, frozen, signal, *order, *rest))

    return answers


def _sizes(ranking: Ranking, scores: Tensor, gradient: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """The largest entries of the gradients, and the sums of the scores and of their sizes (see `Answers`)."""
    exact = torch.float64 if has_float64(scores.device) else torch.float32
    steepest = None if gradient is None else gradient.detach().flatten(1).abs().amax(1)
    if ranking.completeness_error is None:
        return steepest, None
    return steepest, torch.stack([scores.sum(1, dtype=exact), scores.norm(1, dim=1).to(exact)])


def _ranked(
    score: Score, basis: Basis, scores: Tensor, asked: Asked
) -> tuple[Tensor | None, tuple[Tensor, Tensor, Tensor | None] | None, Tensor | None]:
    """On an accelerator: the order of all features, or the top ones (`Answers.top`) and the rows with ties there."""
    count = asked.count(basis)
    if count is None:
        return sorted_there(scores), None, None
    features, values, tied = leading_there(scores, count)
    power = None
    if not asked.scores:
        coefficients = basis.forward(score.signal)
        power = basis.inner(coefficients, coefficients)
        power = power / power.sum(1, keepdim=True).clamp(min=torch.finfo(power.dtype).tiny)
        power = power.gather(1, features.long())
    return None, (features, _wide(values), power), tied


def _mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Nested containers and dataclasses with `change` of each tensor in place of it, in a fixed order."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (Ranking, Path, Numbers)):
        return replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)})
    if isinstance(value, Mapping):
        return {name: _mapped(one, change) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(one, change) for one in value])
    return value


def results_of(
    requests: Sequence[ExplanationRequest],
    basis: Basis,
    score: Score,
    answers: Answers,
    provenance: dict[str, Any],
    shared_notes: Sequence[str],
) -> list[Attribution]:
    """One result per example.

    Args:
        requests: The examples with their targets.
        basis: The domain.
        score: The batch.
        answers: What was fetched of it.
        provenance: What all results have in common.
        shared_notes: Remarks on every result.
    """
    nothing, ranking = [None] * len(requests), answers.ranking
    copy = any(request.example.clean is None for request in requests)  # examples may change; of an evaluation none does
    scores, signals, frozen = _rows(ranking.scores), _rows(_wide(answers.signal), copy), _rows(answers.frozen)
    gradients, orders = (nothing if part is None else _rows(part) for part in (ranking.gradient, answers.orders))
    remarks, tops = of_ranking(answers, gradients, basis.signal), _leading(answers, len(requests))
    confidences = nothing if answers.confidence is None else answers.confidence.tolist()
    contributions, unfit = of_each(ranking.paths, answers.signal)
    values, agreements = answers.value.tolist(), answers.agreement.tolist()
    errors = nothing if ranking.completeness_error is None else ranking.completeness_error.tolist()
    results = []
    for i, request in enumerate(requests):
        example = request.example
        target, label = score.head.name_target(frozen[i])
        inputs = {name: tensor.detach().to("cpu", copy=copy) for name, tensor in example.inputs.items()}
        content = {} if example.content is None else {"content": example.content.detach().to("cpu", copy=copy)}
        notes = [*shared_notes, *example.notes, *score.remarks.get(i, ()), *basis.layout.notes, *remarks[i], *unfit[i]]
        results.append(
            Attribution(
                scores=scores[i],
                layout=basis.layout,
                target=target,
                label=label,
                confidence=confidences[i],
                value=values[i],
                signal=signals[i],
                gradient=gradients[i],
                provenance={**provenance, **({"range": example.range} if example.range else {}), "notes": notes},
                top_predictions=score.top_predictions.get(i, []),
                names=example.names,
                view=example.view,
                inputs={**inputs, **content},
                extras={name: _plain(entries[i]) for name, entries in ranking.extras.items()},
                completeness_error=errors[i],
                fingerprint=_key(example, inputs, signals[i]),
                frozen_target=frozen[i],
                raw_input=example.raw_input,
                agreement=agreements[i],
                contributions=contributions[i],
            )
        )
        vars(results[-1]).update(({} if orders[i] is None else {SORTED: orders[i]}) | tops[i])
    return results


def _leading(answers: Answers, rows: int) -> list[dict[str, Leading]]:
    """The top features of each result, by the attribute that holds them; nothing where there are ties to be settled."""
    if answers.top is None or answers.tied is None:
        return [{}] * rows
    columns = ([None] * rows if part is None else _rows(part) for part in answers.top)
    each = zip(answers.tied.tolist(), *columns, strict=True)
    return [{} if tied else {LEADING: Leading(*own)} for tied, *own in each]


def _wide(tensor: Tensor) -> Tensor:
    """Detached, float32 or better."""
    return tensor.detach() if tensor.dtype == torch.float64 else tensor.detach().float()


def _rows(batch: Tensor, copy: bool = True) -> list[Tensor]:
    """Each row, on the CPU as a copy, so that a result does not keep its whole batch in memory."""
    if batch.device.type != "cpu" or not copy:  # on an accelerator, scores that are not fetched
        return list(batch.unbind())
    rows: Any = torch.unbind_copy(batch)  # type: ignore[func-returns-value]  # which torch's stubs deny
    return list(rows)


def _plain(value: Any) -> Any:
    """An example's copy of one of a method's extras."""
    return _wide(value).to("cpu", copy=True) if isinstance(value, Tensor) else value


def _key(example: EncodedExample, inputs: Mapping[str, Tensor], signal: Tensor) -> int | LazyFingerprint:
    """The example's fingerprint, computed from tensors that the result holds anyway."""
    if example.values is not None and example.values.dtype != signal.dtype:
        return example.key
    known = example.lazy_key
    if known is example.known_key and (example.values is None or torch.equal(example.values, signal)):
        return known.number
    parts = [inputs[name] for name in sorted(inputs)]
    return LazyFingerprint(parts if example.values is None else [*parts, signal])


def of_ranking(answers: Answers, gradients: Sequence[Tensor | None], signal: SignalShape) -> list[list[str]]:
    """The method's notes, and remarks on each example's gradient and sum.

    Entries of gradients that are not finite are set to 0 in place.

    Args:
        answers: The answers of a batch.
        gradients: The gradients of its results.
        signal: The signals' axes.
    """
    ranking = answers.ranking
    remarks = [list(notes) for notes in ranking.notes or [()] * len(gradients)]
    for remark, rows in ranking.noted.items():
        for notes, is_noted in zip(remarks, rows.tolist(), strict=True):
            notes += [remark] if is_noted else []
    for remark, counts in ranking.counted.items():
        for notes, count in zip(remarks, counts.tolist(), strict=True):
            notes += [remark.format(count=count)] if count else []
    if answers.steepest is not None:
        for i, (notes, gradient, top) in enumerate(zip(remarks, gradients, answers.steepest.tolist(), strict=True)):
            if top == 0:
                notes.append(NO_GRADIENT)
            elif answers.gradient is not None and not math.isfinite(top):
                where = unfinished(_wide(answers.gradient[i].cpu()), answers.signal[i], signal)
                notes.append(f"{where} is taken as 0 there: {NOT_FINITE_HINT}")
                if gradient is not None:
                    gradient.nan_to_num_(0.0, 0.0, 0.0)
    if ranking.completeness_error is not None and answers.sums is not None:
        ends = [None] * len(remarks) if ranking.baseline_value is None else ranking.baseline_value.tolist()
        columns = [numbers.tolist() for numbers in (*answers.sums, ranking.completeness_error, answers.value)]
        for notes, total, size, error, value, end in zip(remarks, *columns, ends, strict=True):
            note = incomplete(total, error, size, value, end)
            notes += [] if note is None else [note]
    return remarks


def not_finite(ranking: Ranking, score: Score, signal: SignalShape, dither: float) -> NotFinite:
    """The error for scores that are not finite: the rows, and where the gradient is not finite, if that is known."""
    messages = {}
    for row in (~ranking.scores.isfinite().all(1)).nonzero().flatten().tolist():
        gradient = None if ranking.gradient is None else ranking.gradient[row]
        if gradient is None or bool(gradient.isfinite().all()):
            messages[row] = "scores that are not finite, though the gradient at the clean signal is"
        else:
            messages[row] = unfinished(gradient.cpu(), score.signal[row].cpu(), signal)
    kinds = set() if score.model is None else {p.dtype for p in score.model.parameters()}
    hint = FURTHER_HINT if dither else NOT_FINITE_HINT
    if torch.float16 in kinds:
        hint = f"load the model in float32 or bfloat16; if it still is not finite, {hint}"
    return NotFinite(messages, "a finite gradient at the signal", hint)
