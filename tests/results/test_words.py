"""Words of a text: tokens put together, what is lost without each, and low and high frequencies."""

import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.report.html import notebook
from hf_fourier.results import words
from tests.models import tiny_models, tiny_tokenizers


@pytest.fixture(scope="module")
def explainer():
    return FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))


@pytest.fixture(scope="module")
def text():
    return tiny_tokenizers.texts(1, lengths=(18,))[0]


@pytest.fixture(scope="module")
def result(explainer, text):
    return explainer.words(text)


def test_pieces_make_words():
    assert words.token_pieces(["play", "##ing", "now"]) == [("play", True), ("ing", False), ("now", True)]
    assert words.token_pieces(["Hello", "Ġwor", "ld"]) == [("Hello", True), ("wor", True), ("ld", False)]


def test_a_word_ends_with_its_line_and_at_spaces():
    starts = [start for _, start in words.token_pieces(["Hello", "Ċ", "wor", "ld", "Ġnow"])]
    assert starts == [True, True, True, False, True]
    assert [start for _, start in words.token_pieces(["▁one", "<0x0A>", "two"])] == [True, True, True]
    assert [start for _, start in words.token_pieces(["a", "b", " ", "c", "d"])] == [True, False, True, False, False]


def test_characters_of_several_byte_tokens_are_put_together():
    numbers = np.array([0, 1, 1, 1])
    assert words._word_texts(["a", "Ġ", "Ã", "©"], numbers) == ["a", "é"]
    assert words._word_texts(["▁a", "▁", "<0xC3>", "<0xA9>"], numbers) == ["a", "é"]


@pytest.mark.parametrize(
    "text", ["is café 😀 is", "Paris 你好 café", "😀 Paris é", "Paris שלום naïve", "is Ġuż ï¿½ \ufffd Ã© is"]
)
@pytest.mark.parametrize("learnt", [[], ["café é naïve", "é café"] * 9])
def test_words_of_byte_level_tokens_are_those_of_the_text(text, learnt):
    tokenizer = tiny_tokenizers.spaced("bytes")
    tokenizer = tokenizer.train_new_from_iterator([*tiny_tokenizers.CORPUS, *learnt], 360)
    model = tiny_models.build("text-classification", "roberta", vocab_size=len(tokenizer), max_position_embeddings=99)
    found = FourierExplainer(model, tokenizer).explain(text, method="magnitude")
    named = dict(zip(found.words()["place"], found.words()["word"], strict=True))
    assert [named[place] for place in sorted(named)] == text.split()


def unigram():
    """As of XLM-RoBERTa, T5 and DeBERTa-v3."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return backend, trainers.UnigramTrainer(vocab_size=70, special_tokens=["<unk>"], unk_token="<unk>")


def with_bytes():
    """As of Llama 2 and Mistral."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    steps = decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)
    backend.decoder = decoders.Sequence(list(steps))
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    return backend, trainers.BpeTrainer(vocab_size=330, special_tokens=special)


def classic():
    """As of GPT-1 and XLM."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.WhitespaceSplit(), decoders.BPEDecoder(suffix="</w>")
    return backend, trainers.BpeTrainer(vocab_size=70, special_tokens=["<unk>"], end_of_word_suffix="</w>")


def pieces():
    """As of BERT."""
    backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.WhitespaceSplit(), decoders.WordPiece()
    return backend, trainers.WordPieceTrainer(vocab_size=70, special_tokens=["<unk>"])


#: The unknown token of classic BPE does not say whether a word ends: no unknown characters there.
TEXTS = ("Paris unisapital é naïve", "capitalis", "é", "is 😀 paris שלום")
KINDS = [
    (kind, text) for kind in (unigram, with_bytes, classic, pieces) for text in TEXTS[: 3 if kind is classic else 4]
]


@pytest.mark.parametrize(("kind", "text"), KINDS)
def test_words_of_several_tokens_are_those_of_the_text(text, kind):
    backend, trainer = kind()
    backend.train_from_iterator([*tiny_tokenizers.CORPUS, *["nu é naïve"] * 9], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", model_input_names=["input_ids"])
    model = tiny_models.build("text-classification", "roberta", vocab_size=len(tokenizer), max_position_embeddings=99)
    found = FourierExplainer(model, tokenizer).explain(text, method="magnitude")
    named = dict(zip(found.words()["place"], found.words()["word"], strict=True))
    known = [re.sub("(<unk>)+", "?", named[place]) for place in sorted(named)]
    expected = [
        word if kind is with_bytes or word.isascii() or word in ("é", "naïve") else "?" for word in text.split()
    ]
    assert known == expected


def test_bytes_have_the_characters_that_tokenizers_write():
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    assert words._byte_alphabet() == {character: byte for byte, character in bytes_to_unicode().items()}
    assert words._word_texts(["Ġno", "!", "~"], np.array([0, 0, 0])) == ["no!~"]


def test_that_no_removal_lowers_the_score_is_said(result):
    from dataclasses import replace

    raised = -torch.as_tensor(result.extras[words.LOST]).abs() - 0.1
    sentences = words.summary(replace(result, extras={**result.extras, words.LOST: raised}))
    assert "No removal of a single word lowers the score." in sentences
    assert not any("lowers the score most" in sentence for sentence in sentences)


def test_a_words_relevance_is_the_sum_over_its_tokens(result):
    table, numbers = result.words(), words.word_numbers(result)
    values = np.asarray(result.input_relevance().values)
    assert sorted(table["place"]) == list(range(1, int(numbers[-1]) + 2))
    for row in table:
        assert row["relevance"] == pytest.approx(float(values[numbers == row["place"] - 1].sum()))
    sizes = np.abs(table["relevance"])
    assert (np.diff(sizes) <= 1e-12).all()
    assert sum(table["relevance"]) == pytest.approx(result.contributions.sum, rel=1e-4)


def test_what_is_lost_is_what_the_model_says_of_the_text_with_that_word_masked(explainer, result):
    """Without any word that is masked the embedding is the mask token's, as if the text had it there."""
    mask = explainer.wrapper.model.get_input_embeddings().weight[explainer.wrapper.mask_id].detach()
    numbers = words.word_numbers(result)
    for row in result.words():
        signal = result.signal.clone()
        signal[torch.from_numpy(numbers == row["place"] - 1)] = mask
        found = explainer.predict(result, signal=signal)
        left = dict(found.ranked)[result.label]
        assert row["confidence without it"] == pytest.approx(left, abs=1e-5)
        assert row["score lost without it"] == pytest.approx(np.log(result.confidence) - np.log(left), abs=1e-4)


def test_theme_and_single_words_add_up_to_the_text(explainer, result):
    from hf_fourier.evaluation.studies.word_deletion import _theme_and_words

    slow, fast = _theme_and_words(result.signal, result.layout.signal)
    torch.testing.assert_close(slow + fast, result.signal, rtol=1e-4, atol=1e-5)
    spectrum = torch.fft.rfft(slow, dim=0).abs().sum(1)
    assert float(spectrum[len(slow) // words.THEME + 1 :].max()) < 1e-4 * float(spectrum.max())
    for name, part in (("theme", slow), ("single", fast)):
        found = explainer.predict(result, signal=part)
        stored = result.extras[words.PARTS][name]
        assert stored["confidence"] == pytest.approx(dict(found.ranked)[result.label], abs=1e-5)
        assert stored["agreement"] == float(found.label == result.label)


def test_passes_are_counted_and_batches_change_nothing(explainer, text, result):
    plain = explainer.explain(text, contributions=4)
    more = result.provenance["passes"].get("evaluated", 0) - plain.provenance["passes"].get("evaluated", 0)
    assert more == len(result.words()) + 2
    several = explainer.words([text, text.split(" ", 1)[1]], batch_size=3)
    torch.testing.assert_close(several[0].extras[words.LOST], result.extras[words.LOST], rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_they_say_the_same(result, tmp_path):
    again = Attribution.load(result.save(tmp_path / "a"))
    assert again.words().columns == result.words().columns
    assert words.summary(again) == words.summary(result)


def test_the_first_view_begins_with_words(result):
    page = notebook.attribution(result)
    sentences = words.summary(result)
    assert len(sentences) == 3
    assert sentences[0].startswith(("Words for", "Words against"))
    assert "low frequencies alone" in sentences[2].lower()
    places = [page.index(notebook.escaped(part)) for part in (*sentences, "score lost without it", words.BY_FREQUENCY)]
    assert places == sorted(places)
    assert page.index("line-height:2") < places[0]  # the coloured words
    assert page.index("frequency", places[-1] + len(words.BY_FREQUENCY)) > places[-1]


def test_a_report_begins_with_words_and_a_shared_one_has_none(result, tmp_path):
    from hf_fourier import Report

    page = (Report([result]).save(tmp_path / "own", include_inputs=True) / "index.html").read_text()
    assert page.index('class="words"') < page.index(words.BY_FREQUENCY) < page.index('class="slider"')
    assert notebook.escaped(result.words()["word"][0]) in page
    shared = Report([result]).save(tmp_path / "shared")
    for file in shared.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b'class="words"' not in content
            assert words.LOST.encode() not in content


def test_without_contributions_or_of_other_inputs(explainer, text):
    ranked = explainer.explain(text, method="magnitude")
    assert set(ranked.words().columns) == {"rank", "word", "place", "relevance", "measure"}
    assert words.summary(ranked) == []
    picture = FourierExplainer(tiny_models.build("image-classification", "resnet"))
    batch = {"pixel_values": torch.rand(1, 3, 32, 32)}
    with pytest.raises(InputError, match="of other inputs call explain"):
        picture.words(batch)
    with pytest.raises(InputError, match=r"call input_relevance\(\)"):
        picture.explain(batch, method="magnitude")[0].words()
