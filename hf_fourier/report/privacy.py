"""Which parts of a result may be shared without its input: labels, numbers, and names that leak an environment.

A report without inputs holds numbers that no input can be rebuilt from. That is more than leaving out phases: the
magnitudes of single features give a picture back where its support is known, those of embedded tokens give the bag of
tokens back (power adds up over tokens, and a model's embeddings are public), and in a domain with places the magnitude
is the input itself. So features are summed to a few bands before they are written.

How a result was made is a list of known fields, each of a known form (`provenance_of`). Free text passes word by word:
only what the library itself may have written (`public_text`).
"""

from __future__ import annotations

import contextlib
import getpass
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.report.public_text import LOCAL, is_public_title
from hf_fourier.report.public_text import WITHHELD as WITHHELD
from hf_fourier.report.public_text import public_spec as public_spec
from hf_fourier.report.public_text import public_text as public_text
from hf_fourier.results import remarks

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

#: Heads whose labels are the model's own classes. The labels of others are tokens, words or answers.
CLASSES = frozenset(
    f"{what}-classification" for what in ("text", "image", "audio", "audio-frame", "video", "time-series")
) | {
    "image-segmentation", "universal-segmentation", "object-detection", "depth-estimation", "time-series-regression",
    "network",
}  # fmt: skip
#: Extras of methods and perturbations that are summed over places.
SUMMARIES = (
    "scale_importance", "layers", "neurons", "is_cut", "standard_error", "energy", "information", "entropy",
    "effective", "divergence", "band_radius", "cutoff", "noise_power", "flipped", "adversarial_agrees",
    "adversarial_confidence", "linf", "l2", "unit",
    "mean_phase_share",
)  # fmt: skip
DIGITS, BAND_DIGITS = 4, 3

#: Tokens of services by their beginnings, and any long run of small and large letters and digits.
_CREDENTIAL = re.compile(
    r"\b(hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[baprs]-[A-Za-z0-9-]{10,}|eyJ[\w-]{10,}(?:\.[\w-]+)*"
    r"|(?=[A-Za-z0-9]*\d)(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])[A-Za-z0-9]{24,})"
)
_SIGNED = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@")
_ASSIGNED = re.compile(r"(?i)\b((?:\w*(?:token|secret|password|passwd|api[_-]?key))\s*[=:]\s*)[^\s'\",;]+")
#: A path from its root on: up to a blank, and further where a slash still follows; no address of the web.
_PATH = re.compile(
    r"(?<![\w/.<])(?<!http:)(?<!https:)(?:~(?=[/\w])|/(?=[^\s/])|file://|[A-Za-z]:[\\/]|\\\\)[^\s'\"<>|,;()]*"
    r"(?:[ ][^\s'\"<>|,;()/]+/[^\s'\"<>|,;()]*)*"
)
_HUB = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
#: The form of each text that describes how a result was made.
_REVISION = re.compile(r"[0-9a-f]{6,64}|main|v?\d{1,4}(\.\d{1,4}){0,3}")
_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|hpu|npu|xla)(:\d{1,3})?")
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}((a|b|rc|\.dev|\.post)\d{1,5})?(\+(cpu|cu\d{2,4}|rocm[\d.]{1,8}))?")
_NAME = re.compile(r"[a-z]{1,24}([-_][a-z0-9]{1,24}){0,5}")


def shareable(attribution: Attribution) -> bool:
    """Whether the label is one of the model's own classes, and no token, word, answer or tag of each place."""
    made = attribution.provenance
    single = attribution.target is None or isinstance(attribution.target, int) or made.get("head") == "mask"
    return made.get("task") in CLASSES and made.get("head") != "contrast" and single


def model_of(name: Any) -> str:
    """A model's name without the folders of a path: a Hub id whole, of anything else the last part.

    A last part that is more than letters, digits and `_.-` is not shown.
    """
    text = str(name or "")
    if not (_HUB.fullmatch(text) and not text.startswith(".")):
        text = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return scrubbed(text) if not text or _HUB.fullmatch(text) else LOCAL


def title_of(title: str, model: Any, shared: bool) -> str:
    """A report's title as it is written.

    Args:
        title: As given. What is shared keeps it if it is words and numbers; else the title is made of the model's name.
        model: The model's name.
        shared: Whether the report is written without its inputs.
    """
    name = model_of(model)
    text = title.replace(str(model), name) if model else title
    if not shared or is_public_title(text, name):
        return scrubbed(text)
    return f"Frequency explanations of {name or 'a model'}"


def scrubbed(text: str) -> str:
    """`text` without credentials, paths of this machine and the name of whoever runs it.

    It is for what is written about a result (names, notes, provenance), not for what a user chose to include.
    """
    text = _CREDENTIAL.sub("(credential)", text)
    text = _ASSIGNED.sub(r"\1(credential)", text)
    text = _SIGNED.sub(r"\1(credential)@", text)
    text = _PATH.sub("(path)", text)
    for secret in _own_names():
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "(user)", text)
    return text


def each_text(value: Any, worded: Callable[[str], str]) -> Any:
    """Plain values with all their texts put through a function, such as `scrubbed` or `public_text`."""
    if isinstance(value, str):
        return worded(value)
    if isinstance(value, Mapping):
        return {worded(str(key)): each_text(item, worded) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [each_text(item, worded) for item in value]
    return value


def provenance_of(attribution: Attribution, shared: bool) -> dict[str, Any]:
    """How a result was made: known fields of a known form, and the notes.

    Args:
        attribution: The result.
        shared: Without what belongs to the example, and of the notes those alone that the library makes of it.
    """
    made, found = attribution.provenance, dict[str, Any]()
    for name, value in made.items():
        form = _FORMS.get(name)
        if form is None or (shared and name in _OF_EXAMPLES):
            continue
        kept = form(value)
        if kept is not None or value is None:
            found[name] = kept
    notes = [str(note) for note in made.get("notes", ())]
    known = set(attribution.layout.notes)
    free = ("the checkpoint's ", *remarks.FREE)
    if shared:
        found["notes"] = [public_text(note) for note in notes if note in known or note.startswith(free)]
    else:
        found["notes"] = [scrubbed(note) for note in notes]
    return {**found, "model": model_of(_name(made.get("model")))}


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


def _form(pattern: re.Pattern[str]) -> Callable[[Any], str | None]:
    """A text of one form; None for anything else."""
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


def _number(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else None


def _counts(value: Any) -> dict[str, Any] | None:
    """Numbers by names of the library."""
    if not isinstance(value, Mapping):
        return None
    return {str(name): one for name, one in value.items() if _form(_NAME)(name) and _number(one) is not None}


def _versions(value: Any) -> dict[str, str] | None:
    if not isinstance(value, Mapping):
        return None
    form = _form(_VERSION)
    return {str(name): str(one) for name, one in value.items() if _form(_NAME)(name) and form(str(one))}


def _spec(value: Any) -> str | None:
    return public_spec(value) if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    return public_text(value) if isinstance(value, str) else None


#: Provenance that is written, and the form of each; nothing else of it is.
_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "revision": _form(_REVISION), "task": _form(_NAME), "head": _form(_NAME), "method": _spec, "domain": _spec,
    "seed": _number, "device": _form(_DEVICE), "versions": _versions, "passes": _counts, "seconds": _number,
    "contributions": _number, "batch": _number, "halvings": _number, "dither": _number, "checks": _counts,
    "origin": _text, "signal": _form(_NAME), "range": _text,
}  # fmt: skip
#: Fields of these that belong to the example.
_OF_EXAMPLES = ("signal", "range", "checks")


def _name(model: Any) -> Any:
    return model.get("name") if isinstance(model, Mapping) else model


def _own_names() -> list[str]:
    """This machine's user and home folder, where they are names that tell somebody."""
    found = []
    with contextlib.suppress(KeyError, OSError, ImportError):
        found.append(getpass.getuser())
    found.append(Path.home().name)
    return [name for name in dict.fromkeys(found) if len(name) > 2 and name not in ("root", "home", "user", "runner")]
