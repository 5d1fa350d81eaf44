"""`hf-fourier explain` for recordings that are longer than the model's window: segments, one merged answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.cli.console import drawn, error_console, print_line, progress, result_console, table
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.files import SOUNDS

if TYPE_CHECKING:
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.runs.recording import Recording

#: Seconds from which on a sound is taken in segments by a model that has no window.
WHOLE_SECONDS = 60.0
#: The fraction of a segment that overlaps the next.
OVERLAP = 0.25
TOP = 10
MAX_SEGMENTS = 12


def check(seconds: float | None, overlap: float | None) -> None:
    """Check the options of recordings, whether or not there is one.

    Raises:
        InputError: If no recording can be cut so.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise InputError(f"--seconds {seconds}", "a length above 0", "correct --seconds")
    if overlap is not None and not 0 <= overlap < 1:
        raise InputError(f"--overlap {overlap}", "a fraction of a segment, from 0 to below 1", "correct --overlap")


def check_sounds(examples: Sequence[Any], seconds: float | None, overlap: float | None) -> None:
    """Refuse options of recordings where there is no sound.

    Raises:
        InputError: If so.
    """
    given = {"--seconds": seconds, "--overlap": overlap}
    if not any(map(_is_sound, examples)) and (idle := [name for name, value in given.items() if value is not None]):
        raise InputError(f"{idle[0]} without a sound", "a sound file among the inputs", f"leave {idle[0]} out")


def _is_sound(example: Any) -> bool:
    """Whether an example is a sound file."""
    return isinstance(example, Path) and example.name.lower().endswith(SOUNDS)


def is_recording(explainer: FourierExplainer, example: Any, seconds: float | None) -> bool:
    """Whether a file is longer than a segment that was asked for, or than the model takes at once; and say so."""
    wrapper: Any = explainer.wrapper
    if not _is_sound(example) or not hasattr(wrapper, "window"):
        return False
    from hf_fourier.models.inputs.audio import AudioStream
    from hf_fourier.runs.recording import length_of

    stream = AudioStream(example, wrapper.rate)
    stream.close()
    longest = seconds or (wrapper.window / wrapper.rate if wrapper.window else WHOLE_SECONDS)
    if stream.seconds <= longest:
        return False
    whose = "" if seconds else ", longer than the model takes at once"
    length = length_of(wrapper, seconds) / wrapper.rate
    print_line(
        error_console(),
        f"{example.name} lasts {stream.seconds:.1f} s{whose}: explained in segments of {length:g} s",
        "yellow",
    )
    return True


def explain_file(explainer: FourierExplainer, path: Path, folder: Path, options: Mapping[str, Any]) -> Recording:
    """Explain and perturb one recording, its segments in `folder`."""
    with progress(f"explaining {path.name} in segments") as update:
        return explainer.explain_recording(path, output_dir=folder, progress=update, **options)


def write(recording: Recording, folder: Path) -> dict[str, Any]:
    """The tables, the WAV files and the figure of a recording beside its segments."""
    written: dict[str, Any] = {"folder": str(folder)}
    written["segments"] = str(recording.decisions().to_csv(folder / "segments.csv"))
    written["spectrum"] = str(recording.spectrum(recording.label).table().to_csv(folder / "spectrum.csv"))
    from hf_fourier.report.audio_files import is_audio

    if is_audio(recording[0]):
        written["sounds"] = {name: str(path) for name, path in recording.sounds(folder).items()}
    return written | drawn(recording, folder / "figure.png")


def record(recording: Recording) -> dict[str, Any]:
    """One recording as printed with `--json`."""
    return {
        "label": recording.label,
        "confidence": recording.confidence,
        "seconds": recording.seconds,
        "labels": recording.labels,
        "segments": list(recording.decisions().rows()),
        "points": list(recording.points().rows()),
        "top": list(recording.spectrum(recording.label).top(TOP).rows()),
        "notes": list(recording.notes),
    }


def show(name: str, recording: Recording, written: Mapping[str, Any]) -> None:
    """Print the prediction over time, the merged spectrum, the curve, notes, and where files lie."""
    console, label = result_console(), recording.label
    print_line(console, f"\n{name}", style="bold")
    labels = ", ".join(f"{one} for {seconds:.1f} s" for one, seconds in list(recording.labels.items())[:5])
    print_line(console, f"explained: {labels}; of {recording.seconds:.1f} s in {len(recording)} segments")
    decisions = recording.decisions()
    more = "" if len(decisions) <= MAX_SEGMENTS else f", the first {MAX_SEGMENTS}"
    rows = decisions.formatted()[:MAX_SEGMENTS]
    console.print(table(f"The prediction over time{more}", list(decisions.columns), rows, left=0))
    top = recording.spectrum(label).top(TOP)
    print_line(
        console,
        "All segments of one label together; chosen: fraction of the seconds in which it is among the top 4 %",
    )
    console.print(table(f"Top features of {label}", list(top.columns), top.formatted(), left=0))
    points = recording.points()
    if len(points):
        print_line(
            console,
            "The fraction of the seconds in which the decision holds on the top features alone, and without them:",
        )
        console.print(table("Decisions that hold", list(points.columns), points.formatted(), left=0))
    for note in recording.notes:
        print_line(console, f"note: {note}", style="yellow")
    print_line(console, f"result: {written['folder']}; tables: {written['segments']}, {written['spectrum']}")
    if "sounds" in written:
        print_line(console, f"sounds of the top 4 %: {', '.join(written['sounds'].values())}")
    if "figure" in written:
        print_line(console, f"figure: {written['figure']}", style="bold")
