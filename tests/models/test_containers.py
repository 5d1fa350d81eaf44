"""Models of `transformers` whose outputs come in other containers, under every head."""

import functools
import re
from types import SimpleNamespace

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import ModelError
from hf_fourier.scoring.targets import Direction
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_models_audio, tiny_models_segmentation, tiny_models_vision, tiny_tokenizers
from tests.models.laws import ROW
from tests.toy_scores import noise


def _sound(task):
    return lambda: (tiny_models_audio.build("wav2vec2", task=task), {"input_values": torch.randn(2, 1200)})


#: By head: a model, and a batch as its processor makes it.
HEADS = {
    **{
        task: lambda task=task: (tiny_models.build(task, "bert"), tiny_models.batch(masks=task == "fill-mask"))
        for task in ("text-classification", "token-classification", "question-answering", "fill-mask",
                     "feature-extraction")
    },
    "text-generation": lambda: (tiny_models.build("text-generation", "gpt2"), tiny_models.batch()),
    "multiple-choice": lambda: (
        tiny_models.build("multiple-choice", "bert"), {n: torch.stack([t, t.flip(0)], 1) for n,
        t in tiny_models.batch().items()}
    ),
    "image-classification": lambda: (tiny_models.build("image-classification", "vit"),
                                     {"pixel_values": torch.randn(2, 3, 32, 32)}),
    **{
        task: lambda task=task: (tiny_models_vision.build(task, next(iter(tiny_models_vision.MODELS[task]))),
        tiny_models_vision.inputs(task))
        for task in tiny_models_vision.MODELS
    },
    "image-segmentation": lambda: (tiny_models_segmentation.build("segformer"),
    {"pixel_values": tiny_models_segmentation.inputs("segformer")}),
    "audio-classification": _sound("audio-classification"), "ctc": _sound("ctc"),
    "audio-frame-classification": _sound("audio-frame-classification"), "audio-xvector": _sound("audio-xvector"),
    "audio-feature-extraction": _sound("audio-feature-extraction"),
}  # fmt: skip
#: Those that read `logits` and nothing else.
LOGITS = [
    task for task in HEADS
    if "feature" not in task and task not in ("question-answering", "audio-xvector", "depth-estimation",
    "object-detection", "universal-segmentation", "zero-shot-image-classification")
]  # fmt: skip


def explained(task, wrap=None):
    torch.manual_seed(0)
    model, batch = HEADS[task]()
    if wrap is not None:
        own = model.forward

        @functools.wraps(own)
        def forward(*args, **kwargs):
            return wrap(own(*args, **kwargs))

        model.forward = forward
    return results(model, task, batch)


def results(model, task, batch):
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert") if task == "fill-mask" else None, task=task)
    target = None
    if "feature" in task or "xvector" in task:  # embeddings have a direction to be asked for
        first = explain.wrapper.example_batch(explain.wrapper.encode_batch(batch)[:1], ExampleRng(0, [0]))
        width = first.logits(first.forward(first.signal, ROW), ROW).shape[-1]
        target = Direction(noise(width, dtype=torch.float32))
    return explain.explain(batch, target, batch_size=3)


def alike(some, others):
    for own, plain in zip(some, others, strict=True):
        assert (own.target, own.label, own.value) == (plain.target, plain.label, plain.value)
        assert torch.equal(own.scores, plain.scores)


@pytest.mark.parametrize("task", list(HEADS))
def test_plain_dicts(task):
    alike(explained(task, dict), explained(task))


@pytest.mark.parametrize("task", list(HEADS))
def test_objects(task):
    alike(explained(task, lambda outputs: SimpleNamespace(**outputs)), explained(task))


@pytest.mark.parametrize("task", list(HEADS))
def test_a_config_that_asks_for_tuples(task):
    torch.manual_seed(0)
    model, batch = HEADS[task]()
    model.config.return_dict = False
    try:
        model(**batch)
    except AttributeError:  # of transformers' own, whose inner models hand on what they have not
        with pytest.raises(ModelError, match="tuple") as caught:
            results(model, task, batch)
        assert "model.config.return_dict = True" in caught.value.hint
        model.config.return_dict = True
    as_it_was = model.config.return_dict
    alike(results(model, task, batch), explained(task))
    assert model.config.return_dict is as_it_was


@pytest.mark.parametrize("task", LOGITS)
@pytest.mark.parametrize("form", ["tensor", "loss first", "None first"])
def test_logits_alone(task, form):
    first = {"tensor": lambda z: z, "loss first": lambda z: (z.sum(), z), "None first": lambda z: [None, z]}[form]
    alike(explained(task, lambda outputs: first(outputs.logits)), explained(task))


@pytest.mark.parametrize("task", ["text-classification", "image-classification", "audio-classification",
                                  "video-classification"])  # fmt: skip
@pytest.mark.parametrize("shape", [(-1, 1, 3), (-1, 3, 1, 1)])
def test_entries_beside_the_classes(task, shape):
    alike(explained(task, lambda outputs: outputs.logits.view(shape)), explained(task))


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
@pytest.mark.parametrize("name", ["bert", "vit"])
def test_one_number_a_row(name, problem):
    task = "text-classification" if name == "bert" else "image-classification"
    batch = tiny_models.batch() if name == "bert" else {"pixel_values": torch.randn(2, 3, 32, 32)}
    answers = []
    for flat in (False, True):
        model = tiny_models.build(task, name, num_labels=1, problem_type=problem)
        if flat:
            own = model.forward
            model.forward = functools.wraps(own)(lambda own=own, **given: own(**given).logits[:, 0])
        answers.append(FourierExplainer(model, task=task).explain(batch))
    alike(*answers)


@pytest.mark.parametrize("task", [
    "question-answering", "depth-estimation", "object-detection", "audio-xvector", "zero-shot-image-classification",
    "universal-segmentation", "image-feature-extraction", "text-classification",
])  # fmt: skip
def test_outputs_that_hold_something_else_are_refused_with_a_target_that_works(task):
    def wrap(outputs):
        first = next(v for v in outputs.values() if isinstance(v, torch.Tensor) and v.ndim > 1)
        return {"something": first}

    with pytest.raises(ModelError, match="something") as caught:
        explained(task, wrap)
    (advised,) = re.findall(r"target=(lambda out: \S+(?: [^;,]\S*)*)", caught.value.hint)
    torch.manual_seed(0)
    model, batch = HEADS[task]()
    own = model.forward
    model.forward = functools.wraps(own)(lambda **given: wrap(own(**given)))
    told = FourierExplainer(model, task=task).explain(batch, target=eval(advised))
    assert task == "depth-estimation" or all(one.gradient.abs().max() > 0 for one in told)  # which a ReLU may end
