"""Which results of a report are of the same example, so that its bands are shown with its single frequencies."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution


def example_numbers(results: Sequence[Attribution], names: Sequence[str]) -> list[int]:
    """A number for the example of each result, from 1 on, in the order they come.

    Results are of one example if they explain the same target of the same signal and the model's other inputs. A sound
    may be explained at its waveform and at its spectrogram: these are one example if they have the same name and label.

    Args:
        results: The results.
        names: What each is called.
    """
    numbers: dict[Hashable, int] = {}
    kinds: dict[tuple[str, str], dict[str, int]] = {}
    found = []
    for place, (result, name) in enumerate(zip(results, names, strict=True)):
        kind = result.layout.signal.kind
        key = (result.key, kind, repr(result.target), result.label) if result.key else ("result", place)
        number = numbers.get(key)
        if number is None:
            others = kinds.setdefault((name, result.label), {})
            free = [other for form, other in others.items() if {form, kind} == {"waveform", "spectrogram"}]
            number = free[0] if free and kind not in others else max(numbers.values(), default=0) + 1
            numbers[key] = others[kind] = number
        found.append(number)
    return found


@dataclass(frozen=True)
class ExampleParts:
    """The results that one view of an example shows.

    Attributes:
        record: The place of the result whose features the view's slider keeps and removes.
        bands: The places of the results in bands of the same example, which the view opens with.
    """

    record: int
    bands: Sequence[int]


def example_parts(records: Sequence[ExampleRecord]) -> list[ExampleParts]:
    """A view for each result in single frequencies; one in bands has a view if its example has no other."""
    in_bands: dict[Hashable, list[int]] = {}
    other = set()
    for place, one in enumerate(records):
        if one.band_scores is not None:
            in_bands.setdefault(_key(one, place), []).append(place)
        else:
            other.add(_key(one, place))
    found = []
    for place, one in enumerate(records):
        key = _key(one, place)
        own = in_bands.get(key, [])
        if one.band_scores is None or (key not in other and own[0] == place):
            found.append(ExampleParts(place, own))
    return found


def _key(record: ExampleRecord, place: int) -> Hashable:
    return record.example or ("record", place)
