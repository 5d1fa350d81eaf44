"""Sounds, and the models that listen to them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo.convert import heads, hearing, sounds, whisper
from tests.demo.real import right_on_clips


def _variable(name: str, values: np.ndarray, kind: int) -> bytes:
    text = name.encode() + b"\0"
    sizes = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return struct.pack("<H", len(text)) + text + sizes + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


def test_a_ctranslate2_file_is_read() -> None:
    table, number = np.arange(6, dtype=np.float16).reshape(2, 3), np.array(7, dtype=np.int8)
    head = struct.pack("<IH", 6, 4) + b"abc\0" + struct.pack("<II", 3, 2)
    found = whisper.read_model(head + _variable("x/weight", table, 4) + _variable("n", number, 1) + b"\0\0\0\0")
    assert list(found) == ["x/weight", "n"]
    assert found["x/weight"].dtype == np.float16
    assert np.array_equal(found["x/weight"], table)
    assert found["n"] == 7
    with pytest.raises(ValueError, match="version 5"):
        whisper.read_model(struct.pack("<I", 5) + head[4:])


def test_a_fused_projection_comes_apart_and_a_bias_of_keys_is_refused() -> None:
    source = {"a/weight": np.arange(6.0).reshape(6, 1), "a/bias": np.array([1.0, 2, 0, 0, 5, 6])}
    parts = dict(whisper._split(source, "a", "b", "qkv"))
    assert {name: value.flatten().tolist() for name, value in parts.items()} == {
        "b.q_proj.weight": [0, 1], "b.q_proj.bias": [1, 2], "b.k_proj.weight": [2, 3],
        "b.v_proj.weight": [4, 5], "b.v_proj.bias": [5, 6],
    }  # fmt: skip
    source["a/bias"][2] = 1
    with pytest.raises(ValueError, match="bias for its keys"):
        dict(whisper._split(source, "a", "b", "qkv"))


@pytest.mark.parametrize(
    ("function", "alike", "other"),
    [
        (sounds.instrument_group, ("tabla_ghe1", "tabla_ghe8"), "tabla_ke1"),
        (sounds.instrument_group, ("drum_cymbal_hard", "drum_cymbal_soft"), "drum_snare_hard"),
        (sounds.instrument_group, ("elec_hi_snare", "elec_snare"), "elec_blip2"),
        (sounds.instrument_group, ("loop_amen", "loop_amen_full"), "loop_mika"),
        (sounds.prompt_group, ("vm-opts", "vm-opts-full"), "vm-options"),
        (sounds.prompt_group, ("conf-usermenu", "conf-usermenu-162"), "conf-full"),
        (sounds.prompt_group, ("digits/h-1", "digits/h-90"), "digits/a-m"),
    ],
)
def test_variants_of_a_sound_share_a_group(function: Callable[[str], str], alike: tuple[str, ...], other: str) -> None:
    assert len({function(name) for name in alike}) == 1
    assert function(other) != function(alike[0])


def test_the_split_takes_whole_groups_of_every_label() -> None:
    clips = [{"label": label, "group": f"{label}{i // 3}"} for label, n in (("a", 24), ("b", 9)) for i in range(n)]
    sounds.split_by_label(clips)
    for label, n in (("a", 24), ("b", 9)):
        test = [clip for clip in clips if clip["label"] == label and clip["split"] == "test"]
        assert n / 4 <= len(test) <= n / 4 + 3
    sides = {(clip["group"], clip["split"]) for clip in clips}
    assert len(sides) == len({group for group, _ in sides})


def test_a_clip_becomes_mono_at_the_wanted_rate() -> None:
    time = np.arange(4410) / 44_100
    tone = np.sin(2 * np.pi * 500 * time).astype(np.float32)
    heard = hearing.mono({"audio": np.stack([2 * tone, 0 * tone], 1), "rate": 44_100})
    assert heard.dtype == np.float32
    assert heard.shape == (1600,)
    expected = np.sin(2 * np.pi * 500 * np.arange(1600) / 16_000)
    assert np.abs(heard - expected)[100:-100].max() < 1e-2


def test_the_softmax_head_stands_at_the_minimum_of_its_loss() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(90, 2)) * [1.0, 10.0] + [3.0, 0.0]
    labels = np.repeat([0, 1, 2], [60, 20, 10])
    features[labels == 1] += [4, 0]
    features[labels == 2] += [0, 40]
    weight, bias = heads.fit_softmax(features, labels, 1e-2)
    spread = features.std(0) + 1e-6

    def loss(weight: np.ndarray, bias: np.ndarray) -> float:
        chances = torch.tensor(features @ weight.T + bias).log_softmax(1).numpy()[np.arange(90), labels]
        balanced = np.mean([-chances[labels == label].mean() for label in range(3)])
        return float(balanced + 1e-2 * ((weight * spread) ** 2).sum())

    best = loss(weight, bias)
    for _ in range(20):
        assert loss(weight + 1e-2 * generator.normal(size=weight.shape) / spread, bias) > best
    assert ((features @ weight.T + bias).argmax(1) == labels).mean() > 0.8
    assert heads.cross_validated(features, labels, [str(i) for i in range(90)], 1e-2) > 0.75


@pytest.mark.parametrize("ask", [demo.instruments, demo.prompts])
def test_a_sound_is_of_one_of_two_splits(ask: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match='"train", "test" or None'):
        ask("validation")


def test_whisper_hears_instruments(asset: Callable[[str], Path]) -> None:
    labels = ["ambient", "drum", "electronic", "loop", "tabla"]
    asset("instrument-sounds")
    assert right_on_clips(asset("whisper-instruments"), demo.instruments("test"), labels, 44_100) >= 0.6


@pytest.mark.parametrize(("data", "least"), [("instrument-sounds", 120), ("prompt-sounds", 1000)])
def test_sounds_do_not_leak_between_splits(asset: Callable[[str], Path], data: str, least: int) -> None:
    rows = json.loads((asset(data) / "clips.json").read_text())
    side = {row["group"]: row["split"] for row in rows}
    assert len(rows) >= least
    assert all(row["split"] == side[row["group"]] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)
    assert 0.15 < sum(row["split"] == "test" for row in rows) / len(rows) < 0.35
    everything = demo.instruments() if data == "instrument-sounds" else demo.prompts()
    assert len(everything) == len(rows)
    assert all(clip["audio"].dtype == np.float32 and np.isfinite(clip["audio"]).all() for clip in everything)
