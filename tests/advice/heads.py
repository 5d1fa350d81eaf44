"""Advice about heads and their targets: what is read of a model's outputs, and what is asked of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.heads.sequences import ContrastHead
from hf_fourier.scoring.targets import AnswerSpan, Contrast, Direction, Position
from tests.advice.case import PICTURES, Case, net, reader
from tests.advice.texts import TEXT, Misled, ids, of
from tests.models import tiny_models, tiny_models_vision, tiny_tokenizers

LABELS = {0: "ham", 1: "spam", 2: "neither"}


class Once(Misled):
    """A classifier of ids that is no model of transformers, with any config."""

    def __init__(self, config: Any = None, classes: int = 3) -> None:
        super().__init__("table")
        self.config = SimpleNamespace(id2label=LABELS) if config is None else config
        self.out = torch.nn.Linear(8, classes)


class Headless(Once):
    """One that returns states alone."""

    def forward(self, input_ids: torch.Tensor) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=self.table(input_ids))


def _once(target: Any = None, model: torch.nn.Module | None = None, **options: Any) -> Any:
    model = Once(**options) if model is None else model
    return FourierExplainer(model, task="text-classification").explain(ids(7, 8, 9), target)


def _labelled(labels: Any, problem: str | None = None, classes: int = 3) -> Any:
    return _once(config=SimpleNamespace(id2label=labels, problem_type=problem), classes=classes)


def attributed(forward: Any = None, target: Any = None, **options: Any) -> Any:
    return attribute(net() if forward is None else forward, PICTURES, target, **options)


class _Parts:
    """Outputs that show no tensor."""

    __slots__ = ("hidden",)

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden

    def scores(self) -> torch.Tensor:
        """A number for each row."""
        return self.hidden.flatten(1)[:, 0]


def _deep(target: Any = None, outputs: Any = None) -> Any:
    """Depth by its name, or as `outputs` makes it."""
    model: Any = tiny_models_vision.build("depth-estimation", "glpn")
    own = model.forward
    if outputs is not None:
        model.forward = lambda pixel_values: outputs(own(pixel_values).predicted_depth)
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    return FourierExplainer(model, task="depth-estimation").explain({"pixel_values": pixels}, target)


def _tagged(target: Any) -> Any:
    model = tiny_models.build("token-classification", "bert", id2label=LABELS)
    return FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXT, target)


def _embedded(target: Any, model: torch.nn.Module | None = None) -> Any:
    explain = of("feature-extraction")
    if model is not None:
        explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"), task="feature-extraction")
    return explain.explain(TEXT, target)


def _another() -> torch.Tensor:
    return of("feature-extraction").predict("w11 w12").logits  # type: ignore[no-any-return]


def _typed(number: str, *labels: str) -> Any:
    from hf_fourier.cli.targets import parse_targets

    return reader(labels).explain(TEXT, parse_targets(number))


CASES = [
    Case(
        "choose one of them, or use attribute(forward, x)",
        lambda: FourierExplainer(reader().model, reader().processor, task="summarization"),
        lambda: [FourierExplainer(reader().model, reader().processor, task="text-classification"), attributed()],
    ),
    Case(
        "explain a model with a head (or return logits from yours), or what there is, as by "
        "target=lambda out: out['last_hidden_state'][:, 0, 0]",
        lambda: _once(model=Headless()),
        lambda: [_once(), _once(lambda out: out["last_hidden_state"][:, 0, 0], model=Headless())],
    ),
    Case(
        "explain a model with a head (or return logits from yours), or what there is by a callable target, "
        "outputs -> (rows,)",
        lambda: attributed(lambda x: SimpleNamespace(parts=_Parts(net()(x)))),
        lambda: attributed(lambda x: SimpleNamespace(parts=_Parts(net()(x))), lambda outputs: outputs.parts.scores()),
    ),
    Case(
        "choose a task that it has a head for, or explain what there is, as by target=lambda out: out['logits'][:, 0]",
        lambda: _embedded(Direction(_another()), reader().model),
        lambda: [reader().explain(TEXT), _embedded(lambda out: out["logits"][:, 0], reader().model)],
    ),
    Case(
        "choose a task that it has a head for, or explain what there is by a callable target, outputs -> (rows,)",
        lambda: _deep(outputs=_Parts),
        lambda: [_deep(), _deep(lambda outputs: outputs.scores(), outputs=_Parts)],
    ),
    Case(
        "let the model return them by name (`model.config.return_dict = True`), or explain what there is, as by "
        "target=lambda out: out[0][:, 0, 0]",
        lambda: _deep(outputs=lambda depth: (depth,)),
        lambda: [_deep(), _deep(lambda out: out[0][:, 0, 0], outputs=lambda depth: (depth,))],
    ),
    Case(
        "let the model return them by name (`model.config.return_dict = True`), or explain what there is by a callable "
        "target, outputs -> (rows,)",
        lambda: _deep(outputs=lambda depth: (_Parts(depth),)),
        lambda: [_deep(), _deep(lambda outputs: outputs[0].scores(), outputs=lambda depth: (_Parts(depth),))],
    ),
    Case("set `model.config.id2label`", lambda: _labelled({}), lambda: _labelled(LABELS)),
    Case(
        "set `model.config.id2label` the right way round, from numbers to names",
        lambda: _labelled({"ham": 0, "spam": 1, "neither": 2}),
        lambda: _labelled(LABELS),
    ),
    Case(
        "set `model.config.id2label = {i: str(i) for i in range(3)}`, or their real names (and "
        "`model.config.problem_type = 'regression'` if they are values)",
        lambda: _labelled({i: f"name {i}" for i in range(10)}),
        lambda: [_labelled({i: str(i) for i in range(3)}), _labelled(LABELS), _labelled(LABELS, "regression")],
    ),
    Case(
        "set `model.config.id2label = {0: 'yes'}`, with `model.config.problem_type = 'multi_label_classification'` "
        "for a sigmoid or 'regression' for a value",
        lambda: _labelled({0: "no", 1: "yes"}, classes=1),
        lambda: [_labelled({0: "yes"}, problem, classes=1) for problem in ("multi_label_classification", "regression")],
    ),
    Case(
        "pass a class index",
        lambda: reader(("Spam", "SPAM", "ham")).explain(TEXT, "spam"),
        lambda: reader(("Spam", "SPAM", "ham")).explain(TEXT, 1),
    ),
    Case(
        "for the class index pass 2, a number and no text",
        lambda: reader().explain(TEXT, "2"),
        lambda: reader().explain(TEXT, 2),
    ),
    Case(
        "write index:1 or label:1",
        lambda: _typed("1", "1", "0", "2"),
        lambda: [_typed("index:1", "1", "0", "2"), _typed("label:1", "1", "0", "2")],
    ),
    Case(
        "for one target per example pass targets=",
        lambda: reader().explain([TEXT, TEXT], [0, 1]),
        lambda: reader().explain([TEXT, TEXT], targets=[0, 1]),
    ),
    Case(
        "pass one target, or with targets= one for each example in a list",
        lambda: reader().explain([TEXT, TEXT], {"a": 1}),
        lambda: [reader().explain([TEXT, TEXT], 1), reader().explain([TEXT, TEXT], targets=[1, 0])],
    ),
    Case(
        "choose one of them",
        lambda: reader().explain(TEXT, AnswerSpan(0, 1)),
        lambda: reader().explain(TEXT, Contrast(0, 1)),
    ),
    Case(
        "leave `Position` out",
        lambda: reader().explain(TEXT, Position(0, "spam")),
        lambda: reader().explain(TEXT, "spam"),
    ),
    Case(
        "explain one of them by Position(position, label)",
        lambda: _tagged(Contrast("ham", "spam")),
        lambda: _tagged(Position(1, "ham")),
    ),
    Case(
        "pass Contrast('this', 'other')",
        lambda: reader().explain(TEXT, Contrast(["ham"], "spam")),
        lambda: reader().explain(TEXT, Contrast("ham", "spam")),
    ),
    Case(
        "explain them in two calls",
        lambda: ContrastHead().freeze(torch.rand(2, 3), [Contrast(0, 1), 2]),
        lambda: [
            ContrastHead().freeze(torch.rand(1, 3), [Contrast(0, 1)]),
            Categorical().freeze(torch.rand(1, 3), [2]),
        ],
    ),
    Case(
        "correct the callable",
        lambda: reader().explain(TEXT, lambda outputs: outputs.logits),
        lambda: reader().explain(TEXT, lambda outputs: outputs.logits[:, 0]),
    ),
    Case(
        "explain the logit by a callable target",
        lambda: Categorical().freeze(torch.rand(2, 1), [None, None]),
        lambda: attributed(lambda x: net()(x)[:, :1], lambda logits: logits[:, 0]),
    ),
    Case(
        "explain that number, as by target=lambda out: out[:, 0]",
        lambda: attributed(lambda x: net()(x)[:, :1]),
        lambda: attributed(lambda x: net()(x)[:, :1], lambda out: out[:, 0]),
    ),
    Case(
        "explain one number of each row, as by target=lambda out: out[:, 0, 0]",
        lambda: attributed(lambda x: net()(x).view(-1, 3, 1).expand(-1, 3, 2)),
        lambda: attributed(lambda x: net()(x).view(-1, 3, 1).expand(-1, 3, 2), lambda out: out[:, 0, 0]),
    ),
    Case(
        "return a row of logits for each row of the input",
        lambda: attributed(lambda x: net()(x).sum()),
        attributed,
    ),
    Case(
        "return a row of logits for each row of the input, the batch first",
        lambda: attribute(lambda x: net()(x).mean(0, keepdim=True), PICTURES[:2]),
        attributed,
    ),
    Case(
        "put the batch first: return logits.T",
        lambda: attributed(lambda x: torch.cat([net()(x), net()(x)[:, :1]], 1).T),
        lambda: attributed(lambda x: torch.cat([net()(x), net()(x)[:, :1]], 1)),
    ),
    Case("for the class index pass 0 or 1", lambda: reader().explain(TEXT, True), lambda: reader().explain(TEXT, 1)),
    Case(
        "for a class index pass a whole number, without a decimal point",
        lambda: reader().explain(TEXT, 1.0),
        lambda: reader().explain(TEXT, 1),
    ),
    Case(
        "pass a longer context",
        lambda: of("question-answering").explain(("w5 w6", "w7"), "w7"),
        lambda: of("question-answering").explain(("w5 w6", TEXT), "w7"),
    ),
    Case(
        "pass one of these",
        lambda: of("question-answering").explain(("w5 w6", TEXT), 3),
        lambda: [of("question-answering").explain(("w5 w6", TEXT), one) for one in (AnswerSpan(2, 3), "w8", None)],
    ),
    Case(
        "pass Direction(explainer.predict(another).logits)",
        lambda: _embedded(None),
        lambda: _embedded(Direction(_another())),
    ),
    Case(
        "pass predict(another).logits",
        lambda: _embedded(Direction(torch.zeros(32))),
        lambda: _embedded(Direction(_another())),
    ),
    Case(
        "pass the signed gradient before channels are pooled, or lift='magnitude'",
        lambda: reader().from_maps([TEXT], [torch.rand(3)], lift="gradient"),
        lambda: [
            reader().from_maps([TEXT], [torch.randn(3, 32)], lift="gradient"),
            reader().from_maps([TEXT], [torch.rand(3)], lift="magnitude"),
        ],
    ),
]
