"""What a report says in words of its examples, its numbers and their limits. It reads records, never inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.methods import METHODS
from hf_fourier.report import wording
from hf_fourier.results.curve import Part, Stop
from hf_fourier.results.remarks import INCOMPLETE, once

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation
    from hf_fourier.evaluation.sanity import Sanity
    from hf_fourier.report.example_record import Record

#: The quantities that stand side by side in a headline, where they were measured; more is better in all of them.
HEADLINES = {
    "dig": "DIG",
    "dice_retention": "Dice retention",
    "maintain_rate_at_0.04": "decisions kept at 4 %",
    "selectivity (random)": "selectivity (random)",
    "selectivity (runner-up)": "selectivity (runner-up)",
}

MAY = (
    "That the shown features suffice for a decision, where it holds with them alone.",
    "That a ranking does better or worse than the controls on these examples, as far as the intervals say so.",
    "How little of an input the model needs to say the same.",
)
MAY_NOT = (
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


def stops_of(record: Record) -> list[dict[str, Any]]:
    """What the model said at each stop of a slider, in words and numbers."""
    played = sorted({stop.asked for stop in record.curve.of("keep")}) if record.curve else []
    return [at(record, share) for share in [*(share for share in played if 0 < share < 1), 1.0]]


def at(record: Record, share: float) -> dict[str, Any]:
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
        "percent": wording.share(share),
        "kept": _said(record, keep),
        "removed": _said(record, delete),
        "conclusion": wording.concluded(keep, delete, record.noun, share, masked, record.contested),
    }


def shown_share(record: Record) -> float:
    """Where the slider stands at first: the least share that keeps the decision, else 4 % or what is nearest to it."""
    if record.least is not None:
        return record.least
    asked = [stop.asked for stop in (record.curve.of("keep") if record.curve else []) if 0 < stop.asked < 1]
    return min(asked, key=lambda share: abs(math.log(share / wording.USUAL)), default=wording.USUAL)


def headlines(evaluation: Evaluation, seed: int = 0) -> list[dict[str, str]]:
    """A row per method and domain: sufficiency, selectivity and the gaps to the magnitude ranking side by side."""
    chosen = [name for name in HEADLINES if name in evaluation.better]
    rows = []
    for row in evaluation.summary(chosen, seed).rows() if chosen else []:
        if not any(row[name] for name in chosen):
            continue
        control = " (control)" if is_control(row["method"]) else ""
        named = {"method": row["method"] + control, "domain": row["domain"], "n (sources)": row["n (sources)"]}
        own = row["method"].partition(":")[0] == "magnitude"
        for name in chosen:
            named[HEADLINES[name]] = row[name] or "—"
            gap = row[f"{name}, gap to magnitude"]
            signed = gap if gap.startswith("-") else f"+{gap}"
            named[f"{HEADLINES[name]}, gap to magnitude"] = signed if gap and not own else "—"
        rows.append(named)
    return rows


def beside(evaluation: Evaluation | None) -> list[str]:
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
    sources = len(set(evaluation.sources))
    if sources < 30:
        told.append(f"{sources} source{'s' * (sources != 1)}: fewer than 30 are anecdotal and claim nothing.")
    return told


def counts(records: Sequence[Record]) -> list[str]:
    """By method, how many decisions are kept by a few features; the controls beside."""
    told = []
    for method in dict.fromkeys(one.method for one in records):
        own = [one for one in records if one.method == method]
        played = [one for one in own if one.curve is not None]
        name = f"{method} (a control)" if is_control(method) else method
        shares = sorted({s.asked for one in played for s in one.curve.of("keep") if 0 < s.asked < 1})  # type: ignore[union-attr]
        for share in [s for s in (wording.USUAL,) if s in shares] or shares[:1]:
            stops = [(one, _found(one, "keep", share)) for one in played]
            kept = sum(stop is not None and one.holds(stop) for one, stop in stops)
            told.append(f"{name}: {kept} of {len(stops)} decisions hold with the top {wording.share(share)} alone")
        if not played:
            told.append(f"{name}: the model was not asked about parts of its {len(own)} examples")
    if told and not any(is_control(one.method) for one in records):
        told.append("no control is among these results, so these counts say nothing about the ranking by themselves")
    return told


def cost(records: Sequence[Record]) -> list[str]:
    """Passes and seconds per example, by method."""
    told = []
    for method in dict.fromkeys(one.method for one in records):
        own = [one.provenance for one in records if one.method == method]
        passes = {name: _mean([(made.get("passes") or {}).get(name) for made in own])
                  for name in ("forward", "backward", "played", "asked")}  # fmt: skip
        words = {"forward": "forward", "backward": "backward", "played": "forward to play", "asked": "to evaluate"}
        parts = [f"{value:.3g} {words[name]}" for name, value in passes.items() if value]
        seconds = _mean([made.get("seconds") for made in own])
        clock = "" if seconds is None else f"; {seconds:.3g} s by the clock, playing left out"
        told.append(f"{method}: per example {', '.join(parts) or 'no passes that are known'}{clock}")
    return told


def provenance(records: Sequence[Record]) -> list[tuple[str, str]]:
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


def notes(records: Sequence[Record], evaluation: Evaluation | None, sanity: Sequence[Sanity]) -> list[str]:
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


def _found(record: Record, part: Part, share: float) -> Stop | None:
    return record.curve.found(part, share) if record.curve else None


def _said(record: Record, stop: Stop | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    says: str
    level: float | None
    if record.head == "mask":
        says, level = f"Dice {stop.agrees:.2f} with the clean mask", stop.agrees
    else:
        says, level = _number(stop.confidence, stop.value), _level(stop.confidence)
    return {"says": says, "verdict": _verdict(record, stop), "holds": record.holds(stop), "level": level}


def _verdict(record: Record, stop: Stop) -> str:
    if record.head == "mask":
        return "mask kept" if record.holds(stop) else "mask not kept"
    if 0 < stop.agrees < 1:
        return f"{wording.share(stop.agrees)} of decisions hold"
    if record.contested:
        return "now the decision" if stop.agrees else "not the decision"
    return "decision holds" if stop.agrees else "decision lost"


def _number(confidence: float | None, value: float) -> str:
    return f"value {value:.4g}" if confidence is None else f"confidence {wording.sureness(confidence)}"


def _level(confidence: float | None) -> float | None:
    return None if confidence is None else max(0.0, min(1.0, confidence))


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def facts(record: Record) -> Mapping[str, str]:
    """An example's own line of facts."""
    shape = " × ".join(f"{length} {name}" for name, length in record.shape.items())
    found = {"leaf": f"{record.kind}, {shape}", "features": f"{record.features:,}", "method": record.method,
             "domain": record.domain}  # fmt: skip
    if record.gap is not None:
        note = next((one for one in record.provenance.get("notes", ()) if one.startswith(INCOMPLETE)), "")
        found["completeness gap"] = f"{record.gap:.3g} ({note})" if note else f"{record.gap:.3g}"
    if record.alternatives:
        found["the model says"] = ", ".join(f"{label} {wording.sureness(p)}" for label, p in record.alternatives[:3])
    return found
