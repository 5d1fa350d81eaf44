"""Recordings longer than a model's window: explained in overlapping segments, with one merged answer.

Segments stay in a folder and are read one at a time, so that memory does not grow with the recording.
"""

from __future__ import annotations

import shutil
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.audio import AudioStream
from hf_fourier.models.inputs.containers import example_of
from hf_fourier.results import formats, storage
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import CurveKeywords, Mode
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.integrity import damaged, parsing, read_json, sealed, stated_digest
from hf_fourier.results.remarks import IN_PLACE, once
from hf_fourier.results.schema import NUMBER, OPTIONAL, check
from hf_fourier.results.spectrum import Spectrum, merged
from hf_fourier.results.table import Table
from hf_fourier.torch_state import exact_class

if TYPE_CHECKING:
    from hf_fourier.engine import Engine
    from hf_fourier.methods import Method
    from hf_fourier.scoring.example_batch import BatchSize
    from hf_fourier.scoring.targets import Target

#: Seconds of a segment for models that take sounds of any length.
USUAL_SECONDS = 10.0
#: Segments that are explained at once by default.
SEGMENTS_PER_BATCH = 8
#: Peaks of the waveform that are kept of each segment, for the figure.
PEAKS = 16
FORMAT = 2
INDEX, SEGMENTS = "recording.json", "segments"
_INDEX = {"seconds": NUMBER, "rate": int, "notes": [str], "segments": [dict]}
_SEGMENT = {
    "start": NUMBER, "end": NUMBER, "weight_seconds": NUMBER, "label": str, "confidence": OPTIONAL, "value": NUMBER,
    "kept": dict, "lost": dict, "peaks": [NUMBER], "digest?": str,
}  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """One segment of a recording, with the model's prediction.

    Attributes:
        start: Where it begins, in seconds.
        end: Where it ends.
        weight_seconds: Seconds that count for it: those it shares with its neighbours are divided among them.
        label: The explained label.
        confidence: The model's confidence in it; None for heads that have none.
        value: The score.
        kept: Agreement at each fraction, when the top features alone are kept.
        lost: Agreement at each fraction, when they are deleted.
        peaks: The largest amplitudes of its equal parts.
        digest: What the file of its attribution states of its content; "" where it states nothing.
    """

    start: float
    end: float
    weight_seconds: float
    label: str
    confidence: float | None
    value: float
    kept: dict[str, float] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    peaks: tuple[float, ...] = ()
    digest: str = ""


@exact_class
@dataclass(eq=False)
class Recording:
    """A recording's explanation. `recording[i]` reads the `Attribution` of one segment.

    Attributes:
        segments: The predictions over time, in order.
        folder: The folder with the segments' attributions.
        seconds: How long the recording is.
        rate: The model's rate in Hz.
        notes: Notes on the whole.
    """

    segments: list[Segment]
    folder: Path
    seconds: float
    rate: int
    notes: tuple[str, ...] = ()
    _room: Any = None  # a temporary folder, which lives as long as this object

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> Attribution:
        """One segment's attribution, read from its file.

        Raises:
            DamagedFile: If it is not as it was written, or that of another segment.
        """
        number = range(len(self.segments))[index]
        path, digest = _place(self.folder, number), self.segments[number].digest
        if digest and (path / storage.VALUES).is_file() and stated_digest(path / storage.VALUES) != digest:
            what = f"it is not the one that was written of segment {number}"
            raise damaged(path / storage.VALUES, what, "explain the recording again; others can still be read")
        return Attribution.load(path)

    def __iter__(self) -> Iterator[Attribution]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"Recording({self.label!r} for {self.labels[self.label]:.1f} of {self.seconds:.1f} s, {len(self)} segments)"
        )

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:recording", self))

    @property
    def labels(self) -> dict[str, float]:
        """Seconds for which each label was explained, the longest first."""
        seconds: dict[str, float] = {}
        for segment in self.segments:
            seconds[segment.label] = seconds.get(segment.label, 0.0) + segment.weight_seconds
        return dict(sorted(seconds.items(), key=lambda item: -item[1]))

    @property
    def label(self) -> str:
        """The label of the most seconds."""
        return next(iter(self.labels))

    @property
    def confidence(self) -> float | None:
        """The mean confidence in `label` over its own seconds; None for heads that have none."""
        known = [
            (s.weight_seconds, s.confidence)
            for s in self.segments
            if s.label == self.label and s.confidence is not None
        ]
        return sum(w * confidence for w, confidence in known) / sum(w for w, _ in known) if known else None

    def decisions(self) -> Table:
        """The predictions over time: one row per segment."""
        rows = [(s.start, s.end, s.label, s.confidence, s.value) for s in self.segments]
        columns = ("start [s]", "end [s]", "label", "confidence", "value")
        return Table({name: [row[i] for row in rows] for i, name in enumerate(columns)})

    def points(self, label: str | None = None) -> Table:
        """The agreement when the top features alone are kept, and when they are deleted.

        Args:
            label: Of which segments; None for all.

        Returns:
            One row per fraction: the share of seconds whose prediction holds.
        """
        chosen = [s for s in self.segments if label in (None, s.label)]
        shares = sorted({share for s in chosen for share in (*s.kept, *s.lost)}, key=float)

        def holds(part: str) -> list[float | None]:
            fractions = []
            for share in shares:
                known = [(s.weight_seconds, getattr(s, part)[share]) for s in chosen if share in getattr(s, part)]
                fractions.append(sum(w * yes for w, yes in known) / sum(w for w, _ in known) if known else None)
            return fractions

        return Table({"top fraction": [float(s) for s in shares], "kept": holds("kept"), "deleted": holds("lost")})

    def spectrum(self, label: str | None = None, fraction: float = 0.04) -> Spectrum:
        """One spectrum for all segments, or for those of one label.

        Scores compare features within one segment only, so each segment's are divided by the sum of their sizes. Then
        segments are averaged, each by its own seconds: what overlaps counts once. Neither loudness nor confidence
        weighs.

        Args:
            label: Whose segments; None for all, whatever they were explained for.
            fraction: The fraction of features that counts as chosen in each segment.

        Raises:
            InputError: If no segment has this label.
        """
        chosen = [i for i, s in enumerate(self.segments) if label in (None, s.label)]
        if not chosen:
            raise InputError(f"label {label!r}", f"one of {list(self.labels)}", "choose one that was explained")
        return merged(((self[i], self.segments[i].weight_seconds) for i in chosen), fraction)

    def sounds(self, folder: str | PathLike[str], fraction: float = 0.04) -> dict[str, Path]:
        """Write WAV files of the whole recording; see `hf_fourier.report.audio_files.save_recording`."""
        written: dict[str, Path] = drawn_by("audio_files:save_recording", self, folder, fraction)
        return written

    def plot(self, path: str | PathLike[str] | None = None, fraction: float = 0.04) -> Any:
        """Draw the prediction over time and the spectrum of the main label.

        Returns:
            The `matplotlib.figure.Figure`.
        """
        return drawn_by("figures.recording:plot_recording", self, path, fraction)

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write everything into `folder`, and return it."""
        path = Path(folder)
        if path.resolve() != self.folder.resolve():
            shutil.copytree(self.folder / SEGMENTS, path / SEGMENTS, dirs_exist_ok=True)
        _write(self, path)
        return path

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Recording:
        """Read what `save` or an interrupted run wrote.

        Raises:
            InputError: If the folder holds no recording, or one of a newer format.
            DamagedFile: If its index is not as it was written.
        """
        path = Path(folder)
        if not (path / INDEX).is_file():
            raise InputError(f"{path.name!r}", f"a folder with {INDEX}", "pass a folder that `save` wrote")
        hint = f"explain the recording again; each result below {SEGMENTS}/ can still be read with Attribution.load"
        values = read_json(path / INDEX, hint)
        with parsing(path / INDEX, hint):
            check(values, {"format": int})
            if values["format"] > FORMAT:
                raise InputError(f"format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
            check(values, _INDEX)
            stored = [formats.renamed(segment, formats.SEGMENT) for segment in values["segments"]]
            check(stored, [_SEGMENT], "segments")
            for segment in stored:
                check([*segment["kept"].values(), *segment["lost"].values()], [NUMBER], "kept or lost of a segment")
                _ = [float(share) for share in (*segment["kept"], *segment["lost"])]
            segments = [Segment(**{**segment, "peaks": tuple(segment["peaks"])}) for segment in stored]
            return cls(segments, path, values["seconds"], values["rate"], tuple(values["notes"]))


def explain_recording(
    explainer: Engine,
    example: Any,
    target: Target = None,
    *,
    seconds: float | None = None,
    overlap: float = 0.25,
    fractions: Sequence[float] = (),
    output_dir: str | PathLike[str] | None = None,
    method: str | Method | None = None,
    domain: Any = None,
    contributions: int | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    progress: Callable[[int, int], None] | bool | None = None,
    **curves: Unpack[CurveKeywords],
) -> Recording:
    """Explain a recording in segments; see `FourierExplainer.explain_recording`."""
    wrapper: Any = explainer.wrapper
    if getattr(wrapper, "rate", None) is None:
        raise InputError(f"a recording for {wrapper.task}", "a model of sounds", "call explain")
    if not 0 <= overlap < 1:
        raise InputError(f"overlap {overlap!r}", "a share of a segment, from 0 to below 1", "correct `overlap`")
    length = length_of(wrapper, seconds)
    stream = AudioStream(example_of(example, wrapper.is_example), wrapper.rate)
    segment = getattr(wrapper, "segment", lambda piece: (piece, wrapper.rate))  # as networks of users take it
    room = None if output_dir is not None else tempfile.TemporaryDirectory(prefix="hf_fourier-recording-")
    place = Path(output_dir if output_dir is not None else room.name)  # type: ignore[union-attr]
    starts = segment_starts(stream.samples, length, overlap)
    length = min(length, stream.samples)
    recording = Recording([], place, stream.seconds, wrapper.rate, tuple(stream.notes), room)
    options = {"method": method, "domain": domain, "seed": seed, "batch_size": batch_size}
    options["contributions"] = contributions
    at_once = SEGMENTS_PER_BATCH if batch_size == "auto" else int(batch_size)
    try:
        for first in range(0, len(starts), at_once):
            batch = starts[first : first + at_once]
            pieces = [piece for start in batch if len(piece := stream.read(start, start + length)) == length]
            if pieces:
                results = explainer.explain([segment(piece) for piece in pieces], target, **options)
                if fractions:
                    explainer.perturb(results, fractions=fractions, batch_size=batch_size, **curves)
                for i, (piece, result) in enumerate(zip(pieces, results, strict=True), first):
                    _add_segment(recording, result, piece, starts[i], sample_weights(starts, length, i))
                _write(recording, place)
            if len(pieces) < len(batch):
                _note_cut_off(recording, stream)
                break
            if callable(progress):
                progress(len(recording), len(starts))
        recording.notes = (*recording.notes, *stream.cancelled)
        _write(recording, place)
    except Exception as error:
        error.completed = recording  # type: ignore[attr-defined]
        if recording.segments:
            error.add_note(f"{len(recording)} of {len(starts)} segments were done: they are this error's `completed`")
        raise
    finally:
        stream.close()
    return recording


def length_of(wrapper: Any, seconds: float | None = None) -> int:
    """Samples of a segment: as requested, or the model's window, or ten seconds where it has none.

    Raises:
        InputError: If it is none, or longer than the window.
    """
    window: int | None = wrapper.window
    if seconds is None:
        return window or round(USUAL_SECONDS * wrapper.rate)
    length = round(seconds * wrapper.rate)
    if length < 1 or (window is not None and length > window):
        most = "" if window is None else f", up to the model's window of {window / wrapper.rate:.2f}"
        raise InputError(f"segments of {seconds} s", f"seconds above 0{most}", "correct `seconds`")
    return length


def segment_starts(samples: int, length: int, overlap: float) -> list[int]:
    """Where segments of one length begin; the last one ends with the recording, and overlaps more if it must."""
    if samples <= length:
        return [0]
    hop = max(1, round(length * (1 - overlap)))
    starts = list(range(0, samples - length + 1, hop))
    return starts if starts[-1] + length == samples else [*starts, samples - length]


def sample_weights(starts: Sequence[int], length: int, index: int) -> np.ndarray:
    """The weight of each sample in one segment, `(length,)`; over all segments the weights sum to 1.

    Where segments overlap, one is faded into the next.
    """
    places = np.arange(starts[index], starts[index] + length)
    total = np.zeros(length)
    reach = bisect_right(starts, starts[index] - length), bisect_left(starts, starts[index] + length)
    for start in starts[slice(*reach)]:
        total += np.clip(np.minimum(places - start + 1, start + length - places), 0, None)
    ramp = np.minimum(places - starts[index] + 1, starts[index] + length - places)
    return np.asarray(ramp / total)


def _add_segment(recording: Recording, result: Attribution, piece: np.ndarray, start: int, weights: np.ndarray) -> None:
    """Add one segment, its attribution in a file, and its new notes."""
    in_place = "" if result.curve is None else IN_PLACE[result.curve.replacement]
    notes = [*result.provenance.get("notes", []), *([in_place] if in_place else [])]
    recording.notes = tuple(once([*recording.notes, *notes]))
    saved = result.save(_place(recording.folder, len(recording.segments)))
    parts = np.array_split(np.abs(piece), min(PEAKS, len(piece)))

    def agreement(part: Mode) -> dict[str, float]:
        return {f"{stop.fraction:g}": stop.agreement for stop in (result.curve.of(part) if result.curve else [])}

    recording.segments.append(
        Segment(
            start=start / recording.rate,
            end=(start + len(piece)) / recording.rate,
            weight_seconds=float(weights.sum()) / recording.rate,
            label=result.label,
            confidence=result.confidence,
            value=result.value,
            kept=agreement("keep"),
            lost=agreement("delete"),
            peaks=tuple(round(float(part.max()), 5) for part in parts),
            digest=stated_digest(saved / storage.VALUES),
        )
    )


def _note_cut_off(recording: Recording, stream: AudioStream) -> None:
    """Note that a file ended before the length in its header."""
    end = recording.segments[-1].end if recording.segments else 0.0
    if not recording.segments:
        raise InputError("a file that is cut off in its first segment", "a whole file", "repair or convert it")
    note = f"the file is cut off or broken: nothing is explained after {end:.2f} of {stream.seconds:.2f} s"
    recording.notes, recording.seconds = (*recording.notes, note), end


def _place(folder: Path, index: int) -> Path:
    return folder / SEGMENTS / f"{index:05d}"


def _write(recording: Recording, folder: Path) -> None:
    """Write the index of the segments atomically."""
    values = {
        "format": FORMAT,
        "seconds": recording.seconds,
        "rate": recording.rate,
        "notes": list(recording.notes),
        "segments": [asdict(segment) for segment in recording.segments],
    }
    write_whole(folder / INDEX, [sealed(values)])
