"""What figures say in words: how sure the model is, whether its decision holds, and what may be concluded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.methods import METHODS
from hf_fourier.report import example_record
from hf_fourier.report.example_record import SAME_MASK, explains_other_label, feature_noun, is_mask
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.results.curve import CurvePoint, Mode
from hf_fourier.results.relevance import SIZE
from hf_fourier.results.remarks import INCOMPLETE, once

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.relevance import Relevance


def stop_at(attribution: Attribution, part: Mode, fraction: float) -> CurvePoint | None:
    """What the model said at this share, or None if it was not asked."""
    if attribution.curve is None:
        return None
    try:
        return attribution.curve.at(part, fraction)
    except KeyError:
        return None


def format_fraction(fraction: float) -> str:
    """A share in per cent: "4 %"."""
    return f"{100 * fraction:.3g} %"


def format_confidence(confidence: float) -> str:
    """A confidence to two digits that never rounds to certainty."""
    if confidence < 0.01:
        return f"{confidence:.4f}" if confidence >= 0.0001 else "< 0.0001"
    return f"{confidence:.2f}" if confidence < 0.995 else f"{min(confidence, 0.9999):.4f}"


def label(attribution: Attribution, most: int = 40) -> str:
    """The explained label in quotation marks."""
    return f"“{drawable(attribution.label.strip() or '␣', most)}”"


def describe_clean(attribution: Attribution, most: int = 60) -> str:
    """What the model says to the whole example."""
    if attribution.confidence is None:
        return f"{label(attribution, most)}: {attribution.value:.4g}"
    word = "mean confidence in the mask" if is_mask(attribution) else "confidence"
    return f"{label(attribution, most)}: {word} {format_confidence(attribution.confidence)}"


def plotted_quantity(attribution: Attribution) -> str:
    """What is drawn of each stop (`size`)."""
    if is_mask(attribution):
        return "Dice with the clean mask"
    return "value" if attribution.confidence is None else "confidence"


def plotted_value(attribution: Attribution, stop: CurvePoint) -> float:
    """A stop as a number to draw: the Dice of a mask, else the confidence, else the value."""
    if is_mask(attribution):
        return stop.agreement
    return stop.value if stop.confidence is None else stop.confidence


def format_point(stop: CurvePoint) -> str:
    """A stop's confidence, or its value where there is none."""
    return f"{stop.value:.4g}" if stop.confidence is None else format_confidence(stop.confidence)


def describe_point(attribution: Attribution, stop: CurvePoint | None, most: int = 60) -> str:
    """What the model says to a part of the example, and on a second line whether the decision holds."""
    if stop is None:
        return "(not shown to the model)\n"
    if is_mask(attribution):
        return f"{label(attribution, most)}\n{verdict(attribution, stop)} with the clean mask (dashed)"
    word = "" if stop.confidence is None else "confidence "
    return f"{label(attribution, most)}: {word}{format_point(stop)}\n{verdict(attribution, stop)}"


def verdict(attribution: Attribution, stop: CurvePoint) -> str:
    """Whether the decision holds, in two or three words."""
    if is_mask(attribution):
        return f"Dice {stop.agreement:.2f}"
    if 0 < stop.agreement < 1:
        return f"{format_fraction(stop.agreement)} of decisions hold"
    if explains_other_label(attribution):
        return "now the decision" if stop.agreement else "not the decision"
    return "decision holds" if stop.agreement else "decision lost"


def panel_titles(attribution: Attribution, fraction: float, whole: str = "The input", most: int = 24) -> list[str]:
    """What stands above the whole example, above its top features alone and above what is left without them."""
    kind, top = feature_noun(attribution), format_fraction(fraction)
    whose = "not the model's decision" if explains_other_label(attribution) else "the model's decision"
    if is_mask(attribution):
        said = f"{label(attribution, most)}\nthe model's own mask, outlined"
    else:
        said = f"{describe_clean(attribution, most)}\n{whose}"
    titles = [f"{whole}\n{said}"]
    parts: tuple[tuple[Mode, str], ...] = (
        ("keep", f"The top {top} of {kind} alone"),
        ("delete", f"All but the top {top}"),
    )
    titles += [
        f"{words}\n{describe_point(attribution, stop_at(attribution, part, fraction), most)}" for part, words in parts
    ]
    return titles


def colours(attribution: Attribution, found: Relevance, above: str = "", below: str = "") -> str:
    """What orange and blue say."""
    if found.signed:
        return f"orange{above}: for {label(attribution)}; blue{below}: against"
    if found.kind == "power":
        return SIZE
    least = f", blue{below}: below 0" if (found.values < 0).any() else ""
    return f"orange{above}: more important{least}; {SIZE}"


def coordinate(attribution: Attribution) -> str:
    """What features without a frequency are told apart by."""
    layout = attribution.layout
    if layout.with_role("level"):
        return "scale"
    return " and ".join(column.name for column in layout.with_role("position")) or "feature"


def model_name(attribution: Attribution) -> str:
    """The explained model's name, or nothing."""
    model = attribution.provenance.get("model") or ""
    return str(model.get("name") or "") if isinstance(model, Mapping) else str(model)


def header_lines(attribution: Attribution, fraction: float | None = None) -> list[str]:
    """Label and confidence; with `fraction` also those of the parts, if they were played; model, method and domain."""
    lines = [describe_clean(attribution)]
    if fraction is not None:
        parts: tuple[tuple[Mode, str], ...] = (
            ("keep", f"top {format_fraction(fraction)} of {feature_noun(attribution)} alone"),
            ("delete", "without them"),
        )
        stops = [(stop_at(attribution, part, fraction), words) for part, words in parts]
        said = [
            f"{words}: {format_point(stop)}, {verdict(attribution, stop)}" for stop, words in stops if stop is not None
        ]
        lines += [" · ".join(said)] if said else []
    source = [model_name(attribution), attribution.provenance.get("method"), attribution.layout.domain]
    return [*lines, " · ".join(drawable(str(part), 60) for part in source if part)]


def conclusion(attribution: Attribution, fraction: float) -> str:
    """What may be concluded from the figure, and what not."""
    keep, delete = (stop_at(attribution, part, fraction) for part in ("keep", "delete"))
    said = conclusion_text(
        keep, delete, feature_noun(attribution), fraction, is_mask(attribution), explains_other_label(attribution)
    )
    if attribution.view.kind == "spectrogram":
        zero = getattr(attribution.view, "offset", 0.0)
        said += (
            f" A place without power takes the level that the model reads as zero ({zero:.3g} dB). To be heard, a "
            "part is the clip filtered: each band is raised or lowered by what it changes; the phase is the clip's own."
        )
    return " ".join([said, *filter(None, [_control(attribution)]), *(f"{one}." for one in attribution.incomplete)])


def conclusion_text(
    keep: CurvePoint | None, delete: CurvePoint | None, kind: str, fraction: float, mask: bool, other: bool
) -> str:
    """What may be concluded from two stops, and what not.

    Args:
        keep: What the model said to the top features alone.
        delete: What it said to what is left without them.
        kind: What features are called.
        fraction: The share of features.
        mask: Whether a mask was explained.
        other: Whether what was explained is not the model's own decision (`contested`).
    """
    if keep is None:
        said = (
            f"The model was not shown these parts: the {kind} are ranked on top, which does not yet say that they "
            "decide anything. FourierExplainer.perturb asks the model."
        )
    elif mask:
        said = _of_mask(keep, delete, kind)
    elif other:
        does = "bring about" if keep.agreement >= 1 else "do not bring about"
        said = f"The model's own decision is another one; the kept {kind} alone {does} the one explained here."
    elif keep.agreement < 1:
        said = f"The top {format_fraction(fraction)} of {kind} are not sufficient for this decision."
        if delete is not None and delete.agreement >= 1:
            said += " Nor is it lost without them: at this share the ranking does not explain it."
    else:
        said = f"The kept {kind} are sufficient for this decision; they may suffice for others too. "
        if delete is None:
            said += "What is left without them was not shown to the model."
        elif delete.agreement >= 1:
            said += "What is left without them is sufficient as well, so they are not necessary."
        else:
            said += "Losing it without them does not prove that it rests on them: what is left is no natural input."
    return said.rstrip()


def _of_mask(keep: CurvePoint, delete: CurvePoint | None, kind: str) -> str:
    """What may be concluded where the decision is a mask."""
    if keep.agreement < SAME_MASK:
        said = (
            f"The kept {kind} alone do not give the mask back (Dice {keep.agreement:.2f}; {SAME_MASK:g} would count)."
        )
    else:
        said = f"The kept {kind} alone are sufficient for this mask (Dice {keep.agreement:.2f})."
    if delete is None:
        return f"{said} What is left without them was not shown to the model."
    if delete.agreement >= SAME_MASK:
        return f"{said} What is left without them gives it too (Dice {delete.agreement:.2f}): they are not necessary."
    ground = "does not prove that it rests on them: what is left is no natural input."
    return f"{said} A Dice of {delete.agreement:.2f} without them {ground}"


def _control(attribution: Attribution) -> str:
    name = str(attribution.provenance.get("method", "")).partition(":")[0]
    if name in METHODS and METHODS[name].control:
        return f"“{name}” is a control: it ranks without looking at the model."
    return ""


#: The quantities that stand side by side in a headline, where they were measured; more is better in all of them.
HEADLINES = {
    "dig": "DIG",
    "dice_retention": "Dice retention",
    "maintain_rate_at_0.04": "decisions kept at 4 %",
    "selectivity (random)": "selectivity (random)",
    "selectivity (runner-up)": "selectivity (runner-up)",
}

MAY_CONCLUDE = (
    "That the shown features suffice for a decision, where it holds with them alone.",
    "That a ranking does better or worse than the controls on these examples, as far as the intervals say so.",
    "How little of an input the model needs to say the same.",
)
MAY_NOT_CONCLUDE = (
    "That the model used these features: others may suffice as well, and a ranking that follows the loss can find "
    "features that make a model say something else. Selectivity says how far that goes.",
    "That they are necessary, where the decision is lost without them: what is left is no natural input.",
    "Where in an input the decision lies: a frequency says how fast, not where.",
    "Which of two examples has the more important features: scores compare features within one example.",
    "Anything about examples that are not in this report, beyond what the intervals allow.",
)


def is_control(method: str) -> bool:
    """Whether a method's spec is that of a control, which ranks without looking at the model."""
    name = method.partition(":")[0]
    return name in METHODS and METHODS[name].control


def slider_stops(record: ExampleRecord) -> list[dict[str, Any]]:
    """What the model said at each stop of a slider, in words and numbers."""
    played = sorted({stop.fraction for stop in record.curve.of("keep")}) if record.curve else []
    return [slider_stop(record, share) for share in [*(share for share in played if 0 < share < 1), 1.0]]


def slider_stop(record: ExampleRecord, share: float) -> dict[str, Any]:
    """What the model said to the top features alone and to what is left without them.

    Returns:
        `share`, `percent`, `kept` and `removed` (each with `says`, `verdict`, `holds` and `level`, 0 to 1, or None
        where the model was not asked), and the `conclusion`.
    """
    if share == 1:
        whole = {"says": _number(record.confidence, record.value), "verdict": "the whole input", "holds": True,
                 "level": _level(record.confidence)}  # fmt: skip
        return {"share": 1.0, "percent": "100 %", "kept": whole, "removed": None,
                "conclusion": "This is the whole input: nothing is removed."}  # fmt: skip
    keep, delete = _found(record, "keep", share), _found(record, "delete", share)
    masked = record.head == "mask"
    return {
        "share": share,
        "percent": format_fraction(share),
        "kept": _said(record, keep),
        "removed": _said(record, delete),
        "conclusion": conclusion_text(keep, delete, record.noun, share, masked, record.contested),
    }


def initial_fraction(record: ExampleRecord) -> float:
    """Where the slider stands at first: the least share that keeps the decision, else 4 % or what is nearest to it."""
    if record.least_fraction is not None:
        return record.least_fraction
    asked = [stop.fraction for stop in (record.curve.of("keep") if record.curve else []) if 0 < stop.fraction < 1]
    return min(
        asked,
        key=lambda share: abs(math.log(share / example_record.DEFAULT_FRACTION)),
        default=example_record.DEFAULT_FRACTION,
    )


def summary_rows(evaluation: Evaluation, seed: int = 0) -> list[dict[str, str]]:
    """A row per method and domain: sufficiency, selectivity and the gaps to the magnitude ranking side by side."""
    chosen = [name for name in HEADLINES if name in evaluation.better]
    rows = []
    for row in evaluation.summary(chosen, seed).rows() if chosen else []:
        if not any(row[name] for name in chosen):
            continue
        control = " (control)" if is_control(row["method"]) else ""
        named = {"method": row["method"] + control, "domain": row["domain"], "n (groups)": row["n (groups)"]}
        own = row["method"].partition(":")[0] == "magnitude"
        for name in chosen:
            named[HEADLINES[name]] = row[name] or "—"
            gap = row[f"{name}, gap to magnitude"]
            signed = gap if gap.startswith("-") else f"+{gap}"
            named[f"{HEADLINES[name]}, gap to magnitude"] = signed if gap and not own else "—"
        rows.append(named)
    return rows


def missing_controls(evaluation: Evaluation | None) -> list[str]:
    """What has to stand beside a headline and is not there, or is of few examples."""
    if evaluation is None:
        return [
            "The gap to the magnitude ranking and selectivity were not measured for this report, so nothing in it says "
            "whether the ranking is better than one that asks no model. FourierExplainer.evaluate measures both."
        ]
    told = []
    if not any(name.startswith("selectivity") for name in evaluation.better):
        told.append("Selectivity was not measured: decisions kept may be the method's freedom to choose.")
    if not any(cell.control and cell.method == "magnitude" for cell in evaluation.cells):
        told.append("The magnitude ranking was not run, so there is no gap to it.")
    groups = len(set(evaluation.groups))
    if groups < 30:
        told.append(f"{groups} group{'s' * (groups != 1)}: fewer than 30 are anecdotal and claim nothing.")
    return told


def kept_counts(records: Sequence[ExampleRecord]) -> list[str]:
    """By method, how many decisions are kept by a few features; the controls beside."""
    told = []
    for method in dict.fromkeys(one.method for one in records):
        own = [one for one in records if one.method == method]
        played = [one for one in own if one.curve is not None]
        name = f"{method} (a control)" if is_control(method) else method
        shares = sorted({s.fraction for one in played for s in one.curve.of("keep") if 0 < s.fraction < 1})  # type: ignore[union-attr]
        for share in [s for s in (example_record.DEFAULT_FRACTION,) if s in shares] or shares[:1]:
            stops = [(one, _found(one, "keep", share)) for one in played]
            kept = sum(stop is not None and one.holds(stop) for one, stop in stops)
            told.append(f"{name}: {kept} of {len(stops)} decisions hold with the top {format_fraction(share)} alone")
        if not played:
            told.append(f"{name}: the model was not asked about parts of its {len(own)} examples")
    if told and not any(is_control(one.method) for one in records):
        told.append("no control is among these results, so these counts say nothing about the ranking by themselves")
    return told


def cost_lines(records: Sequence[ExampleRecord]) -> list[str]:
    """Passes and seconds per example, by method."""
    told = []
    for method in dict.fromkeys(one.method for one in records):
        own = [one.provenance for one in records if one.method == method]
        passes = {name: _mean([(made.get("passes") or {}).get(name) for made in own])
                  for name in ("forward", "backward", "perturbed", "evaluated")}  # fmt: skip
        words = {
            "forward": "forward",
            "backward": "backward",
            "perturbed": "forward to perturb",
            "evaluated": "to evaluate",
        }
        parts = [f"{value:.3g} {words[name]}" for name, value in passes.items() if value]
        seconds = _mean([made.get("seconds") for made in own])
        clock = "" if seconds is None else f"; {seconds:.3g} s by the clock, playing left out"
        told.append(f"{method}: per example {', '.join(parts) or 'no passes that are known'}{clock}")
    return told


def provenance(records: Sequence[ExampleRecord]) -> list[tuple[str, str]]:
    """How the results were made: what all have in common, or the values that there are."""
    titles = {"model": "Model", "revision": "Revision", "task": "Task", "head": "What is explained", "method": "Method",
              "domain": "Domain", "seed": "Seed", "device": "Device", "origin": "Made by"}  # fmt: skip
    rows = []
    for name, title in titles.items():
        values = [str(v) for v in dict.fromkeys(one.provenance.get(name) for one in records) if v not in (None, "")]
        if values:
            rows.append((title, ", ".join(values[:6])))
    versions: dict[str, Any] = {}
    for one in records:
        versions.update(one.provenance.get("versions") or {})
    if versions:
        rows.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return rows


def notes(records: Sequence[ExampleRecord], evaluation: Evaluation | None, sanity: Sequence[SanityResult]) -> list[str]:
    """All that has to be said aloud, once each; of notes that differ in their numbers alone the first."""
    found = [note for one in records for note in one.provenance.get("notes", ())]
    found += list(evaluation.notes) if evaluation else []
    found += (
        [f"left out: {method} in {domain}: {why}" for method, domain, why in evaluation.excluded] if evaluation else []
    )
    return once([*found, *(note for one in sanity for note in one.notes)])


def number(value: Any) -> str:
    """A cell of a table: numbers to four digits, nothing for what is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _found(record: ExampleRecord, part: Mode, share: float) -> CurvePoint | None:
    return record.curve.find(part, share) if record.curve else None


def _said(record: ExampleRecord, stop: CurvePoint | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    says: str
    level: float | None
    if record.head == "mask":
        says, level = f"Dice {stop.agreement:.2f} with the clean mask", stop.agreement
    else:
        says, level = _number(stop.confidence, stop.value), _level(stop.confidence)
    return {"says": says, "verdict": _verdict(record, stop), "holds": record.holds(stop), "level": level}


def _verdict(record: ExampleRecord, stop: CurvePoint) -> str:
    if record.head == "mask":
        return "mask kept" if record.holds(stop) else "mask not kept"
    if 0 < stop.agreement < 1:
        return f"{format_fraction(stop.agreement)} of decisions hold"
    if record.contested:
        return "now the decision" if stop.agreement else "not the decision"
    return "decision holds" if stop.agreement else "decision lost"


def _number(confidence: float | None, value: float) -> str:
    return f"value {value:.4g}" if confidence is None else f"confidence {format_confidence(confidence)}"


def _level(confidence: float | None) -> float | None:
    return None if confidence is None else max(0.0, min(1.0, confidence))


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def example_facts(record: ExampleRecord) -> Mapping[str, str]:
    """An example's own line of facts."""
    shape = " × ".join(f"{length} {name}" for name, length in record.shape.items())
    found = {"signal": f"{record.kind}, {shape}", "features": f"{record.features:,}", "method": record.method,
             "domain": record.domain}  # fmt: skip
    if record.completeness_error is not None:
        note = next((one for one in record.provenance.get("notes", ()) if one.startswith(INCOMPLETE)), "")
        found["completeness error"] = (
            f"{record.completeness_error:.3g} ({note})" if note else f"{record.completeness_error:.3g}"
        )
    if record.top_predictions:
        found["the model says"] = ", ".join(
            f"{label} {format_confidence(p)}" for label, p in record.top_predictions[:3]
        )
    return found
