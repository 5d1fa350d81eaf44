"""Pictures of clothes, and the vision transformer that was trained on them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import assets
from benchmarks.assets import data
from benchmarks.assets.convert import fashion
from tests.demo.real import load


def test_pictures_and_labels_are_read(tmp_path: Path) -> None:
    pictures = np.arange(3 * 784).astype(np.uint8).reshape(3, 28, 28)
    head = struct.pack(">4i", 2051, 3, 28, 28)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pictures.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">2i", 2049, 3) + bytes([9, 0, 2])))
    read, labels, names = data.read_fashion(tmp_path, "test", 2)
    assert np.array_equal(read, pictures[:2])
    assert [names[label] for label in labels] == ["Ankle boot", "T-shirt/top"]
    assert len(data.read_fashion(tmp_path, "test", None)[0]) == 3
    with pytest.raises(ValueError, match="between 0 and 3"):
        data.read_fashion(tmp_path, "test", 4)


def test_a_batch_is_mirrored_picture_by_picture() -> None:
    pixels = torch.rand(40, 3, 4, 4)
    varied = fashion.mirror({"pixel_values": pixels}, torch.Generator().manual_seed(0))["pixel_values"]
    same = [torch.equal(new, old) for new, old in zip(varied, pixels, strict=True)]
    flipped = [torch.equal(new, old.flip(-1)) for new, old in zip(varied, pixels, strict=True)]
    assert all(a != b for a, b in zip(same, flipped, strict=True))
    assert 10 < sum(same) < 30


def test_clothes_are_of_one_of_two_splits() -> None:
    with pytest.raises(ValueError, match='"train" or "test"'):
        assets.fashion("validation")


def test_the_pictures(asset: Callable[[str], Path]) -> None:
    asset("fashion-mnist")
    rows = assets.fashion("test", 20)
    assert len(rows) == 20
    assert {(row["picture"].mode, row["picture"].size) for row in rows} == {("RGB", (28, 28))}
    assert rows[0]["label"] == "Ankle boot"
    assert assets.fashion("train", 1)[0]["label"] == "Ankle boot"
    with pytest.raises(ValueError, match="between 0 and 10000"):
        assets.fashion("test", 10_001)


@pytest.mark.slow
def test_the_transformer_knows_clothes(asset: Callable[[str], Path]) -> None:
    from transformers import AutoImageProcessor

    asset("fashion-mnist")
    folder = asset("fashion-vit")
    model, processor = load("AutoModelForImageClassification", folder), AutoImageProcessor.from_pretrained(folder)
    rows = assets.fashion("test", 1000)
    batch = processor([row["picture"] for row in rows], return_tensors="pt")
    assert batch["pixel_values"].shape == (1000, 3, 28, 28)
    raw = data.read_fashion(asset("fashion-mnist"), "test", 5)[0]
    assert torch.allclose(batch["pixel_values"][:5], fashion.to_pixels(raw), atol=1e-6)
    with torch.inference_mode():
        found = model(**batch).logits.argmax(-1)
    right = [model.config.id2label[int(i)] == row["label"] for i, row in zip(found, rows, strict=True)]
    assert np.mean(right) > 0.8
