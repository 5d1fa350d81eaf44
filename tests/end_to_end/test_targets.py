"""Targets of each kind on real models: what is known of the world, and what the models themselves say."""

from __future__ import annotations

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.targets import Continuation, Contrast, Direction
from tests.adapters import laws
from tests.end_to_end.cases import Asset

pytestmark = pytest.mark.assets
TEXT = "The capital of France is"


def test_continuations_and_contrasts_of_a_language_model(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("smollm2")), device="cpu")
    model, tokenizer = explain.model, explain.processor
    ids = tokenizer(TEXT + " the city of Paris.", return_tensors="pt")["input_ids"]
    start = len(tokenizer(TEXT)["input_ids"])
    with torch.no_grad():
        log_p = model(input_ids=ids).logits[0].log_softmax(-1)
    each = log_p[start - 1 : -1].gather(1, ids[0, start:, None])
    result = explain.explain(TEXT, Continuation(" the city of Paris."))
    assert result.target == ids[0, start:].tolist()
    assert result.value == pytest.approx(float(each.mean()), rel=1e-4)
    laws.whole(result)
    paris = explain.explain(TEXT, Contrast(" Paris", " London"))
    assert paris.label == "Paris rather than London"
    assert paris.confidence > 0.95
    rome = explain.explain(TEXT, Contrast(" Rome", " Paris"))
    assert rome.confidence < 0.01
    explain.play([paris, rome], kept=[0.1, 1.0], again=True)
    for one in (paris, rome):
        assert one.curve.at("keep", 1.0).value == pytest.approx(one.value, rel=1e-3)
        assert one.curve.at("keep", 1.0).agrees == 1.0


def test_the_words_that_a_speech_recogniser_writes(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("whisper-tiny")), device="cpu")
    asset("prompt-sounds")
    said = next(p for p in asset("prompt-sounds").rglob("*.wav") if p.stem == "goodbye" and "en" in p.parts[-2])
    result = explain.explain(str(said))
    assert result.label.strip(".!").lower() == "goodbye"
    laws.whole(result)
    assert explain.explain(str(said), " Hello.").value < explain.explain(str(said), " Goodbye.").value


def test_a_direction_between_sentences(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("minilm")), task="feature-extraction", device="cpu")
    cat = Direction(explain.predict("A cat sits on the mat.").logits)
    near, far = (explain.explain(text, cat) for text in ("A kitten rests on a rug.", "Interest rates rose again."))
    assert near.value > 0.4 > 0.2 > far.value
    laws.whole(near)
    with torch.no_grad():
        states = explain.model(**explain.processor("A kitten rests on a rug.", return_tensors="pt")).last_hidden_state
    assert near.value == pytest.approx(float(torch.cosine_similarity(states[0].mean(0), cat.vector, dim=0)), rel=1e-4)
