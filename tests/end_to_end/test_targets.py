"""Targets of each kind on real models: what is known of the world, and what the models themselves say."""

from __future__ import annotations

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.demo import head_mri, scans
from hf_fourier.errors import TargetError
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position, Region
from tests.end_to_end.cases import Asset
from tests.models import laws

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
    explain.perturb([paris, rome], fractions=[0.1, 1.0], overwrite=True)
    for one in (paris, rome):
        assert one.curve.at("keep", 1.0).value == pytest.approx(one.value, rel=1e-3)
        assert one.curve.at("keep", 1.0).agreement == 1.0


def test_a_target_without_its_space_is_told_from_the_likely_one(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("smollm2")), device="cpu", dtype="float32")
    model, tokenizer = explain.model, explain.processor
    with torch.no_grad():
        p = model(**tokenizer(TEXT, return_tensors="pt")).logits[0, -1].softmax(-1)
    bare, spaced = (tokenizer.get_vocab()[token] for token in ("Paris", "ĠParis"))
    likely = explain.explain(TEXT, " Paris")
    assert (likely.target, likely.provenance["notes"]) == (spaced, [])
    assert likely.confidence == pytest.approx(float(p[spaced]), rel=1e-3)
    assert likely.confidence > 0.5
    for target in ("Paris", Continuation("Paris"), Contrast("Paris", " London")):
        result = explain.explain(TEXT, target)
        (note,) = result.provenance["notes"]
        assert note.startswith(f"the target begins with 'Paris' (p = {float(p[bare]):.2g}); ' Paris' is far likelier")
        assert f"(p = {float(p[spaced]):.2g})" in note
    assert explain.explain(TEXT, "Paris").confidence == pytest.approx(float(p[bare]), rel=1e-2)


def test_a_closing_mark_of_a_template_is_not_what_a_language_model_goes_on_from(asset: Asset) -> None:
    from tokenizers.processors import TemplateProcessing

    explain = FourierExplainer.from_pretrained(str(asset("smollm2")), device="cpu", dtype="float32")
    known = explain.explain(TEXT)
    end = explain.processor.eos_token
    marks = [(end, explain.processor.eos_token_id)]
    explain.processor.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=marks)
    assert explain.processor(TEXT)["input_ids"][-1] == explain.processor.eos_token_id
    result = explain.explain(TEXT)
    assert result.label == known.label == " Paris"
    assert result.confidence == pytest.approx(known.confidence, rel=1e-4)
    (note,) = result.provenance["notes"]
    assert note.startswith(f"{end}, which the tokenizer adds after a text, was removed")


def test_a_chat_is_answered_as_generation_answers_it(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("smollm2")), device="cpu", dtype="float32")
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = explain.processor.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")["input_ids"]
    said = explain.model.generate(ids, max_new_tokens=1, do_sample=False)[0, -1]
    result = explain.explain(chat)
    assert result.inputs["input_ids"].tolist() == ids[0].tolist()
    assert result.target == int(said)
    assert "".join(result.names) == chat[0]["content"]


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


def test_classes_by_index_name_contrast_and_callable(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("minilm-spam")), device="cpu")
    text, names = "Win a free prize now, click here to claim your money!!!", explain.model.config.id2label
    with torch.no_grad():
        z = explain.model(**explain.processor(text, return_tensors="pt")).logits[0]
    said, other = (int(k) for k in z.argsort(descending=True))
    for index in (said, other):
        by_index, by_name = explain.explain(text, index), explain.explain(text, names[index])
        assert by_index.value == pytest.approx(float(z.log_softmax(0)[index]), rel=1e-4, abs=1e-6)
        assert by_name.label == by_index.label == names[index]
        assert torch.equal(by_index.scores, by_name.scores)
    assert torch.equal(explain.explain(text).scores, explain.explain(text, said).scores)
    rather = explain.explain(text, Contrast(names[said], names[other]))
    own = explain.explain(text, lambda outputs: outputs.logits[:, said] - outputs.logits[:, other])
    assert rather.value == pytest.approx(float(z[said] - z[other]), rel=1e-4)
    assert own.value == pytest.approx(rather.value, rel=1e-5)
    torch.testing.assert_close(own.gradient, rather.gradient, rtol=1e-4, atol=1e-5)
    with pytest.raises(TargetError):
        explain.explain(text, AnswerSpan(0, 1))


def test_one_masked_residue_of_two(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("antiberty-mlm")), device="cpu")
    chain = [*"EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKG"]
    assert chain[35] == "W"
    chain[35] = chain[10] = "[MASK]"
    text, tokenizer = " ".join(chain), explain.processor
    with torch.no_grad():
        log_p = explain.model(**tokenizer(text, return_tensors="pt")).logits[0].log_softmax(-1)
    masks = [i for i, token in enumerate(tokenizer(text)["input_ids"]) if token == tokenizer.mask_token_id]
    both, second = explain.explain(text), explain.explain(text, Position(1))
    assert second.label.startswith("W")
    assert second.value == pytest.approx(float(log_p[masks[1]].max()), rel=1e-3, abs=1e-5)
    assert both.value == pytest.approx(float(log_p[masks].amax(-1).mean()), rel=1e-3, abs=1e-5)
    laws.whole(second)


def test_a_region_of_a_scan(asset: Asset) -> None:
    from hf_fourier.demo.models import linknet3d

    asset("mri-head")
    linknet3d.register()
    explain = FourierExplainer.from_pretrained(str(asset("deepbet")), device="cpu")
    volume = scans.normalised(scans.at_size(torch.from_numpy(head_mri()["volume"]), 48)).numpy()
    with torch.no_grad():
        z = explain.model(pixel_values=torch.from_numpy(volume)[None, None]).logits[0]
    log_p = torch.stack([-z, z]).squeeze(1).mul(0.5).log_softmax(0) if len(z) == 1 else z.log_softmax(0)
    own = log_p.argmax(0)
    left = torch.full_like(own, -1)
    left[:24] = own[:24]  # half of the head alone
    result = explain.explain(volume, Region(left.numpy()))
    assert result.value == pytest.approx(float(log_p.amax(0)[:24].mean()), rel=1e-3)
    laws.whole(result)


ANIMALS = ("cat", "dog", "horse", "lion", "tiger", "sheep", "goat", "duck", "rabbit", "wolf", "mouse", "snake")
CONTEXTS = ("The {} sat on the old chair.", "We saw a {} near the river today.", "He feeds his {} every morning.")


def test_a_span_that_answers(asset: Asset) -> None:
    """MiniLM with a head that least squares fit to the places of animals finds one that it has not seen."""
    from transformers import AutoTokenizer, BertForQuestionAnswering

    folder = str(asset("minilm"))
    model, tokenizer = BertForQuestionAnswering.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    question, places, states = "Which animal is it?", [], []
    for animal in ANIMALS:
        for context in CONTEXTS:
            batch = tokenizer(question, context.format(animal), return_tensors="pt")
            with torch.no_grad():
                states.append(model.bert(**batch).last_hidden_state[0])
            places.append((batch["input_ids"][0] == tokenizer.convert_tokens_to_ids(animal)).float())
    x, y = torch.cat(states).double(), torch.cat(places).double()
    weight = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    with torch.no_grad():
        model.qa_outputs.weight.copy_(20 * weight.float().expand(2, -1))
        model.qa_outputs.bias.zero_()
    explain = FourierExplainer(model, tokenizer)
    context = "Yesterday the elephant walked through our garden."
    found = explain.explain((question, context))
    place, garden = (found.names.index(word) for word in ("elephant", "garden"))
    assert found.target == [place, place]
    given, wrong = (explain.explain((question, context), AnswerSpan(i, i)) for i in (place, garden))
    assert given.value == pytest.approx(found.value, rel=1e-5)
    assert wrong.target == [garden, garden]
    assert wrong.value < given.value
    laws.whole(given)
