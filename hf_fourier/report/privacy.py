"""Which parts of a result may be shared without its input: labels, numbers, and names that leak an environment.

A report without inputs holds numbers that no input can be rebuilt from. That is more than leaving out phases: the
magnitudes of single features give a picture back where its support is known, those of embedded tokens give the bag of
tokens back (power adds up over tokens, and a model's embeddings are public), and in a domain with places the magnitude
is the input itself. So features are summed to a few bands before they are written.
"""

from __future__ import annotations

import contextlib
import getpass
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.results import remarks

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

#: What stands where a label is a part of the example or of an answer to it.
WITHHELD = "(withheld)"
#: Heads whose labels are the model's own classes. The labels of others are tokens, words or answers.
CLASSES = frozenset(
    f"{what}-classification" for what in ("text", "image", "audio", "audio-frame", "video", "time-series")
) | {"image-segmentation", "universal-segmentation", "object-detection", "depth-estimation", "time-series-regression"}
#: Extras of methods and perturbations that are summed over places.
SUMMARIES = (
    "scale_importance", "layers", "neurons", "is_cut", "standard_error", "energy", "information", "entropy",
    "effective", "divergence", "band_radius", "cutoff", "noise_power", "flipped", "adversarial_agrees",
    "adversarial_confidence", "linf", "l2", "unit",
    "mean_phase_share",
)  # fmt: skip
#: Provenance that describes how a result was made, and nothing of its example.
MADE = (
    "model", "revision", "task", "head", "method", "domain", "seed", "device", "versions", "passes", "seconds",
    "contributions",
    "batch", "halvings", "origin",
)  # fmt: skip
DIGITS, BAND_DIGITS = 4, 3

_CREDENTIAL = re.compile(
    r"\b(hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}"
    r"|AKIA[0-9A-Z]{16}|xox[baprs]-[A-Za-z0-9-]{10,})"
)
_SIGNED = re.compile(r"(https?://)[^/\s:@]+:[^/\s@]+@")
_PATH = re.compile(r"(?<![\w:/.])(?:~|/(?:[^\s/'\"<>|:,;()]+/)+|[A-Za-z]:[\\/]|\\\\)[^\s'\"<>|,;()]*")
_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?")


def shareable(attribution: Attribution) -> bool:
    """Whether the label is one of the model's own classes, and no token, word, answer or tag of each place."""
    made = attribution.provenance
    single = attribution.target is None or isinstance(attribution.target, int) or made.get("head") == "mask"
    return made.get("task") in CLASSES and made.get("head") != "contrast" and single


def model_of(name: Any) -> str:
    """A model's name without the folders of a path: a Hub id whole, of anything else the last part."""
    text = str(name or "")
    if _HUB.fullmatch(text) and not text.startswith("."):
        return scrubbed(text)
    return scrubbed(text.replace("\\", "/").rstrip("/").rpartition("/")[2])


def scrubbed(text: str) -> str:
    """`text` without credentials, paths of this machine and the name of whoever runs it.

    It is for what is written about a result (names, notes, provenance), not for what a user chose to include.
    """
    text = _CREDENTIAL.sub("(credential)", text)
    text = _SIGNED.sub(r"\1(credential)@", text)
    text = _PATH.sub("(path)", text)
    for secret in _own_names():
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "(user)", text)
    return text


def scrub(value: Any) -> Any:
    """Plain values with all their texts scrubbed."""
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, Mapping):
        return {scrubbed(str(key)): scrub(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(item) for item in value]
    return value


def provenance_of(attribution: Attribution, shared: bool) -> dict[str, Any]:
    """How a result was made, scrubbed; with `shared` only what is known to be free of the example."""
    made = {name: value for name, value in attribution.provenance.items() if name in MADE or not shared}
    made["model"] = model_of(_name(made.get("model")))
    notes = [str(note) for note in attribution.provenance.get("notes", ())]
    known = set(attribution.layout.notes)
    free = ("the checkpoint's ", *remarks.FREE)
    made["notes"] = [note for note in notes if not shared or note in known or note.startswith(free)]
    kept = {name: value for name, value in made.items() if name != "model"}
    return {"model": made["model"], **scrub(kept)}


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """Plain values, their real numbers to so many significant digits; NaN and infinity become None."""
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [rounded(item, digits) for item in value]
    if hasattr(value, "tolist"):
        return rounded(value.tolist(), digits)
    return str(value)


def pseudonyms(names: Sequence[Any]) -> list[str]:
    """A number for each name, equal ones alike, in the order they come."""
    numbers: dict[Any, str] = {}
    return [numbers.setdefault(name, str(len(numbers) + 1)) for name in names]


def _name(model: Any) -> Any:
    return model.get("name") if isinstance(model, Mapping) else model


def _own_names() -> list[str]:
    """This machine's user and home folder, where they are names that tell somebody."""
    found = []
    with contextlib.suppress(KeyError, OSError, ImportError):
        found.append(getpass.getuser())
    found.append(Path.home().name)
    return [name for name in dict.fromkeys(found) if len(name) > 2 and name not in ("root", "home", "user", "runner")]
