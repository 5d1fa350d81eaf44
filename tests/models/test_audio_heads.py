"""Models that listen: transcripts, words, frames and voices against the models' own outputs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.studies.transcript_errors import error_rate, transcript_errors
from hf_fourier.scoring.targets import Direction, Position
from tests.models import laws, tiny_models_audio, tiny_tokenizers
from tests.models.tiny_models_audio import HEADS, RATE, clip

EVERYTHING = [(task, name) for task, (_, names) in HEADS.items() for name in names]
SOUND = (clip(8009), RATE)


@cache
def explainer(task: str, name: str) -> FourierExplainer:
    processor = SimpleNamespace(
        feature_extractor=tiny_models_audio.extractor(name), tokenizer=tiny_tokenizers.tokenizer("gpt")
    )
    return FourierExplainer(tiny_models_audio.build(name, task=task), processor, task=task)


@cache
def target(task: str, name: str) -> Any:
    if task not in ("audio-xvector", "audio-feature-extraction"):
        return None
    return Direction(explainer(task, name).predict((clip(8009, 5), RATE)).logits)


def own(explain: FourierExplainer, sound: Any, **more: torch.Tensor) -> Any:
    batch = explain.processor(sound[0], sampling_rate=RATE, return_tensors="pt")
    with torch.no_grad():
        return explain.model(**batch, **more)


@pytest.mark.parametrize(("task", "name"), EVERYTHING)
def test_the_clean_forward_is_the_models_own(task: str, name: str) -> None:
    explain = explainer(task, name)
    encoded = explain.wrapper.encode(SOUND)
    more = {}
    if task == "automatic-speech-recognition":
        encoded, _ = explain.wrapper.prepare_target(encoded, None)
        more = {"decoder_input_ids": encoded.inputs["decoder_input_ids"][None]}
    ours, theirs = laws.own_outputs(explain, encoded), own(explain, SOUND, **more)
    laws.close(ours[0], theirs[0])


@pytest.mark.parametrize(("task", "name"), EVERYTHING)
def test_results_are_whole_and_come_back(task: str, name: str, tmp_path: Path) -> None:
    explain, aim = explainer(task, name), target(task, name)
    result = explain.explain(SOUND, aim)
    laws.whole(result)
    assert result.gradient.abs().max() > 0
    assert result.agreement == 1.0
    laws.comes_back(explain, result, tmp_path)
    sounds = [SOUND, (clip(12_007, 1), RATE), (clip(8009, 2), RATE)]
    for one, other in zip(sounds, explain.explain(sounds, aim), strict=True):
        laws.same(explain.explain(one, aim), other)
    if aim is None:
        laws.nothing_is_changed(explain, SOUND)


@pytest.mark.parametrize(("task", "name"), [(task, names[0]) for task, (_, names) in HEADS.items()])
def test_bfloat16_and_gradient_checkpointing_in_training_mode(task: str, name: str) -> None:
    explain, aim = explainer(task, name), target(task, name)
    model = tiny_models_audio.build(name, task=task).bfloat16().train()
    model.gradient_checkpointing_enable()
    processor = SimpleNamespace(feature_extractor=explain.processor, tokenizer=explain.wrapper.tokenizer)
    result = FourierExplainer(model, processor, task=task).explain(SOUND, aim)
    laws.whole(result)
    assert result.scores.dtype == torch.float32
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("name", HEADS["ctc"][1])
def test_transcripts(name: str) -> None:
    explain = explainer("ctc", name)
    log_p = own(explain, SOUND).logits.double().log_softmax(-1)
    best = log_p[0].argmax(-1).unique_consecutive().tolist()
    result = explain.explain(SOUND)
    assert result.target == [i for i in best if i != 0]
    assert result.label == explain.wrapper.tokenizer.decode(result.target)
    given = explain.explain(SOUND, "w10 w11")
    frames, ids = log_p.shape[1], torch.tensor([[10, 11]])
    loss = torch.nn.functional.ctc_loss(
        log_p.transpose(0, 1), ids, torch.tensor([frames]), torch.tensor([2]), reduction="sum"
    )
    assert given.target == [10, 11]
    assert given.value == pytest.approx(-float(loss) / frames, rel=1e-4)
    assert explain.predict(SOUND).label == result.label
    for wrong in ("w10 " * 10**3, Position(0), [99]):
        with pytest.raises(TargetError):
            explain.explain(SOUND, wrong)


def test_a_padded_sound_has_its_own_frames_alone() -> None:
    explain = explainer("ctc", "wav2vec2-layer")
    batch = explain.processor([SOUND[0], clip(4801, 1)], sampling_rate=RATE, padding=True, return_tensors="pt")
    alone = explain.explain((clip(4801, 1), RATE))
    padded = explain.explain(dict(batch))[1]
    assert padded.target == alone.target
    assert padded.value == pytest.approx(alone.value, rel=1e-2)


@pytest.mark.parametrize("name", HEADS["audio-frame-classification"][1])
def test_frames(name: str) -> None:
    explain = explainer("audio-frame-classification", name)
    log_p = own(explain, SOUND).logits[0].log_softmax(-1)
    result = explain.explain(SOUND)
    assert result.value == pytest.approx(float(log_p.max(-1).values.mean()), rel=1e-4)
    alone = explain.explain(SOUND, Position(4, "flute"))
    assert (alone.target, alone.label) == (1, "flute")
    assert alone.value == pytest.approx(float(log_p[4, 1]), rel=1e-4)
    with pytest.raises(TargetError):
        explain.explain(SOUND, Position(10**6))


@pytest.mark.parametrize("name", HEADS["audio-xvector"][1])
def test_voices(name: str) -> None:
    explain, aim = explainer("audio-xvector", name), target("audio-xvector", name)
    voice = own(explain, SOUND).embeddings[0]
    result = explain.explain(SOUND, aim)
    assert result.value == pytest.approx(float(torch.cosine_similarity(voice, aim.vector, dim=0)), rel=1e-3)
    for wrong in (None, Direction(voice), 3):
        with pytest.raises(TargetError):
            explain.explain(SOUND, wrong)


@pytest.mark.parametrize("name", HEADS["automatic-speech-recognition"][1])
def test_words(name: str) -> None:
    """Given words score the negative of the loss that the model itself computes of them as labels."""
    explain = explainer("automatic-speech-recognition", name)
    ids = [10, 11, 12]
    result = explain.explain(SOUND, ids)
    theirs = own(explain, SOUND, labels=torch.tensor([ids]))
    assert result.target == ids
    assert result.value == pytest.approx(-float(theirs.loss), rel=1e-4)
    assert explain.explain(SOUND, "w10 w11 w12").value == pytest.approx(result.value, rel=1e-6)
    said = explain.explain(SOUND)
    assert said.agreement == 1.0
    assert explain.predict(SOUND).label == said.label
    for wrong in (3, Position(0), []):
        with pytest.raises(TargetError):
            explain.explain(SOUND, wrong)


def test_error_rates_are_edit_distances() -> None:
    assert error_rate(["the", "cat", "sat"], ["the", "cat", "sat"]) == 0
    assert error_rate(["the", "cat", "sat"], ["the", "bat", "sat", "down"]) == pytest.approx(2 / 3)
    assert error_rate("kitten", "sitting") == pytest.approx(3 / 6)
    assert error_rate("abc", "") == 1
    assert error_rate("", "ab") == 2


def test_word_errors_stand_beside_the_transcripts_decision(tmp_path: Path) -> None:
    explain = explainer("ctc", "wav2vec2")
    result = explain.explain((clip(8009), RATE))
    with pytest.raises(InputError, match="without a curve"):
        transcript_errors(explain, result)
    explain.perturb(result, fractions=[0.02, 0.5, 1.0])
    for played in (result, Attribution.load(result.save(tmp_path))):
        table = transcript_errors(explain, played)
        stops = {(stop.mode, stop.fraction): stop for stop in played.curve.points}
        assert len(table) == len(stops) == 6
        for row in table.rows():
            same = stops[row["mode"], row["fraction"]].agreement == 1
            assert (row["cer"] == 0) == (row["transcript"] == result.label) == same
        signal = played.keep_top(0.02)
        said = explain.predict(played, signal=signal).label
        (own,) = [row for row in table.rows() if (row["mode"], row["fraction"]) == ("keep", 0.02)]
        assert own["transcript"] == said
        assert own["wer"] == error_rate(result.label.split(), said.split())
    other = FourierExplainer(tiny_models_audio.build("wav2vec2"), tiny_models_audio.extractor("wav2vec2"))
    with pytest.raises(InputError):
        transcript_errors(other, other.explain((clip(8009), RATE)))


class Listener(torch.nn.Module):
    """A language model that reads a sound's frames before its ids: the running mean of both."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(is_encoder_decoder=False, vocab_size=20, num_mel_bins=5, model_type="toy")
        self.words, self.sound = torch.nn.Embedding(20, 8), torch.nn.Linear(5, 8)
        self.out = torch.nn.Linear(8, 20)

    def forward(self, input_features: Any, input_ids: Any, attention_mask: Any = None) -> Any:
        states = torch.cat([self.sound(input_features), self.words(input_ids)], 1).cumsum(1)
        return SimpleNamespace(logits=self.out(states.tanh())[:, input_features.shape[1] :])


def test_what_a_language_model_says_of_a_sound_follows_its_ids() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, features = Listener().eval(), torch.randn(2, 7, 5)
    explain = FourierExplainer(model, task="automatic-speech-recognition", name="toy")
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    batch = {"input_features": features, "input_ids": ids, "attention_mask": torch.ones(2, 7)}
    results = explain.explain(batch, [7, 8, 9])
    for row, result in enumerate(results):
        longer = torch.tensor([[*ids[row].tolist(), 7, 8]])
        with torch.no_grad():
            log_p = model(features[row : row + 1], longer).logits[0, -3:].log_softmax(-1)
        assert result.value == pytest.approx(float(log_p[[0, 1, 2], [7, 8, 9]].mean()), rel=1e-5)
        assert result.gradient.any()
    explain.perturb(results, fractions=[0.5])


def test_a_given_text_begins_as_generation_begins_it() -> None:
    """With the language that the model hears and the task, which a tokenizer does not know of by itself."""
    name, task = "whisper", "automatic-speech-recognition"
    tokenizer = tiny_tokenizers.tokenizer("roberta")
    explain = FourierExplainer(
        tiny_models_audio.build(name, task=task),
        SimpleNamespace(feature_extractor=tiny_models_audio.extractor(name), tokenizer=tokenizer),
        task=task,
    )
    own: Any = explain.model.generation_config
    own.is_multilingual, own.no_timestamps_token_id = True, 9
    own.lang_to_id, own.task_to_id = {"<|en|>": 5, "<|de|>": 6}, {"transcribe": 7, "translate": 8}
    written = explain.explain(SOUND).inputs["decoder_input_ids"].tolist()
    assert written[0] == 1
    assert written[1] in (5, 6)
    assert written[2] == 9
    given = explain.explain(SOUND, "w15 w16")
    assert given.inputs["decoder_input_ids"].tolist() == [*written[:3], 15, 16]
    assert given.target == [15, 16, 2]
    by_ids = explain.explain(SOUND, [1, 5, 7, 9, 15, 16])  # as they are
    assert by_ids.inputs["decoder_input_ids"][0] == 1


def test_what_whisper_does_not_say_is_not_what_it_is_held_to() -> None:
    explain = explainer("automatic-speech-recognition", "whisper")
    said = explain.explain(SOUND)
    own: Any = explain.model.generation_config
    own.suppress_tokens = [said.target[0]]
    try:
        other = explain.explain(SOUND)
    finally:
        own.suppress_tokens = None
    assert said.target[0] not in other.target
    assert other.agreement == said.agreement == 1.0


@pytest.mark.parametrize("kind", ["upper", "lower"])
def test_a_transcript_in_letters_that_are_not_there_is_refused_with_those_that_are(kind: str, tmp_path: Path) -> None:
    import json

    from transformers import Wav2Vec2CTCTokenizer

    letters = "ABCDEFGH" if kind == "upper" else "abcdefgh"
    known, other = (letters[:3], letters[:3].swapcase())
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, **{c: i + 5 for i, c in enumerate(letters)}}
    path = tmp_path / f"{kind}.json"
    path.write_text(json.dumps(vocabulary))
    processor = SimpleNamespace(
        feature_extractor=tiny_models_audio.extractor("wav2vec2"), tokenizer=Wav2Vec2CTCTokenizer(str(path))
    )
    explain = FourierExplainer(tiny_models_audio.build("wav2vec2", task="ctc"), processor, task="ctc")
    assert explain.explain(SOUND, known).target == [5, 6, 7]
    with pytest.raises(TargetError, match=f"write it as '{known}'"):
        explain.explain(SOUND, other)
    with pytest.raises(TargetError, match="does not know 'Z'"):
        explain.explain(SOUND, f"{known}Z")
