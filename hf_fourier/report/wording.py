"""What figures say in words: how sure the model is, whether its decision holds, and what may be concluded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hf_fourier.methods import METHODS
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.results.relevance import SIZE

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.curve import Part, Stop
    from hf_fourier.results.relevance import Relevance

USUAL = 0.04
#: From this Dice with the clean mask on, a predicted mask counts as kept.
SAME_MASK = 0.9


def shown_fraction(attribution: Attribution) -> float:
    """The least played share whose top features alone keep the decision, or 0.04."""
    stops = attribution.curve.of("keep") if attribution.curve else []
    holding = [stop.asked for stop in stops if holds(attribution, stop) and 0 < stop.asked < 1]
    return holding[0] if holding else USUAL


def is_mask(attribution: Attribution) -> bool:
    """Whether a mask was explained: its decision is kept as Dice."""
    return attribution.provenance.get("head") == "mask"


def holds(attribution: Attribution, stop: Stop) -> bool:
    """Whether the decision is kept: all of it, of a mask a Dice of at least `SAME_MASK`."""
    return stop.agrees >= (SAME_MASK if is_mask(attribution) else 1)


def stop_at(attribution: Attribution, part: Part, fraction: float) -> Stop | None:
    """What the model said at this share, or None if it was not asked."""
    if attribution.curve is None:
        return None
    try:
        return attribution.curve.at(part, fraction)
    except KeyError:
        return None


def share(fraction: float) -> str:
    """A share in per cent: "4 %"."""
    return f"{100 * fraction:.3g} %"


def sureness(confidence: float) -> str:
    """A confidence to two digits that never rounds to certainty."""
    if confidence < 0.01:
        return f"{confidence:.4f}" if confidence >= 0.0001 else "< 0.0001"
    return f"{confidence:.2f}" if confidence < 0.995 else f"{min(confidence, 0.9999):.4f}"


def label(attribution: Attribution, most: int = 40) -> str:
    """The explained label in quotation marks."""
    return f"“{drawable(attribution.label.strip() or '␣', most)}”"


def clean_answer(attribution: Attribution, most: int = 60) -> str:
    """What the model says to the whole example."""
    if attribution.confidence is None:
        return f"{label(attribution, most)}: {attribution.value:.4g}"
    word = "mean confidence in the mask" if is_mask(attribution) else "confidence"
    return f"{label(attribution, most)}: {word} {sureness(attribution.confidence)}"


def quantity(attribution: Attribution) -> str:
    """What is drawn of each stop (`size`)."""
    if is_mask(attribution):
        return "Dice with the clean mask"
    return "value" if attribution.confidence is None else "confidence"


def size(attribution: Attribution, stop: Stop) -> float:
    """A stop as a number to draw: the Dice of a mask, else the confidence, else the value."""
    if is_mask(attribution):
        return stop.agrees
    return stop.value if stop.confidence is None else stop.confidence


def number(stop: Stop) -> str:
    """A stop's confidence, or its value where there is none."""
    return f"{stop.value:.4g}" if stop.confidence is None else sureness(stop.confidence)


def answer(attribution: Attribution, stop: Stop | None, most: int = 60) -> str:
    """What the model says to a part of the example, and on a second line whether the decision holds."""
    if stop is None:
        return "(not shown to the model)\n"
    if is_mask(attribution):
        return f"{label(attribution, most)}\n{verdict(attribution, stop)} with the clean mask (dashed)"
    word = "" if stop.confidence is None else "confidence "
    return f"{label(attribution, most)}: {word}{number(stop)}\n{verdict(attribution, stop)}"


def contested(attribution: Attribution) -> bool:
    """Whether the explained label is another one than the model's own decision."""
    if attribution.confidence is None or not attribution.alternatives or isinstance(attribution.target, list):
        return False
    if is_mask(attribution):  # its alternatives are the classes' shares of the picture
        return False
    best, probability = attribution.alternatives[0]
    return attribution.label != best and attribution.confidence < min(probability, 0.5)


def verdict(attribution: Attribution, stop: Stop) -> str:
    """Whether the decision holds, in two or three words."""
    if is_mask(attribution):
        return f"Dice {stop.agrees:.2f}"
    if 0 < stop.agrees < 1:
        return f"{share(stop.agrees)} of decisions hold"
    if contested(attribution):
        return "now the decision" if stop.agrees else "not the decision"
    return "decision holds" if stop.agrees else "decision lost"


def three(attribution: Attribution, fraction: float, whole: str = "The input", most: int = 24) -> list[str]:
    """What stands above the whole example, above its top features alone and above what is left without them."""
    kind, top = noun(attribution), share(fraction)
    whose = "not the model's decision" if contested(attribution) else "the model's decision"
    if is_mask(attribution):
        said = f"{label(attribution, most)}\nthe model's own mask, outlined"
    else:
        said = f"{clean_answer(attribution, most)}\n{whose}"
    titles = [f"{whole}\n{said}"]
    parts: tuple[tuple[Part, str], ...] = (
        ("keep", f"The top {top} of {kind} alone"),
        ("delete", f"All but the top {top}"),
    )
    titles += [f"{words}\n{answer(attribution, stop_at(attribution, part, fraction), most)}" for part, words in parts]
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


def noun(attribution: Attribution) -> str:
    """What the features are called."""
    return "frequencies" if attribution.layout.with_role("frequency") else "features"


def model_name(attribution: Attribution) -> str:
    """The explained model's name, or nothing."""
    model = attribution.provenance.get("model") or ""
    return str(model.get("name") or "") if isinstance(model, Mapping) else str(model)


def headline(attribution: Attribution, fraction: float | None = None) -> list[str]:
    """Label and confidence; with `fraction` also those of the parts, if they were played; model, method and domain."""
    lines = [clean_answer(attribution)]
    if fraction is not None:
        parts: tuple[tuple[Part, str], ...] = (
            ("keep", f"top {share(fraction)} of {noun(attribution)} alone"),
            ("delete", "without them"),
        )
        stops = [(stop_at(attribution, part, fraction), words) for part, words in parts]
        said = [f"{words}: {number(stop)}, {verdict(attribution, stop)}" for stop, words in stops if stop is not None]
        lines += [" · ".join(said)] if said else []
    source = [model_name(attribution), attribution.provenance.get("method"), attribution.layout.domain]
    return [*lines, " · ".join(drawable(str(part), 60) for part in source if part)]


def conclusion(attribution: Attribution, fraction: float) -> str:
    """What may be concluded from the figure, and what not."""
    keep, delete = (stop_at(attribution, part, fraction) for part in ("keep", "delete"))
    said = concluded(keep, delete, noun(attribution), fraction, is_mask(attribution), contested(attribution))
    if attribution.view.kind == "spectrogram":
        zero = getattr(attribution.view, "offset", 0.0)
        said += (
            f" A place without power takes the level that the model reads as zero ({zero:.3g} dB). To be heard, a "
            "part is the clip filtered: each band is raised or lowered by what it changes; the phase is the clip's own."
        )
    return " ".join([said, *filter(None, [_control(attribution)]), *(f"{one}." for one in attribution.incomplete)])


def concluded(keep: Stop | None, delete: Stop | None, kind: str, fraction: float, mask: bool, other: bool) -> str:
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
            "decide anything. FourierExplainer.play asks the model."
        )
    elif mask:
        said = _of_mask(keep, delete, kind)
    elif other:
        does = "bring about" if keep.agrees >= 1 else "do not bring about"
        said = f"The model's own decision is another one; the kept {kind} alone {does} the one explained here."
    elif keep.agrees < 1:
        said = f"The top {share(fraction)} of {kind} are not sufficient for this decision."
        if delete is not None and delete.agrees >= 1:
            said += " Nor is it lost without them: at this share the ranking does not explain it."
    else:
        said = f"The kept {kind} are sufficient for this decision; they may suffice for others too. "
        if delete is None:
            said += "What is left without them was not shown to the model."
        elif delete.agrees >= 1:
            said += "What is left without them is sufficient as well, so they are not necessary."
        else:
            said += "Losing it without them does not prove that it rests on them: what is left is no natural input."
    return said.rstrip()


def _of_mask(keep: Stop, delete: Stop | None, kind: str) -> str:
    """What may be concluded where the decision is a mask."""
    if keep.agrees < SAME_MASK:
        said = f"The kept {kind} alone do not give the mask back (Dice {keep.agrees:.2f}; {SAME_MASK:g} would count)."
    else:
        said = f"The kept {kind} alone are sufficient for this mask (Dice {keep.agrees:.2f})."
    if delete is None:
        return f"{said} What is left without them was not shown to the model."
    if delete.agrees >= SAME_MASK:
        return f"{said} What is left without them gives it too (Dice {delete.agrees:.2f}): they are not necessary."
    ground = "does not prove that it rests on them: what is left is no natural input."
    return f"{said} A Dice of {delete.agrees:.2f} without them {ground}"


def _control(attribution: Attribution) -> str:
    name = str(attribution.provenance.get("method", "")).partition(":")[0]
    if name in METHODS and METHODS[name].control:
        return f"“{name}” is a control: it ranks without looking at the model."
    return ""
