"""Does the memory of an explanation grow with the recording?

A real classifier of instruments (Whisper's encoder, a window of two seconds) explains a recording of one minute and one
of ten at the waveform, in overlapping segments, at default settings. Each runs in a process of its own, whose peak of
resident memory (`getrusage`) is read at its end, imports included. The recordings are the test split's clips one after
another, in stereo at 44.1 kHz, written and read block by block.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import markdown

RATE = 44_100


def write(path: Path, minutes: float) -> None:
    """A recording of real clips, again and again until it is long enough."""
    import numpy as np
    import soundfile

    from hf_fourier import demo

    clips = [one for one in demo.instruments("test") if one["rate"] == RATE]
    left = round(60 * minutes * RATE)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        while left:
            for one in clips:
                samples = np.asarray(one["audio"], dtype=np.float32)
                samples = np.stack([samples, samples], 1) if samples.ndim == 1 else samples
                samples = samples if samples.shape[1] == 2 else samples.T
                file.write(samples[:left].clip(-1, 1))
                left -= min(left, len(samples))


def measure(path: str, signal: str | None, shares: Sequence[float]) -> dict[str, float | int | str]:
    """One recording, explained in this process."""
    import soundfile
    import torch

    from hf_fourier import FourierExplainer, demo

    torch.set_num_threads(1)
    explainer = FourierExplainer.from_pretrained(str(demo.get("whisper-instruments")), device="cpu", signal=signal)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = explainer.explain_recording(path, output_dir=folder, fractions=shares)
        explained = time.perf_counter()
        spectrum = found.spectrum(found.label)
        kept = found.sounds(Path(folder) / "sounds")
        merged = time.perf_counter()
        written = sum(one.stat().st_size for one in (Path(folder) / "segments").rglob("*") if one.is_file())
        assert soundfile.info(kept["kept.wav"]).duration - found.seconds < 1e-3
    return {
        "minutes": round(found.seconds / 60, 2),
        "signal": signal or "spectrogram",
        "segments": len(found),
        "explained, s": round(explained - start),
        "merged and written, s": round(merged - explained),
        "entries of the spectrum": len(spectrum),
        "segments on disk, MiB": written / 2**20,
        "peak, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory_recordings", description=__doc__)
    parser.add_argument("--minutes", nargs="*", type=float, default=[1.0, 10.0])
    parser.add_argument("--signal", default="waveform", choices=["waveform", "spectrogram"])
    parser.add_argument("--shares", nargs="*", type=float, default=[], help="fractions to keep and delete")
    parser.add_argument("--here", help="one file in this process, as JSON")
    given = parser.parse_args(arguments)
    signal = None if given.signal == "spectrogram" else given.signal
    if given.here:
        print(json.dumps(measure(given.here, signal, given.shares)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in given.minutes:
            path = Path(folder) / "recording.wav"
            write(path, minutes)
            command = [sys.executable, "-m", "benchmarks", "memory_recordings", "--here", str(path)]
            command += ["--signal", given.signal, "--shares", *map(str, given.shares)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], file=sys.stderr, flush=True)
    print(markdown(rows))
