"""References: what stands for the absence of each kind of input, by hand and as processors make it."""

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.domains import Axis, SignalShape
from hf_fourier.models.encoding import encode
from hf_fourier.scoring import references
from hf_fourier.scoring.example_batch import ExampleBatch
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_tokenizers
from tests.toy_scores import noise

PICTURE = SignalShape("pixels", (Axis("channel", 2, channel=True), Axis("height", 4), Axis("width", 5)))


def batch_of(explain: FourierExplainer, example: object) -> ExampleBatch:
    _, encoded = encode(explain.wrapper, example)
    return explain.wrapper.example_batch(encoded, ExampleRng(0, [1] * len(encoded)))


def test_means_and_smallest_values_by_channel() -> None:
    x = noise(3, 2, 4, 5)
    average, least = references.mean(x, PICTURE, "m"), references.smallest(x, PICTURE, "s")
    assert average.signal.shape == least.signal.shape == (3, 2, 1, 1)
    np.testing.assert_allclose(average.signal[..., 0, 0], x.numpy().mean((2, 3)))
    np.testing.assert_allclose(least.signal[..., 0, 0], x.numpy().min((2, 3)))
    assert references.zero(x).signal.shape == (3, 1, 1, 1)


@pytest.mark.parametrize("channel_last", [False, True])
def test_the_border_of_a_volume_is_its_background(channel_last: bool) -> None:
    axes = [Axis("depth", 4), Axis("height", 5), Axis("width", 6)]
    volume = 9 * torch.ones(2, 2, 4, 5, 6)
    volume[:, :, 1:-1, 1:-1, 1:-1] = noise(2, 2, 2, 3, 4).float()
    volume[1], volume[:, 1, 0] = volume[1] - 2, 100
    channel = Axis("channel", 2, channel=True)
    shape = SignalShape("volume", (*axes, channel) if channel_last else (channel, *axes))
    found = references.border(volume.movedim(1, -1) if channel_last else volume, shape, "b").signal
    assert found.shape == ((2, 1, 1, 1, 2) if channel_last else (2, 2, 1, 1, 1))
    assert found.flatten().tolist() == [9, 9, 7, 7]


def test_a_blur_is_a_gaussian_of_a_twentieth_of_the_side() -> None:
    from scipy.ndimage import gaussian_filter

    x = noise(2, 3, 60, 80)
    expected = gaussian_filter(x.numpy(), 3.0, axes=(2, 3), mode="mirror", truncate=3.0)
    np.testing.assert_allclose(references.blurred(x, "b").signal, expected, atol=1e-10)
    flat = torch.full((1, 3, 2, 1), 0.5)
    torch.testing.assert_close(references.blurred(flat, "b").signal, flat)


def test_tokens_are_masked_or_averaged_and_special_ones_stay() -> None:
    tokenizer = tiny_tokenizers.tokenizer("bert")
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tokenizer)
    batch = batch_of(explain, tiny_tokenizers.text(6, 7))
    masked, average = batch.references
    table = explain.model.get_input_embeddings().weight.detach()
    assert masked.signal.shape == average.signal.shape == (1, 1, table.shape[1])
    torch.testing.assert_close(masked.signal[0, 0], table[tokenizer.mask_token_id])
    torch.testing.assert_close(average.signal[0, 0], batch.signal[0].mean(0))
    assert (masked.words, average.words) == ("every token masked", "every token the average token")
    (one,) = batch_of(explain, tiny_tokenizers.text(6, 7).split()[0]).references  # a token is its own average
    assert one.words == "every token masked"


@pytest.mark.parametrize(("which", "first"), [("gpt2", ["every token padding"]), ("gpt2-unpadded", [])])
def test_padding_stands_in_for_a_mask_and_the_average_for_both(which: str, first: list[str]) -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", which))
    batch = batch_of(explain, {"input_ids": torch.tensor([[5, 6, 7, 8]])})
    assert [reference.words for reference in batch.references] == [*first, "every token the average token"]


def test_silence_is_what_the_extractor_makes_of_it() -> None:
    from transformers import ASTFeatureExtractor

    from hf_fourier.models.log_mel import ASTFrontEnd

    for scale in (True, False):
        extract = ASTFeatureExtractor(do_normalize=scale)
        silent = extract(np.zeros(16000, dtype=np.float32), sampling_rate=16000, return_tensors="pt")["input_values"]
        np.testing.assert_allclose(silent[0, :50], ASTFrontEnd(extract).floor, atol=1e-4)
