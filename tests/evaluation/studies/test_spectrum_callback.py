"""A model's spectrum while it trains: logged to all reporters, the same numbers as afterwards, training unchanged."""

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainerState, TrainingArguments

from hf_fourier import FourierExplainer, SpectrumCallback
from hf_fourier.errors import InputError, TargetError
from tests.models import tiny_models, tiny_tokenizers

TEXTS = tiny_tokenizers.texts(6)
LABELS = [0, 1, 2, 0, 1, 2]


class Reporter(TrainerCallback):
    """What every reporter of a trainer receives."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append((state.global_step, dict(logs)))


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizers.tokenizer("bert")


def trained(tokenizer, folder, with_spectrum, **options):
    """A trainer after four steps, with two evaluations; the callback, and what a reporter received."""
    model = tiny_models.build("text-classification", "bert", num_labels=3)
    rows = [{**tokenizer(text), "labels": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    arguments = TrainingArguments(
        str(folder), max_steps=4, eval_steps=2, eval_strategy="steps", per_device_train_batch_size=2, report_to=[],
        learning_rate=1e-2, use_cpu=True, disable_tqdm=True, save_strategy="no", seed=0,
    )  # fmt: skip
    reporter = Reporter()
    trainer = Trainer(
        model, arguments, train_dataset=rows, eval_dataset=rows, processing_class=tokenizer, callbacks=[reporter]
    )
    callback = None
    if with_spectrum:
        callback = SpectrumCallback(trainer, TEXTS, LABELS, **options)
        trainer.add_callback(callback)
    trainer.train()
    return trainer, callback, reporter


def test_it_logs_to_every_reporter_and_trains_on_as_without_it(tokenizer, tmp_path):
    trainer, callback, reporter = trained(tokenizer, tmp_path / "a", True)
    logged = {step: logs for step, logs in reporter.logs if "eval_spectrum/clean" in logs}
    assert sorted(logged) == sorted(callback.spectra) == [2, 4]
    assert any("eval_spectrum/clean" in logs for logs in trainer.state.log_history)

    afterwards = FourierExplainer(trainer.model, tokenizer).spectrum(TEXTS, labels=LABELS)
    assert logged[4]["eval_spectrum/clean"] == pytest.approx(afterwards.clean_accuracy().mean)
    for name in ("band-stop", "band-pass", "low-pass", "high-pass"):
        for band, one in zip(afterwards.bands, afterwards.accuracy(name), strict=True):
            assert logged[4][f"eval_spectrum/{name}/{band.low:g}-{band.high:g}"] == pytest.approx(one.mean)

    without, _, other = trained(tokenizer, tmp_path / "b", False)
    assert not any(name.startswith("eval_spectrum") for _, logs in other.logs for name in logs)
    for (name, own), plain in zip(trainer.model.named_parameters(), without.model.parameters(), strict=True):
        assert torch.equal(own, plain), name
        assert own.requires_grad == plain.requires_grad


def test_the_evaluation_has_them_among_its_metrics(tokenizer, tmp_path):
    trainer, callback, _ = trained(tokenizer, tmp_path, True, filters=["band-stop"], every=2)
    assert list(callback.spectra) == [2]  # the first of two
    metrics = trainer.evaluate()
    names = [name for name in metrics if name.startswith("eval_spectrum/")]
    assert "eval_spectrum/clean" in names
    assert {name.split("/")[1] for name in names} == {"clean", "empty", "band-stop"}
    assert all(0 <= metrics[name] <= 1 for name in names)


class OfSets:
    """A trainer that hands its callback the evaluations of two data sets."""

    processing_class = None

    def __init__(self, tokenizer):
        self.model = tiny_models.build("text-classification", "bert", num_labels=3)
        self.processing_class, self.logs = tokenizer, []

    def log(self, values):
        self.logs.append(values)


def test_several_data_sets_of_one_step_are_one_evaluation(tokenizer):
    trainer = OfSets(tokenizer)
    callback = SpectrumCallback(trainer, TEXTS[:2], LABELS[:2], filters="band-stop", every=2)
    accompanied = []
    for step in (2, 4, 6, 6):
        for name in ("a", "b"):
            metrics = {f"eval_{name}_loss": 0.5}
            callback.on_evaluate(None, TrainerState(global_step=step), None, metrics=metrics)
            accompanied.append("eval_spectrum/clean" in metrics)
    assert accompanied == [True, True, False, False, True, True, False, False]
    assert list(callback.spectra) == [2, 6]
    assert len(trainer.logs) == 2


@pytest.mark.parametrize("label", [9, "no such label"])
def test_labels_that_the_model_lacks_are_refused_before_the_first_step(tokenizer, label):
    trainer = OfSets(tokenizer)
    callback = SpectrumCallback(trainer, TEXTS[:2], [0, label])
    with pytest.raises(TargetError):
        callback.on_train_begin(None, TrainerState(), None, model=trainer.model)
    SpectrumCallback(trainer, TEXTS[:2], [0, "LABEL_1"]).on_train_begin(None, TrainerState(), None)


def test_a_filter_may_be_named_alone():
    assert SpectrumCallback(None, TEXTS, filters="band-stop").filters == ("band-stop",)


@pytest.mark.parametrize(
    ("data", "labels", "options", "message"),
    [
        ([], None, {}, "at least one"),
        (TEXTS, [0], {}, "1 labels for 6 examples"),
        (TEXTS, None, {"filters": ["band"]}, "some of band-pass"),
        (TEXTS, None, {"every": 0}, "at least 1"),
    ],
)
def test_mistakes_are_found_before_training(data, labels, options, message):
    with pytest.raises(InputError, match=message):
        SpectrumCallback(None, data, labels, **options)
