"""Small files that would take much time or memory are refused before any work, at limits that the documents state."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.methods import METHODS
from hf_fourier.models.inputs import files
from hf_fourier.models.inputs.audio import AudioStream, read_audio
from hf_fourier.models.inputs.channel_series import series_of
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.models.inputs.files import read_example, read_sequences
from hf_fourier.models.inputs.images import as_rgb
from hf_fourier.models.inputs.pickles import read_float_dict
from tools.fuzz.files import edf, flac, nifti, npy, png, wav
from tools.fuzz.guard import guarded

#: Megabytes (10⁶) that a refusal may take.
LITTLE = 320.0


def refused(call):
    """A call that is refused, soon and without much memory; what the refusal says."""
    outcome = guarded(call)
    assert outcome.kind == "refused", outcome
    assert outcome.seconds < 5, outcome
    assert outcome.megabytes < LITTLE, outcome
    return outcome.text


def saved(path: Path, data: bytes) -> Path:
    """A file with this content."""
    path.write_bytes(data)
    return path


# Pickles


DEEP = b"\x80\x04}" + b"K\x01" + b"\x85" * 3_000_000 + b"K\x01s."


def doubled(levels: int) -> bytes:
    """Opcodes of a tuple of itself twice, so many times over; it is on top of the stack."""
    return b"K\x01\x85\x94" + b"".join(b"0h%ch%c\x86\x94" % (i, i) for i in range(levels))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04}" + doubled(80) + b"K\x01s.",
        b"\x80\x04}\x8c\x01a" + doubled(80) + b"s.",
        b"\x80\x04}\x8c\x01a" + b"]\x94" + b"".join(b"0](h%ch%ce\x94" % (i, i) for i in range(80)) + b"s.",
        DEEP,
        b"\x80\x04}\x8c\x01a\x8b" + struct.pack("<i", 2**20) + b"\x7f" * 2**20 + b"s.",
    ],
    ids=["key", "value", "lists", "deep", "number"],
)
def test_a_pickle_that_is_no_flat_dictionary_is_refused(data, tmp_path):
    path = tmp_path / "token_dictionary.pkl"
    path.write_bytes(data)
    assert "flat dictionary" in refused(lambda: read_float_dict(path))


def test_a_flat_dictionary_of_plain_and_of_numpy_numbers_is_read(tmp_path):
    entries = {"a": 1, "b": 2.5, "c": np.float32(0.5), "d": np.int64(7), "e": 10**15}
    for protocol in range(2, 6):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps(entries, protocol=protocol))
        if protocol == 2:  # bytes of numpy's numbers come as a call of `codecs` there
            path.write_bytes(pickle.dumps({"a": 1, "b": 2.5, "c": 0.5, "d": 7, "e": 10**15}, protocol=protocol))
        assert read_float_dict(path) == {"a": 1, "b": 2.5, "c": 0.5, "d": 7, "e": 10**15}


# Sounds


@pytest.mark.parametrize("rate", [1, 10_000_019, 2**31 - 1, 768_001])
def test_a_rate_that_takes_much_to_resample_is_refused(rate, tmp_path):
    path = saved(tmp_path / "a.wav", wav(rate))
    assert "Hz" in refused(lambda: read_audio(path, 16_000))
    assert "Hz" in refused(lambda: AudioStream(path, 16_000).read(0, 100))
    assert "Hz" in refused(lambda: read_audio((np.zeros(2000, np.float32), rate), 16_000))


@pytest.mark.parametrize("rate", [8000, 11_025, 22_254, 44_100, 192_000, 384_000, 250_001])
def test_usual_and_odd_rates_are_read(rate, tmp_path):
    clip, _ = read_audio(saved(tmp_path / "a.wav", wav(rate)), 16_000)
    assert len(clip.samples) == -(-2000 * 16_000 // rate)


def test_a_sound_that_claims_more_samples_than_are_read_at_once_is_refused():
    assert "explain_recording" in refused(lambda: read_audio(flac(2**35), 16_000))


# Pictures, arrays, volumes, texts


def test_a_picture_of_too_many_pixels_is_refused():
    assert "pixels" in refused(lambda: as_rgb(png(100_000, 100_000)))


def test_texts_in_a_picture_that_unpack_to_much_are_refused_as_an_unreadable_picture():
    data = png(64, 64)
    bomb = b"zTXt" + b"a\0\0" + zlib.compress(b"\0" * 2**27, 9)
    chunk = struct.pack(">I", len(bomb) - 4) + bomb + struct.pack(">I", zlib.crc32(bomb))
    assert "cannot be read" in refused(lambda: as_rgb(data[:33] + chunk + data[33:]))


@pytest.mark.parametrize("shape", ["(10000000000,)", "(100000, 100000, 100000)", "(0, 10000000000000000000000)"])
def test_an_array_that_is_larger_than_its_file_is_refused(shape, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(npy(shape))
    assert "cannot be read" in refused(lambda: read_example(str(path)))


def test_a_volume_that_unpacks_to_more_than_its_header_states_is_read_no_further(tmp_path):
    import io

    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(nifti((2, 3, 4), bytes(range(24))))
        for _ in range(64):
            file.write(b"\0" * 2**25)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(packed.getvalue())
    outcome = guarded(lambda: read_example(str(path)))
    assert outcome.kind == "done", outcome
    assert outcome.megabytes < LITTLE, outcome
    assert read_example(str(path)).shape == (2, 3, 4)


@pytest.mark.parametrize("shape", [(32_767, 32_767, 32_767), (-1, 2, 3), (0, 2, 3), (100, 100, 100)])
def test_a_volume_that_is_larger_than_its_file_is_refused(shape, tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti(shape, b"\0" * 24))
    assert "cannot be read" in refused(lambda: read_example(str(path)))


@pytest.mark.parametrize(
    ("channels", "records", "fixed"),
    [
        ([("Cz", "uV", 4)], 10**7, {}),
        ([("Cz", "uV", 10**7)], -1, {}),
        ([("Cz", "uV", 4)], 2, {"seconds": "1e-300"}),
        ([("Cz", "uV", -4), ("Oz", "uV", 8)], 2, {}),
        ([(f"c{i}", "uV", 1) for i in range(5000)], 2, {}),
    ],
    ids=["records", "samples", "seconds", "negative", "channels"],
)
def test_a_recording_that_claims_more_than_it_holds_is_refused(channels, records, fixed, tmp_path):
    path = saved(tmp_path / "a.edf", edf(channels, records, bytes(64), **fixed))
    assert "cannot be read" in refused(lambda: series_of(path))


def test_a_fasta_file_that_unpacks_to_much_is_refused(tmp_path):
    path = tmp_path / "a.fasta.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b">a\n")
        for _ in range(40):
            file.write(b"A" * 2**25)
    assert "bytes" in refused(lambda: read_sequences(path))


CLOSED, OPENED, NESTED = "]" * 5000, "[" * 5000, "[" * 2000 + "]" * 2000


@pytest.mark.parametrize(
    ("text", "null"),
    [
        ("null\n", True),  # each of these ends the process in Arrow's reader
        ('{"text": "a"}\nnull\n{"text": "b"}\n', True),
        ('[NaN, {"text": "bad"}]', True),
        ('  [{"text": "bad"}, null]', True),
        ('{"text": null}\n{"text": "null"}\n', False),
        ('[{"text": null}, {"text": "null, NaN"}]', False),
        ('{"x": Infinity}\n', False),
        ('{"a": [\n  null,\n  null\n]}', False),
    ],
)
def test_rows_that_are_null_are_refused(tmp_path, monkeypatch, text, null):
    path = saved(tmp_path / "a.json", text.encode())
    for block in (2**22, 7, 3):
        monkeypatch.setattr(files, "BLOCK", block)
        if null:
            with pytest.raises(InputError, match="a row that is null"):
                files.check_json_rows(path)
        else:
            files.check_json_rows(path)
    if null:
        with pytest.raises(InputError, match="a row that is null"):
            source_of(str(path))


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (f'{{"t": "{CLOSED}", "b": {NESTED}}}', True),  # brackets in a text close nothing
        (f'{{"t": "\\"{CLOSED}", "b": {NESTED}}}', True),  # after an escaped quote
        ("[" + '"]",[' * 2000, True),  # each with one in a text
        (CLOSED + NESTED, True),  # that close nothing
        (f'{{"t": "{OPENED}"}}', False),  # in a text they open nothing
        (f'{{"t": "\\\\", "b": "{OPENED}"}}', False),  # a backslash at the end of a text
        ("[" * 900 + "]" * 900, False),
        ('{"a": [[1]]}\n' * 3000, False),
    ],
)
def test_levels_are_those_outside_of_texts(tmp_path, monkeypatch, text, deep):
    """Also where the file is read in blocks that end within a text, or after a backslash."""
    path = saved(tmp_path / "a.jsonl", text.encode())
    for block in (2**22, 7, 64):
        monkeypatch.setattr(files, "BLOCK", block)
        if deep:
            with pytest.raises(InputError, match="brackets within each other"):
                files.check_json_rows(path)
        else:
            files.check_json_rows(path)


def test_a_json_file_of_many_bytes_or_levels_is_refused(tmp_path):
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000)
    assert "not JSON" in refused(lambda: read_example(str(deep)))
    assert guarded(lambda: read_example("[" * 200_000)).kind == "done"  # a text as it is typed
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(2**40)
    assert "bytes" in refused(lambda: read_example(str(large)))


# Specs


def test_a_domain_of_too_many_coefficients_is_refused():
    signal = SignalShape("waveform", (Axis("time", 16_000, "Hz", 16_000.0),))
    for spec in ("stft:window=4096,hop=1", "stft:window=16000,hop=1"):
        assert "coefficients" in refused(lambda spec=spec: DOMAINS.parse(spec).bind(signal).layout)
    assert len(DOMAINS.parse("stft:window=512,hop=32").bind(signal)) > 16_000


@pytest.mark.parametrize("length", [10**9, 10**18])
@pytest.mark.parametrize("domain", ["fourier", "cosine", "wavelet", "stft", "identity"])
def test_a_signal_of_too_many_entries_is_refused(domain, length):
    signal = SignalShape("waveform", (Axis("time", length, "Hz", 16_000.0),))
    assert "entries" in refused(lambda: DOMAINS.parse(domain).bind(signal).layout)


SPECS = ("ffc:steps=100000000000000000000", "smoothgrad:samples=1e30", "ffc:steps=" + "9" * 5000,
         "ffc:lr=" + "9" * 400, "ffc:kappa=" + "9" * 5000, "response:probes=1000001")  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_a_method_of_too_many_passes_is_refused(spec):
    assert refused(lambda: METHODS.parse(spec))
    assert refused(lambda: attribute(lambda x: x, torch.ones(2, 8), method=spec))


def test_an_object_is_held_to_the_same_limits():
    from hf_fourier.methods.ffc import FFC

    assert refused(lambda: attribute(lambda x: x, torch.ones(2, 8), method=FFC(steps=10**20)))


def test_a_tuple_that_is_stored_where_another_thing_was_is_not_fetched(tmp_path):
    """A place that is written twice moves the place of what is stored without a number."""
    path = tmp_path / "token_dictionary.pkl"
    stored = b"K\x01q\x00q\x00" + b"K\x01\x85\x94"  # a number twice at 0; a tuple, which lies at 1
    path.write_bytes(b"\x80\x04}" + stored + b"R" + b"h\x01" + b"K\x01s.")
    assert "flat dictionary" in refused(lambda: read_float_dict(path))


@pytest.mark.parametrize("length", [3_000_000, 10**18])
def test_an_earlier_result_that_claims_a_larger_signal_than_it_holds_is_refused(length, tmp_path, root):
    """A result without a digest, so that nothing but its content speaks against it."""
    import shutil

    from hf_fourier import Attribution

    place = shutil.copytree(root / "tests/results/saved/1/attribution", tmp_path / "earlier")
    values = json.loads((place / "attribution.json").read_text())
    values["leaf" if "leaf" in values else "signal"]["axes"][0]["length"] = length
    (place / "attribution.json").write_text(json.dumps(values))
    assert refused(lambda: Attribution.load(place))


@pytest.mark.parametrize("change", [{"window": 10**18, "examples": 10**18}, {"window": 1, "examples": 10**18},
                                    {"window": 0, "chunk": 1, "examples": 10**18}, {"windows": [10**18]}])  # fmt: skip
def test_a_manifest_that_claims_very_many_examples_takes_no_time(change, tmp_path, root):
    import shutil

    from hf_fourier.runs.results import Results

    place = shutil.copytree(root / "tests/results/saved/1/run", tmp_path / "earlier")
    values = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**values, **change}))

    def read():
        results = Results(place)
        return len(results), results.done, results.finished, results[0], list(results.failures().rows())

    outcome = guarded(read)
    assert outcome.sound, outcome
    assert outcome.megabytes < LITTLE


def test_a_result_that_claims_a_larger_signal_than_it_holds_is_refused(tmp_path):
    from hf_fourier import Attribution

    attribute(lambda x: x, torch.ones(2, 8))[0].save(tmp_path)
    values = json.loads((tmp_path / "attribution.json").read_text())
    values["signal"]["axes"][0]["length"] = 3_000_000
    (tmp_path / "attribution.json").write_text(json.dumps(values))
    assert refused(lambda: Attribution.load(tmp_path))


def test_a_short_sound_that_becomes_long_is_refused():
    """250 Hz for a model of 16 kHz: each number is within its limit, the product is not."""
    assert "at most" in refused(lambda: read_audio((np.zeros(2**22, np.int16), 250), 16_000))
