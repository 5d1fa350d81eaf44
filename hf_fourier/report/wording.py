"""Texts of figures, pages and cards: confidence, whether the decision holds, and what may be concluded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.report.example_record import DEFAULT_FRACTION, SAME_MASK, is_control, overlap_text
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.results.curve import CurvePoint, Mode
from hf_fourier.results.relevance import SIZE
from hf_fourier.results.remarks import once

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.relevance import Relevance


_LONG = re.compile(r"\d+\.\d{5,}(?:e-?\d+)?")
_UNPROVEN = "does not prove that they are necessary: the model was not trained on such inputs."


def format_fraction(fraction: float) -> str:
    """A fraction in per cent: "4 %"."""
    return f"{100 * fraction:.3g} %"


def format_confidence(confidence: float) -> str:
    """A confidence to two digits that never rounds to certainty."""
    if confidence < 0.01:
        return f"{confidence:.4f}" if confidence >= 0.0001 else "< 0.0001"
    return f"{confidence:.2f}" if confidence < 0.995 else f"{min(confidence, 0.9999):.4f}"


def format_point(point: CurvePoint | ExampleRecord) -> str:
    """The confidence at a point (or of the whole example), or the value where there is none."""
    return f"{point.value:.4g}" if point.confidence is None else format_confidence(point.confidence)


def label(record: ExampleRecord, max_chars: int = 40) -> str:
    """The explained label in quotation marks."""
    return f"“{drawable(record.label.strip() or '␣', max_chars)}”"


def headline(record: ExampleRecord) -> str:
    """The clean example's confidence or value with its name: "confidence 0.95"."""
    word = "value" if record.confidence is None else "mean confidence in the mask" if record.is_mask else "confidence"
    return f"{word} {format_point(record)}"


def describe_clean(record: ExampleRecord, max_chars: int = 60) -> str:
    """The label and the confidence in it, or the value, on the whole example."""
    return f"{label(record, max_chars)}: {format_point(record) if record.confidence is None else headline(record)}"


def plotted_quantity(record: ExampleRecord) -> str:
    """What is drawn of each point (`plotted_value`)."""
    if record.is_mask:
        return "Dice with the clean mask"
    return "value" if record.confidence is None else "confidence"


def plotted_value(record: ExampleRecord, point: CurvePoint) -> float:
    """A point as a number to draw: the Dice of a mask, else the confidence, else the value."""
    if record.is_mask:
        return point.agreement
    return point.value if point.confidence is None else point.confidence


def describe_point(record: ExampleRecord, point: CurvePoint | None, max_chars: int = 60) -> str:
    """The prediction on a part of the example, and on a second line whether the decision holds."""
    if point is None:
        return "(not shown to the model)\n"
    if record.is_mask:
        return f"{label(record, max_chars)}\n{verdict(record, point)} with the clean mask (dashed)"
    word = "" if point.confidence is None else "confidence "
    return f"{label(record, max_chars)}: {word}{format_point(point)}\n{verdict(record, point)}"


def verdict(record: ExampleRecord, point: CurvePoint) -> str:
    """Whether the decision holds, in two or three words; of a mask its Dice."""
    if record.is_mask:
        return f"Dice {point.agreement:.2f}"
    if 0 < point.agreement < 1:
        return f"{format_fraction(point.agreement)} of decisions hold"
    if record.contested:
        return "now the decision" if point.agreement else "not the decision"
    return "decision holds" if point.agreement else "decision lost"


def panel_titles(record: ExampleRecord, fraction: float, whole: str = "The input", max_chars: int = 24) -> list[str]:
    """Titles of the whole example, of its top features alone and of what is left without them."""
    top = record.top(fraction)
    if record.is_mask:
        clean = f"{label(record, max_chars)}\nthe model's own mask, outlined"
    else:
        whose = "not the model's decision" if record.contested else "the model's decision"
        clean = f"{describe_clean(record, max_chars)}\n{whose}"
    all_but = f"All but the {top.partition(' of ')[0]}"
    parts: tuple[tuple[str, Mode], ...] = ((f"The {top} alone", "keep"), (all_but, "delete"))
    return [
        f"{whole}\n{clean}",
        *(f"{name}\n{describe_point(record, record.find(mode, fraction), max_chars)}" for name, mode in parts),
    ]


def colours(record: ExampleRecord, relevance: Relevance, above: str = "", below: str = "") -> str:
    """The meaning of orange and blue."""
    if relevance.signed:
        return f"orange{above}: for {label(record)}; blue{below}: against"
    if relevance.kind == "power":
        return SIZE
    least = f", blue{below}: below 0" if (relevance.values < 0).any() else ""
    return f"orange{above}: more important{least}; {SIZE}"


def method_line(record: ExampleRecord) -> str:
    """Model, method and domain, as far as they are known, and what replaced deleted features."""
    model = record.provenance.get("model") or ""
    name = model.get("name") if isinstance(model, Mapping) else model
    method = _LONG.sub(lambda number: f"{float(number[0]):.4g}", str(record.provenance.get("method") or ""))
    parts = (name, method, record.provenance.get("domain"), record.in_place)
    return " · ".join(drawable(str(part), 60) for part in parts if part)


def header_lines(record: ExampleRecord, fraction: float | None = None) -> list[str]:
    """Label and confidence; with `fraction` also those of its curve points; model, method and domain."""
    lines = [describe_clean(record)]
    if fraction is not None:
        parts: tuple[tuple[Mode, str], ...] = (
            ("keep", f"{record.top(fraction)} alone"),
            ("delete", "without them"),
        )
        points = [
            f"{words}: {format_point(point)}, {verdict(record, point)}"
            for mode, words in parts
            if (point := record.find(mode, fraction)) is not None
        ]
        lines += [" · ".join(points)] if points else []
    return [*lines, method_line(record)]


def figure_conclusion(record: ExampleRecord, fraction: float, remark: str = "") -> str:
    """`conclusion` with a remark on the figure and what has to be added of the method and its scores."""
    name = record.method.partition(":")[0]
    control = f"“{name}” is a control: it ranks without using the model." if is_control(name) else ""
    notes = [f"{note[:1].upper()}{note[1:]}." for note in record.incomplete]
    return " ".join(filter(None, [conclusion(record, fraction), record.seen, remark, control, *notes]))


def conclusion(record: ExampleRecord, fraction: float) -> str:
    """What may be concluded from the curve's points at a fraction, and what not."""
    keep, delete, noun = record.find("keep", fraction), record.find("delete", fraction), record.noun
    if keep is None:
        return (
            f"The model was not run on these parts. A high rank alone does not show that the {noun} matter; "
            "FourierExplainer.perturb tests this."
        )
    if record.is_mask:
        return _mask_conclusion(keep, delete, noun)
    if record.contested:
        lead = "lead" if keep.agreement >= 1 else "do not lead"
        return f"The model's own decision differs; the kept {noun} alone {lead} to the one explained here."
    if keep.agreement < 1:
        them = "it" if record.top(fraction) == "top band" else "them"
        more = f" The decision is not lost without {them} either: at this fraction the ranking does not explain it."
        lost = delete is None or delete.agreement < 1
        return f"Keeping the {record.top(fraction)} is not sufficient for this decision.{'' if lost else more}"
    text = f"The kept {noun} are sufficient for this decision; they may suffice for others too. "
    if delete is None:
        return f"{text}The model was not run without them."
    if delete.agreement >= 1:
        return f"{text}The rest is sufficient as well, so they are not necessary."
    return f"{text}That it is lost without them {_UNPROVEN}"


def _mask_conclusion(keep: CurvePoint, delete: CurvePoint | None, noun: str) -> str:
    """What may be concluded where the decision is a mask."""
    text = f"The kept {noun} alone are sufficient for this mask (Dice {keep.agreement:.2f})."
    if keep.agreement < SAME_MASK:
        dice = f"Dice {keep.agreement:.2f}; {SAME_MASK:g} would count"
        text = f"The kept {noun} alone do not reproduce the mask ({dice})."
    if delete is None:
        return f"{text} The model was not run without them."
    if delete.agreement >= SAME_MASK:
        return f"{text} The rest reproduces it too (Dice {delete.agreement:.2f}): they are not necessary."
    return f"{text} A Dice of {delete.agreement:.2f} without them {_UNPROVEN}"


#: The quantities that stand side by side in a headline, where they were measured; more is better in all of them. DIG is
#: last: on models with planted features it gives the true ranking and the magnitude the same number.
HEADLINES = {
    "maintain_rate": "decisions kept, mean over fractions",
    "maintain_rate_at_0.04": "decisions kept at 4 %",
    "dice_retention": "Dice retention",
    "selectivity (random)": "selectivity (random)",
    "selectivity (runner-up)": "selectivity (runner-up)",
    "dig": "DIG",
}

MAY_CONCLUDE = (
    "That the features suffice for a decision that holds with them alone.",
    "That a ranking is better or worse than the controls on these examples, where the intervals show it.",
    "How little of an input the model needs for the same decision.",
)
MAY_NOT_CONCLUDE = (
    "That the model used these features: others may suffice as well, and a ranking that follows the loss can find "
    "features that lead to another decision. Selectivity measures this.",
    "That they are necessary, where the decision is lost without them: the model was not trained on such inputs.",
    "Where in an input the evidence is: a frequency has no position.",
    "Which of two examples has the more important features: scores compare features within one example.",
    "Anything about examples that are not in this report, beyond what the intervals allow.",
)


def slider_stops(record: ExampleRecord) -> list[dict[str, Any]]:
    """The slider's stops: a `slider_stop` at each fraction of the curve, the whole input last."""
    fractions = sorted({point.fraction for point in record.points("keep") if 0 < point.fraction < 1})
    return [slider_stop(record, fraction) for fraction in [*fractions, 1.0]]


def slider_stop(record: ExampleRecord, fraction: float) -> dict[str, Any]:
    """The prediction on the top features alone and on what is left without them.

    Returns:
        `share`, `percent`, `kept` and `removed` (each with `says`, `verdict`, `holds` and `level`, 0 to 1, or None
        where the model was not evaluated), and the `conclusion`.
    """
    if fraction == 1:
        return {"share": 1.0, "percent": "100 %", "kept": _slider_part(record, record, "the whole input", True),
                "removed": None, "conclusion": "This is the whole input: nothing is removed."}  # fmt: skip
    kept, removed = (
        None if point is None else _slider_part(record, point, _slider_verdict(record, point), record.holds(point))
        for point in (record.find("keep", fraction), record.find("delete", fraction))
    )
    return {"share": fraction, "percent": format_fraction(fraction), "kept": kept, "removed": removed,
            "conclusion": conclusion(record, fraction)}  # fmt: skip


def _slider_part(record: ExampleRecord, point: CurvePoint | ExampleRecord, text: str, holds: bool) -> dict[str, Any]:
    confidence = point.confidence
    level = None if confidence is None else max(0.0, min(1.0, confidence))
    says = f"{'value' if confidence is None else 'confidence'} {format_point(point)}"
    if record.is_mask and isinstance(point, CurvePoint):
        says, level = f"{verdict(record, point)} with the clean mask", point.agreement
    return {"says": says, "verdict": text, "holds": holds, "level": level}


def _slider_verdict(record: ExampleRecord, point: CurvePoint) -> str:
    if record.is_mask:
        return "mask kept" if record.holds(point) else "mask not kept"
    return verdict(record, point)


def initial_fraction(record: ExampleRecord) -> float:
    """The slider's first fraction: the least that keeps the decision, else the curve's nearest to 4 %."""
    if record.least_fraction is not None:
        return record.least_fraction
    fractions = [point.fraction for point in record.points("keep") if 0 < point.fraction < 1]
    return min(fractions, key=lambda one: abs(math.log(one / DEFAULT_FRACTION)), default=DEFAULT_FRACTION)


def summary_rows(evaluation: Evaluation, seed: int = 0) -> list[dict[str, str]]:
    """A row per method and domain: sufficiency, selectivity and the gaps to the magnitude ranking side by side."""
    metrics = [name for name in HEADLINES if name in evaluation.better]
    rows = []
    for row in evaluation.summary(metrics, seed).rows() if metrics else []:
        if not any(row[name] for name in metrics):
            continue
        control = " (control)" if is_control(row["method"]) else ""
        cells = {"method": row["method"] + control, "domain": row["domain"], "n (groups)": row["n (groups)"]}
        is_magnitude = row["method"].partition(":")[0] == "magnitude"
        for name in metrics:
            cells[HEADLINES[name]] = row[name] or "—"
            gap = row[f"{name}, gap to magnitude"]
            signed = gap if gap.startswith("-") else f"+{gap}"
            cells[f"{HEADLINES[name]}, gap to magnitude"] = signed if gap and not is_magnitude else "—"
        rows.append(cells)
    return rows


def missing_controls(evaluation: Evaluation | None) -> list[str]:
    """Warnings: controls that are missing, or too few examples."""
    if evaluation is None:
        return [
            "The gap to the magnitude ranking and selectivity were not measured for this report, so it does not show "
            "whether the ranking is better than one without the model. FourierExplainer.evaluate measures both."
        ]
    warnings = []
    if not any(name.startswith("selectivity") for name in evaluation.better):
        warnings.append("Selectivity was not measured: the method may select features for any label.")
    if not any(cell.control and cell.method == "magnitude" for cell in evaluation.cells):
        warnings.append("The magnitude ranking was not run, so the gap to it is unknown.")
    groups = len(set(evaluation.groups))
    if groups < 30:
        warnings.append(f"{groups} group{'s' * (groups != 1)}: fewer than 30 are anecdotal; no claim is made.")
    return warnings


def _by_method(records: Sequence[ExampleRecord], in_place: bool = False) -> dict[str, list[ExampleRecord]]:
    groups: dict[str, list[ExampleRecord]] = {}
    for record in records:
        name = f"{record.method}{f', {record.in_place}' * (in_place and bool(record.in_place))}"
        groups.setdefault(name, []).append(record)
    return groups


def kept_counts(records: Sequence[ExampleRecord]) -> list[str]:
    """By method, how many decisions are kept by a few features; the controls beside."""
    lines, methods = [], _by_method(records, in_place=True)
    for method, members in methods.items():
        perturbed = [record for record in members if record.curve is not None]
        name = f"{method} (a control)" if is_control(members[0].method) else method
        fractions = sorted({p.fraction for record in perturbed for p in record.points("keep") if 0 < p.fraction < 1})
        for fraction in [DEFAULT_FRACTION] if DEFAULT_FRACTION in fractions else fractions[:1]:
            points = [(record, record.find("keep", fraction)) for record in perturbed]
            kept = sum(point is not None and record.holds(point) for record, point in points)
            top = f"top {format_fraction(fraction)}"
            tops = {one.top(fraction) if one.noun == "bands" else top for one in perturbed}
            lines.append(f"{name}: {kept} of {len(points)} decisions hold with the {' or '.join(sorted(tops))} alone")
        if not perturbed:
            lines.append(f"{name}: the model was not run on parts of its {len(members)} examples")
    if lines and not any(is_control(record.method) for record in records):
        lines.append("no control is among these results, so these counts say nothing about the ranking by themselves")
    return lines


#: What model passes are counted for, as the page names it.
_PASSES = {"forward": "forward", "backward": "backward", "perturbed": "forward to perturb", "evaluated": "to evaluate"}


def cost_lines(records: Sequence[ExampleRecord]) -> list[str]:
    """Passes and seconds per example, by method."""
    lines = []
    for method, members in _by_method(records).items():
        counts = [record.provenance.get("passes") or {} for record in members]
        means = {words: _mean([passes.get(name) for passes in counts]) for name, words in _PASSES.items()}
        parts = [f"{value:.3g} {words}" for words, value in means.items() if value]
        seconds = _mean([record.provenance.get("seconds") for record in members])
        clock = "" if seconds is None else f"; {seconds:.3g} s wall time without perturbation"
        lines.append(f"{method}: per example {', '.join(parts) or 'unknown passes'}{clock}")
    return lines


def provenance(records: Sequence[ExampleRecord]) -> list[tuple[str, str]]:
    """How the results were made: by title, the value that all share, or up to six of theirs."""
    titles = {"model": "Model", "revision": "Revision", "task": "Task", "head": "What is explained", "method": "Method",
              "domain": "Domain", "seed": "Seed", "device": "Device", "origin": "Made by"}  # fmt: skip
    rows = []
    versions: dict[str, Any] = {}
    for name, title in titles.items():
        values = [str(v) for v in dict.fromkeys(one.provenance.get(name) for one in records) if v not in (None, "")]
        rows.append((title, ", ".join(values[:6])))
    for record in records:
        versions.update(record.provenance.get("versions") or {})
    rows.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return [(title, text) for title, text in rows if text]


def notes(records: Sequence[ExampleRecord], evaluation: Evaluation | None, sanity: Sequence[SanityResult]) -> list[str]:
    """All notes, once each; of notes that differ in their numbers alone the first."""
    every = [note for record in records for note in record.provenance.get("notes", ())]
    if evaluation:
        every += evaluation.notes
        every += [f"left out: {method} in {domain}: {reason}" for method, domain, reason in evaluation.excluded]
    return once([*every, *(note for result in sanity for note in result.notes)])


def number(value: Any) -> str:
    """A cell of a table: numbers to four digits, nothing for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def example_facts(record: ExampleRecord) -> Mapping[str, str]:
    """The facts of one example by their titles."""
    shape = " × ".join(f"{length} {name}" for name, length in record.shape.items())
    facts = {"signal": f"{record.kind}, {shape}", "features": f"{record.features:,}", "method": record.method,
             "domain": record.domain}  # fmt: skip
    if record.magnitude_overlap is not None:
        facts["shared with the magnitude ranking"] = overlap_text(record.magnitude_overlap, record.method)
    if record.in_place:
        facts["perturbed with"] = record.in_place
    if record.completeness_error is not None:
        note = f" ({record.incomplete[0]})" if record.incomplete else ""
        facts["completeness error"] = f"{record.completeness_error:.3g}{note}"
    if record.top_predictions:
        facts["the model says"] = ", ".join(f"{name} {format_confidence(p)}" for name, p in record.top_predictions[:3])
    return facts
