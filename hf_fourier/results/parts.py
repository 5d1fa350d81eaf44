"""The plain values and tensors of a stored result: their schema, and the checks before a result is made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hf_fourier.domains import DOMAINS, Domain, Fitted, Layout
from hf_fourier.domains.fitted import Directions, remember
from hf_fourier.errors import InputError, SpecError
from hf_fourier.results import formats, storage
from hf_fourier.results.contributions import Contributions
from hf_fourier.results.curve import REPLACEMENTS, Curve
from hf_fourier.results.schema import NUMBER, OPTIONAL, Malformed, check
from hf_fourier.results.views import view_from
from hf_fourier.typing import Tensor

FORMAT = 2
#: The prefix of the tensors of a domain that was fitted to examples.
FITTED = "basis."
POINT = {
    "mode": str,
    "fraction": NUMBER,
    "actual_fraction": NUMBER,
    "value": NUMBER,
    "confidence": OPTIONAL,
    "agreement": NUMBER,
    "predicted_class?": (int, type(None)),
}
CURVE = {"clean": NUMBER, "points": [POINT], "replacement?": str}
CONTRIBUTIONS = {
    "total": NUMBER,
    "completeness_error": NUMBER,
    "quantity": str,
    "references": [str],
    "points": int,
}
#: The values of a result, under today's names.
RESULT = {
    "domain": str,
    "signal": storage.SIGNAL,
    "target": Any,
    "label": str,
    "confidence": OPTIONAL,
    "value": NUMBER,
    "provenance": {"notes?": [str], "seed?": int, "passes?": dict},
    "top_predictions": [list],
    "names": [str],
    "view": {"kind": str},
    "extras": dict,
    "completeness_error": OPTIONAL,
    "curve": (None, dict),
    "fingerprint": int,
    "agreement?": OPTIONAL,
    "contributions?": (None, CONTRIBUTIONS),
}


def all_finite(scores: Tensor) -> bool:
    """Whether all scores are finite; their sum mostly tells, at a twentieth of the time of looking at each.

    Those that a run leaves on an accelerator were checked there.
    """
    return not scores.is_cpu or math.isfinite(scores.sum().item()) or bool(scores.isfinite().all())


def fields_of(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of the result that `Attribution.to_parts` took apart, checked.

    Raises:
        InputError: If it is of a newer format.
        Malformed: If the values are not of the schema, or the tensors do not fit them.
    """
    check(values, {"format": int})
    if values["format"] > FORMAT:
        raise InputError(f"format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
    values, tensors = formats.attribution(values), formats.renamed(tensors, formats.TENSORS)
    check(values, RESULT)
    for pair in values["top_predictions"]:
        if len(pair) != 2 or not isinstance(pair[0], str) or isinstance(pair[1], bool):
            raise Malformed(f"{str(pair)[:40]} among top_predictions is not a pair of a label and a probability")
        check(pair[1], NUMBER, "a probability in top_predictions")
    return {
        "scores": tensors.get("scores"),
        "layout": _fitting_layout(values, tensors),
        "target": values["target"],
        "label": values["label"],
        "confidence": values["confidence"],
        "value": values["value"],
        "signal": tensors.get("signal"),
        "gradient": tensors.get("gradient"),
        "provenance": values["provenance"],
        "top_predictions": [(name, p) for name, p in values["top_predictions"]],
        "names": values["names"],
        "view": view_from(values["view"]),
        "inputs": _below(tensors, "inputs."),
        "raw_input": _below(tensors, "raw_input."),
        "extras": {**values["extras"], **_below(tensors, "extras.")},
        "completeness_error": values["completeness_error"],
        "curve": curve_from(values["curve"]),
        "fingerprint": values["fingerprint"],
        "frozen_target": tensors.get("frozen_target"),
        "agreement": values.get("agreement"),
        "contributions": Contributions.from_parts(values.get("contributions"), tensors),
    }


def curve_from(values: Mapping[str, Any] | None, schema: Any = CURVE) -> Curve | None:
    """A curve out of its plain values, checked; None for None.

    Args:
        values: The plain values, under any version's names.
        schema: Theirs, under today's names.

    Raises:
        Malformed: If they are none.
    """
    if values is None:
        return None
    named = formats.renamed(values, formats.CURVE)
    check(named, {"points": [dict]}, "curve")
    named["points"] = formats.points(named["points"])
    check(named, schema, "curve")
    if any(point["mode"] not in ("keep", "delete") for point in named["points"]):
        raise Malformed("a point of the curve neither keeps nor deletes")
    if named.get("replacement", "zero") not in REPLACEMENTS:
        raise Malformed("a curve of an unknown replacement")
    return Curve.from_dict(named)


def _fitting_layout(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Layout:
    """The layout, once signal, gradient and scores are known to fit it."""
    shape = storage.shape_from_dict(values["signal"])
    for name in ("signal", "gradient"):
        if name in tensors and tuple(tensors[name].shape) != shape.shape:
            raise Malformed(f"a {name} of shape {tuple(tensors[name].shape)} for axes of {shape.shape}")
    scores = tensors.get("scores")
    if scores is None or scores.ndim != 1 or not scores.is_floating_point():
        raise Malformed("no scores, one real number per feature")
    if not all_finite(scores):
        raise Malformed(f"{int((~scores.isfinite()).sum())} of {len(scores)} scores are not finite")
    layout = stored_domain(values["domain"], tensors).bind(shape).layout
    if len(layout) != len(scores):
        raise Malformed(f"{len(scores)} scores for a layout of {len(layout)} features")
    return layout


def fitted_tensors(spec: str) -> dict[str, Tensor]:
    """What a stored result holds of a domain that was fitted to examples; empty for others."""
    domain = DOMAINS.parse(spec)
    if not isinstance(domain, Fitted):
        return {}
    return {f"{FITTED}vectors": domain.directions.vectors, f"{FITTED}weights": domain.directions.weights}


def stored_domain(spec: str, tensors: Mapping[str, Tensor]) -> Domain:
    """The domain of a stored result, whose directions this process knows afterwards, if it was fitted to examples.

    Args:
        spec: Its name.
        tensors: What `fitted_tensors` gave, among others.

    Raises:
        Malformed: If the tensors are not the directions that it names.
    """
    domain = DOMAINS.parse(spec)
    if not isinstance(domain, Fitted):
        return domain
    stored = _below(tensors, FITTED)
    if stored.keys() != {"vectors", "weights"}:
        raise Malformed("no directions of its fitted domain")
    vectors, weights = (stored[name].float() for name in ("vectors", "weights"))
    directions = Directions(domain.basis.partition("-")[0], vectors, weights)
    if vectors.ndim != 2 or weights.ndim != 1 or directions.name != domain.basis:
        raise Malformed(f"directions that are not those of {domain.basis}")
    try:
        remember(directions)
    except SpecError as error:
        raise Malformed("directions that are no basis of their kind") from error
    return domain


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
