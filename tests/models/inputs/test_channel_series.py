"""Recordings of several channels: EDF read as MNE reads it, MNE's objects, rates, names, units, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.inputs.channel_series import ChannelSeries, read_edf, series_of
from tools.fuzz.files import edf

mne.set_log_level("ERROR")
CHANNELS = [("EEG Fz", "uV", 64), ("EDF Annotations", "", 4), ("EEG Oz", "mV", 64), ("SpO2", "%", 64)]
RATE, SIZE = 64.0, 128


def samples(channels: Any = CHANNELS, records: int = 3) -> bytes:
    draw = np.random.default_rng(0)
    pieces = []
    for name, _, each in [channel for _ in range(records) for channel in channels]:
        row = draw.integers(-32768, 32767, size=each).astype("<i2").tobytes()
        pieces.append(bytes(len(row)) if "Annotations" in name else row)
    return b"".join(pieces)


def written(path: Path, channels: Any = CHANNELS, records: int = 3, **fixed: str) -> Path:
    path.write_bytes(edf(channels, records, samples(channels, records), **fixed))
    return path


def raw(names: tuple[str, ...] = ("Fz", "Oz", "STI"), rate: float = RATE, seed: int = 0) -> Any:
    kinds = ["stim" if name == "STI" else "eeg" for name in names]
    values = np.random.default_rng(seed).normal(size=(len(names), SIZE)) * 2e-5
    return mne.io.RawArray(values, mne.create_info(list(names), rate, kinds))


def epochs(count: int = 3) -> Any:
    values = np.random.default_rng(1).normal(size=(count, 3, SIZE)) * 2e-5
    return mne.EpochsArray(values, mne.create_info(["Fz", "Oz", "STI"], RATE, ["eeg", "eeg", "stim"]))


def explainer(channels: int = 2, **options: Any) -> FourierExplainer:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * SIZE, 3))
    return FourierExplainer(net, **{"axes": ("time",), "unit": "uV", **options})


def test_edf_is_read_as_mne_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.edf")
    found, known = read_edf(path), mne.io.read_raw_edf(path)
    assert found.names == tuple(known.ch_names) == ("EEG Fz", "EEG Oz", "SpO2")
    assert found.rate == known.info["sfreq"] == RATE
    assert found.units == ("V", "V", "%")
    np.testing.assert_allclose(found.values[:2], known.get_data()[:2], rtol=1e-5)
    step = np.abs(found.values[0]).max()
    assert 3e-3 < step <= 3.2768e-3  # the end of the scale, 3,276.8 µV
    np.testing.assert_allclose(np.abs(found.values[2]).max(), 3276.8, rtol=0.02)


def test_blocks_of_records_make_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "x.edf", records=5)
    whole = read_edf(path).values
    size = len(samples(records=1))
    for bytes_at_once in (1, 2 * size, 4 * size):  # of one record, two and four
        monkeypatch.setattr("hf_fourier.models.inputs.edf.AT_ONCE", bytes_at_once)
        assert np.array_equal(read_edf(path).values, whole)


def test_bdf_holds_24_bits(tmp_path: Path) -> None:
    data = edf([("Cz", "uV", 4)], 1, b"")
    steps = [0, 1, -1, -(2**23)]
    body = b"".join((step & 0xFFFFFF).to_bytes(3, "little") for step in steps)
    head = bytearray(b"\xffBIOSEMI" + data[8:])
    head[256 + 120 : 256 + 136] = b"-8388608".ljust(8) + b"8388607".ljust(8)  # digital ends
    (tmp_path / "a.bdf").write_bytes(bytes(head) + body)
    gain = (3276.7 + 3276.8) / (2**24 - 1) * 1e-6
    expected = [(step + 2**23) * gain - 3276.8e-6 for step in steps]
    np.testing.assert_allclose(read_edf(tmp_path / "a.bdf").values[0], expected, rtol=1e-5, atol=1e-12)


def test_channels_are_chosen_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    several = [("Fz", "uV", 64), ("Resp", "", 8), ("Oz", "uV", 64)]
    path = written(tmp_path / "a.edf", several)
    with pytest.raises(InputError, match=r"several rates \(64 Hz: Fz, 8 Hz: Resp, 64 Hz: Oz"):
        read_edf(path)
    found = read_edf(path, ["Oz", "Fz"])
    assert found.names == ("Oz", "Fz")
    np.testing.assert_array_equal(found.values[1], read_edf(path, ["Fz"]).values[0])
    assert read_edf(path, ["Resp"]).rate == 8


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (edf(CHANNELS, 9, samples()), "claims 9 records and holds 3"),
        (edf(CHANNELS, 3, samples(), mark="EDF+D"), "gaps"),
        (edf(CHANNELS, 3, samples(), seconds="0"), "records of 0 s"),
        (edf(CHANNELS, 3, samples(), seconds="nan"), "not a number"),
        (edf(CHANNELS, 3, samples(), version="RIFF"), "not an EDF or BDF file"),
        (edf([("Fz", "uV", 0)], 3, samples()), "no samples"),
        (edf(CHANNELS, 3, samples())[:700], "shorter than its header"),
    ],
)
def test_what_is_no_edf_file_is_refused(made: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.edf").write_bytes(made)
    with pytest.raises(InputError, match=reason):
        read_edf(tmp_path / "a.edf")


def test_records_without_a_number_are_counted_by_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.edf").write_bytes(edf(CHANNELS, -1, samples()))
    assert read_edf(tmp_path / "a.edf").values.shape == (3, 192)


def test_names_of_patients_are_not_read(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "a.edf").read_bytes())
    data[8:26] = b"M 02-MAY-1951 Jane"
    (tmp_path / "a.edf").write_bytes(bytes(data))
    found = explainer(3, unit=None, axes=("time",)).explain(series_of(tmp_path / "a.edf").windows(2)[0])
    assert "Jane" not in repr(found.to_parts())


def test_a_raw_is_explained_in_hz_by_the_names_of_its_channels(tmp_path: Path) -> None:
    explain = explainer()
    found = explain.explain(raw(), domain="fourier:bands=eeg,channels=apart")
    channel, time = found.layout.signal.axes
    assert (channel.names, time.unit, time.rate) == (("Fz", "Oz"), "Hz", RATE)
    torch.testing.assert_close(found.signal.double(), torch.from_numpy(raw().get_data()[:2]) * 1e6, rtol=1e-5, atol=0)
    notes = found.provenance["notes"]
    assert "channels of events were left out: STI" in notes
    assert "voltages were taken in uV" in notes
    assert set(found.top_features()["channel"]) == {"Fz", "Oz"}
    found.save(tmp_path)
    again = Attribution.load(tmp_path)
    assert again.layout.signal == found.layout.signal
    assert again.top_features().columns == found.top_features().columns


def test_each_epoch_is_an_example_and_gets_the_same_answer_alone() -> None:
    several = explainer().explain(epochs())
    alone = [explainer().explain(series_of(epochs()[i])) for i in range(3)]
    assert len(several) == 3
    for one, other in zip(several, alone, strict=True):
        torch.testing.assert_close(one.scores, other.scores)
        assert one.provenance["notes"] == other.provenance["notes"]


def test_time_may_come_first() -> None:
    first = explainer(axes=("time", "channel")).explain(raw())
    assert [axis.name for axis in first.layout.signal.axes] == ["time", "channel"]
    torch.testing.assert_close(first.signal.T, explainer().explain(raw()).signal)


def test_epochs_are_a_data_set(tmp_path: Path) -> None:
    explain = explainer()
    results = explain.explain_dataset(epochs(), tmp_path / "run", progress=False)
    for one, other in zip(results, explain.explain(epochs()), strict=True):
        torch.testing.assert_close(one.scores, other.scores)
    again = explainer().explain_dataset(epochs(), tmp_path / "run", progress=False)  # the same run goes on
    assert len(again) == 3
    with pytest.raises(InputError):
        explainer().explain_dataset(epochs(2), tmp_path / "run", progress=False)


def test_a_folder_of_edf_files_is_a_data_set(tmp_path: Path) -> None:
    for name in ("b.edf", "a.edf"):
        written(tmp_path / name, [("Fz", "uV", 64), ("Oz", "uV", 64)], records=2)
    results = explainer().explain_dataset(str(tmp_path), tmp_path.parent / f"{tmp_path.name}-run", progress=False)
    assert len(results) == 2
    assert results[0].layout.signal.axes[0].names == ("Fz", "Oz")
    torch.testing.assert_close(results[0].scores, explainer().explain(str(tmp_path / "a.edf")).scores)


def test_preprocess_gets_a_series() -> None:
    seen = []

    def preprocess(series: ChannelSeries) -> torch.Tensor:
        seen.append(series)
        return torch.from_numpy(series.values * 1e6)

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * SIZE, 3))
    FourierExplainer(net, preprocess, sampling_rate=RATE).explain(raw())
    assert isinstance(seen[0], ChannelSeries)
    assert seen[0].units == ("V", "V")


def test_another_rate_is_refused_whichever_comes_first() -> None:
    explain = explainer()
    explain.explain(raw())
    for made, own in ((explain, RATE), (explainer(sampling_rate=100), 100)):
        with pytest.raises(InputError, match=rf"a recording of 128 Hz; expected {own:g} Hz"):
            made.explain(raw(rate=128.0))
    halved = series_of(raw(rate=128.0)).resample(RATE)
    assert (halved.rate, halved.values.shape) == (RATE, (2, SIZE // 2))


def long(rate: float, size: int) -> ChannelSeries:
    values = np.random.default_rng(4).normal(size=(2, size)).astype(np.float32) * 2e-5
    return ChannelSeries(values, rate, ("Fz", "Oz"), ("V", "V"))


@pytest.mark.parametrize("options", [{}, {"axes": None}, {"outputs": "embedding"}, {"preprocess": lambda one: one}])
@pytest.mark.parametrize("known", [False, True], ids=["first", "after an array"])
def test_a_recording_that_is_refused_sets_no_rate(options: dict[str, Any], known: bool) -> None:
    explain = explainer(**options)
    if known and "outputs" not in options:
        explain.explain(np.zeros((2, SIZE), np.float32) + 1)
    with pytest.raises(ModelError, match=r"one example of shape \(2, 512\) \(channel 2, time 512\)"):
        explain.wrapper.encode(long(256.0, 4 * SIZE))
    assert explain.wrapper.encode(long(RATE, SIZE)).signal.axes[1].rate == RATE
    with pytest.raises(InputError, match="expected 64 Hz"):
        explain.wrapper.encode(long(256.0, SIZE))


@pytest.mark.parametrize("axes", [None, ("time",), ("channel", "time")])
def test_an_array_does_not_get_the_rate_of_a_recording(axes: Any) -> None:
    explain, values = explainer(axes=axes), np.ones((2, SIZE), np.float32)
    before = explain.explain(values).layout.signal
    explain.explain(raw())
    assert explain.explain(values).layout.signal == before
    assert before.axes[1].unit != "Hz"
    assert explain.wrapper.rate is None
    assert explainer(axes=axes, sampling_rate=32).explain(values).layout.signal.axes[1].rate == 32


def test_a_run_resumes_whatever_was_explained_before_it(tmp_path: Path) -> None:
    explain, options = explainer(), {"progress": False, "chunk": 1}
    explain.explain(np.ones((2, SIZE), np.float32))
    explain.explain_dataset(epochs(), tmp_path, **options)
    shards = sorted((tmp_path / "shards").rglob("*.safetensors"))
    shards[-1].unlink()
    again = explainer().explain_dataset(epochs(), tmp_path, **options)
    for one, other in zip(again, explainer().explain(epochs()), strict=True):
        torch.testing.assert_close(one.scores, other.scores)


def test_a_run_goes_on_at_its_own_rate(tmp_path: Path) -> None:
    data = [long(2 * RATE, SIZE), long(RATE, SIZE), long(RATE, SIZE)]
    explain, options = explainer(), {"progress": False, "chunk": 1}
    explain.explain(long(RATE, SIZE))
    first = explain.explain_dataset(data, tmp_path, **options)
    assert list(first.failures()["index"]) == [0]
    for shard in (tmp_path / "shards").rglob("*.safetensors"):
        shard.unlink()
    again = explainer().explain_dataset(data, tmp_path, **options)  # alone it would take the rate of the first one
    assert list(again.failures()["index"]) == [0]


def test_an_axis_that_a_recording_has_not_is_named() -> None:
    with pytest.raises(InputError, match=r"has no 'sensor'; expected the axes 'channel' and 'time'"):
        explainer(axes=("sensor", "time")).explain(raw())


def test_resampling_keeps_a_slow_wave() -> None:
    time = np.arange(512) / 256
    wave = np.sin(2 * np.pi * 5 * time).astype(np.float32)[None]
    found = ChannelSeries(wave, 256.0, ("Cz",), ("V",)).resample(100)
    expected = np.sin(2 * np.pi * 5 * np.arange(200) / 100)
    np.testing.assert_allclose(found.values[0, 20:-20], expected[20:-20], atol=0.01)
    assert found.notes == ("resampled from 256 Hz to 100 Hz",)


def test_windows_lie_side_by_side_or_overlap() -> None:
    series = ChannelSeries(np.arange(100, dtype=np.float32)[None], 10.0, ("Cz",), ("V",))
    assert [one.values[0, 0] for one in series.windows(3)] == [0, 30, 60]
    assert [one.values[0, 0] for one in series.windows(4, overlap=0.5)] == [0, 20, 40, 60]
    assert all(one.values.shape == (1, 40) for one in series.windows(4, 0.5))
    for wrong in (0, -1, 11, float("nan"), "2"):
        with pytest.raises(InputError, match="at most 10 s"):
            series.windows(wrong)  # type: ignore[arg-type]


def test_channels_in_other_units_are_refused_where_a_unit_is_asked_for() -> None:
    series = ChannelSeries(np.ones((2, SIZE), np.float32), RATE, ("Cz", "SpO2"), ("V", "%"))
    with pytest.raises(InputError, match=r"SpO2 \[%\].*; leave them out"):
        explainer().explain(series)
    explainer(1).explain(series.pick(["Cz"]))
    whole = explainer(unit=None).explain(series)
    assert any("voltages were taken in volts" in note for note in whole.provenance["notes"])


def test_a_model_of_transformers_takes_a_recording(tmp_path: Path) -> None:
    from tests.models import test_time_series

    explain = test_time_series.explainer("PatchTSTForClassification")
    values = test_time_series.series(1)[0].numpy()
    series = ChannelSeries(values.T.copy(), 12.0, ("Fz", "Oz"), ("", ""))
    found, plain = explain.explain(series), explain.explain(values)
    torch.testing.assert_close(found.scores, plain.scores)
    time, channel = found.layout.signal.axes
    assert (time.unit, time.rate, channel.names) == ("Hz", 12.0, ("Fz", "Oz"))


def labelled(names: tuple[str, ...], units: tuple[str, ...] | None = None) -> Any:
    return [(name, unit, 8) for name, unit in zip(names, units or ("uV",) * len(names), strict=True)]


def test_a_channel_without_a_label_keeps_its_own_numbers(tmp_path: Path) -> None:
    found, known = read_edf(written(tmp_path / "a.edf", labelled(("A", "", "B")))), samples(labelled(("A", "", "B")))
    assert found.names == ("A", "", "B")
    steps = np.frombuffer(known, "<i2").reshape(3, 3, 8).swapaxes(0, 1).reshape(3, 24)
    np.testing.assert_allclose(found.values, steps * 1e-7, rtol=1e-4, atol=1e-8)
    picked = found.pick(["B", "", "A"])
    np.testing.assert_array_equal(picked.values, found.values[::-1])
    with pytest.raises(InputError, match="channel ''"):
        found.pick(["", ""])


def test_channels_of_one_name_are_taken_one_after_the_other() -> None:
    series = ChannelSeries(np.eye(3, dtype=np.float32), 1.0, ("A", "A", "B"), ("V", "V", "V"))
    np.testing.assert_array_equal(series.pick(["B", "A", "A"]).values, np.eye(3)[[2, 0, 1]])
    np.testing.assert_array_equal(series.pick(np.array(["B", "A"])).values, np.eye(3)[[2, 0]])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="channel 'A'"):
        series.pick(["A", "A", "A"])


@pytest.mark.parametrize(("label", "unit"), [("Status", "Boolean"), ("TRIGGER", ""), ("Marks", "Boolean")])
def test_channels_of_events_are_left_out_of_edf_and_bdf(label: str, unit: str, tmp_path: Path) -> None:
    channels = [("Cz", "uV", 8), (label, unit, 4), ("Oz", "uV", 8)]  # at another rate, which matters no more
    path = written(tmp_path / "a.edf", channels)
    found = read_edf(path)
    assert found.names == ("Cz", "Oz")
    assert found.notes == (f"channels of events were left out: {label}",)
    assert read_edf(path, [label]).names == (label,)  # unless it is asked for
    data = bytearray(written(tmp_path / "b.edf", [*channels[:1], (label, unit, 8)]).read_bytes())
    data[:8] = b"\xffBIOSEMI"
    (tmp_path / "b.bdf").write_bytes(bytes(data) + bytes(len(data)))
    assert read_edf(tmp_path / "b.bdf").names == ("Cz",)


def test_a_file_of_events_alone_is_refused(tmp_path: Path) -> None:
    for name, unit in (("Status", "Boolean"), ("EDF Annotations", "")):
        with pytest.raises(InputError, match="no channel of a signal"):
            read_edf(written(tmp_path / "a.edf", [(name, unit, 8)]))


@pytest.mark.parametrize("unit", [b"uV", b"\xb5V", b"\xc2\xb5V", b"\xce\xbcV", b"UV", b"\xb5v"])
def test_microvolts_are_known_however_they_are_spelt(unit: bytes, tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "a.edf", labelled(("Cz",))).read_bytes())
    usual = read_edf(tmp_path / "a.edf").values
    data[256 + 96 : 256 + 104] = unit.ljust(8)
    (tmp_path / "a.edf").write_bytes(bytes(data))
    found = read_edf(tmp_path / "a.edf")
    assert found.units == ("V",)
    np.testing.assert_array_equal(found.values, usual)


def test_an_unknown_unit_is_said(tmp_path: Path) -> None:
    found = read_edf(written(tmp_path / "a.edf", labelled(("Cz", "SpO2"), ("uV", "%"))))
    assert found.notes == ("channels that are not voltages keep the file's numbers: SpO2 [%]",)


def test_a_slow_recording_is_resampled() -> None:
    hourly = ChannelSeries(np.arange(6, dtype=np.float32)[None], 1 / 3600, ("x",), ("",))
    np.testing.assert_allclose(hourly.resample(1 / 1800).values[0], np.arange(12) / 2, atol=1e-5)
    assert hourly.resample(1 / 7200).values.shape == (1, 3)
    for rate in (1e-12, 1.0, "1/0", "100", None, float("nan"), 10**400):
        with pytest.raises(InputError, match="samples per second"):
            hourly.resample(rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [100, 300, 256, 7.3])
def test_an_offset_and_a_drift_have_no_edges_when_resampled(rate: float) -> None:
    values = np.stack([np.ones(512), np.full(512, -4096.0), np.arange(512) / 256])
    found = ChannelSeries(values.astype(np.float32), 256.0, ("a", "b", "c"), ("V",) * 3).resample(rate)
    time = np.arange(found.values.shape[1]) / rate
    expected = np.stack([np.ones_like(time), np.full_like(time, -4096.0), time])
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-5)
    alone = ChannelSeries(np.full((1, 1), 3.0, np.float32), 256.0, ("a",), ("V",)).resample(rate)
    np.testing.assert_allclose(alone.values, 3.0)
