"""Advice about texts, choices and outputs, their tokens and the strings that they come in."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.models.tokenization import TokenHead
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Position
from tests.advice.case import Case, reader
from tests.models import tiny_models, tiny_tokenizers

TEXT = tiny_tokenizers.text(7, 8, 9)
BATCH = dict(tiny_models.batch())


@cache
def of(task: str, name: str = "bert", tokenizer: bool = True, **changes: Any) -> FourierExplainer:
    """An explainer of a tiny text model."""
    kind = {"gpt2": "gpt", "bart": "roberta"}.get(name, "bert")
    model = tiny_models.build(task, name, **changes)
    return FourierExplainer(model, tiny_tokenizers.tokenizer(kind) if tokenizer else None, task=task)


def ids(*content: int) -> dict[str, torch.Tensor]:
    """What a tokenizer would have made of them."""
    return {"input_ids": torch.tensor([[tiny_models.BEGIN, *content, tiny_models.END]])}


def path(text: str = TEXT) -> Path:
    """A file of a text."""
    place = Path(tempfile.mkdtemp()) / "letter.txt"
    place.write_text(text, encoding="utf-8")
    return place


class Blind(torch.nn.Module):
    """A classifier that counts its ids and embeds none."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Linear(1, 3)
        self.config = SimpleNamespace(id2label={0: "ham", 1: "spam", 2: "neither"})

    def forward(self, input_ids: torch.Tensor) -> Any:
        from transformers.modeling_outputs import SequenceClassifierOutput

        return SequenceClassifierOutput(logits=self.scale(input_ids.float().mean(1, keepdim=True)))


class Twice(Blind):
    """A classifier that embeds its ids twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = torch.nn.Embedding(64, 8), torch.nn.Linear(8, 3)

    def forward(self, input_ids: torch.Tensor) -> Any:
        from transformers.modeling_outputs import SequenceClassifierOutput

        return SequenceClassifierOutput(logits=self.out((self.table(input_ids) + self.table(input_ids)).mean(1)))


class Misled(Twice):
    """A classifier that embeds its ids once, and declares another table."""

    def __init__(self, declared: str = "other") -> None:
        super().__init__()
        self.other, self.declared = torch.nn.Embedding(64, 8), declared

    def get_input_embeddings(self) -> torch.nn.Module:
        """What it says."""
        return getattr(self, self.declared)  # type: ignore[no-any-return]

    def forward(self, input_ids: torch.Tensor) -> Any:
        from transformers.modeling_outputs import SequenceClassifierOutput

        return SequenceClassifierOutput(logits=self.out(self.table(input_ids).mean(1)))


def _own(model: torch.nn.Module) -> Any:
    return FourierExplainer(model, task="text-classification").explain(ids(7, 8, 9))


def _in_vectors(model: Any) -> Any:
    """The same through `attribute(forward, x)`, at the vectors."""
    with torch.no_grad():
        x = model.table(ids(7, 8, 9)["input_ids"])
    return attribute(lambda v: model.out(v.mean(1)), x)


def _by_hand(scale: torch.nn.Linear) -> Any:
    return attribute(lambda v: scale(v.mean(1, keepdim=True)), ids(7, 8, 9)["input_ids"].float())


def _writes(target: Any, start: int | None = tiny_models.END) -> Any:
    explain = of("text2text-generation", "bart")
    model: Any = explain.model
    before = [(config, config.decoder_start_token_id) for config in (model.config, model.generation_config)]
    try:
        for config, _ in before:
            config.decoder_start_token_id = start
        return explain.explain(TEXT, target)
    finally:
        for config, own in before:
            config.decoder_start_token_id = own


def _mute(target: Any) -> Any:
    """A writer that ends at once where nobody says what it is to write."""
    explain = of("text2text-generation", "bart", forced_bos_token_id=None)
    model: Any = explain.model
    model.generation_config.suppress_tokens = [i for i in range(tiny_models.VOCABULARY) if i != tiny_models.END]
    return explain.explain(TEXT, target)


class Silent(torch.nn.Module):
    """A model that has no `generate`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = of("text2text-generation", "bart").model
        self.config = self.inner.config
        self.generation_config = self.inner.generation_config

    def get_input_embeddings(self) -> torch.nn.Module:
        """The table of the model inside."""
        return self.inner.get_input_embeddings()  # type: ignore[no-any-return,operator]

    def forward(self, input_ids: Any = None, attention_mask: Any = None, decoder_input_ids: Any = None) -> Any:
        """As the model inside."""
        return self.inner(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids)


def _silent(target: Any) -> Any:
    return FourierExplainer(Silent(), tiny_tokenizers.tokenizer("roberta"), task="text2text-generation").explain(
        TEXT, target
    )


def _unlimited() -> FourierExplainer:
    tokenizer = tiny_tokenizers.tokenizer("bert")
    tokenizer.model_max_length = "long"
    return FourierExplainer(tiny_models.build("text-classification", "bert"), tokenizer)


CASES = [
    Case(
        "check the tokenizer, or pass {'input_ids': tensor}",
        lambda: _unlimited().explain(TEXT),
        lambda: _unlimited().explain(ids(14, 15)),
    ),
    Case(
        "pass example.decode('utf-8')",
        lambda: reader().explain([TEXT.encode()]),
        lambda: reader().explain([TEXT.encode().decode("utf-8")]),
    ),
    Case(
        "pass path.read_text(encoding='utf-8')",
        lambda: reader().explain([path()]),
        lambda: reader().explain([path().read_text(encoding="utf-8")]),
    ),
    Case(
        "leave out what is missing, as in series.dropna()",
        lambda: reader().explain(_series()),
        lambda: reader().explain(_series().dropna()),
    ),
    Case("pass one, or a list of them", lambda: reader().explain(3), lambda: reader().explain([TEXT, TEXT])),
    Case(
        "several examples go in a list",
        lambda: reader().explain((TEXT, TEXT, TEXT)),
        lambda: reader().explain([TEXT, TEXT, TEXT]),
    ),
    Case(
        "pass text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')",
        lambda: reader().explain("w7 \ud800 w8"),
        lambda: reader().explain("w7 \ud800 w8".encode("utf-16", "surrogatepass").decode("utf-16", "replace")),
    ),
    Case(
        "pass open(name, encoding='utf-8').read(), or for a table explain_dataset(name); for the name itself pass "
        "tokenizer(…, return_tensors='pt')",
        lambda: reader().explain(str(path())),
        lambda: [
            reader().explain(open(str(path()), encoding="utf-8").read()),  # noqa: SIM115
            reader().explain_dataset(_table(), tempfile.mkdtemp() + "/run"),
            reader().explain(tiny_tokenizers.tokenizer("bert")([str(path())], return_tensors="pt")),
        ],
    ),
    Case(
        "pass [path.read_text(encoding='utf-8') for path in sorted(pathlib.Path(name).glob('*.txt'))]; for the name "
        "itself pass tokenizer(…, return_tensors='pt')",
        lambda: reader().explain(str(path().parent)),
        lambda: [
            reader().explain([one.read_text(encoding="utf-8") for one in sorted(path().parent.glob("*.txt"))]),
            reader().explain(tiny_tokenizers.tokenizer("bert")([str(path().parent)], return_tensors="pt")),
        ],
    ),
    Case("pass a longer text", lambda: reader().explain(""), lambda: reader().explain(TEXT)),
    Case(
        "pass the tokenizer's output",
        lambda: reader().explain({"input_ids": torch.rand(2, 5)}),
        lambda: reader().explain(tiny_tokenizers.tokenizer("bert")([TEXT], return_tensors="pt")),
    ),
    Case(
        "pass the tokenizer's own output",
        lambda: reader().explain({**BATCH, "attention_mask": BATCH["attention_mask"][:, :-1]}),
        lambda: reader().explain(tiny_tokenizers.tokenizer("bert")([TEXT], return_tensors="pt")),
    ),
    Case(
        "use the model's own tokenizer",
        lambda: reader().explain(ids(7, -1)),
        lambda: reader().explain(reader().processor(TEXT, return_tensors="pt")),
    ),
    Case(
        "put a mask for each into the text, and pass their tokens in a list",
        lambda: of("fill-mask").explain(f"{TEXT} [MASK]", "w7 w8"),
        lambda: of("fill-mask").explain(f"{TEXT} [MASK] [MASK]", ["w7", "w8"]),
    ),
    Case("name one of them", lambda: _token("w7 w8"), lambda: [_token("w7"), _token("w8")]),
    Case(
        "use the model's own tokenizer, or model.resize_token_embeddings(100)",
        lambda: reader().explain(ids(7, 99)),
        lambda: [reader().explain(reader().processor(TEXT, return_tensors="pt")), _resized()],
    ),
    Case(
        "pass return_tensors='pt'",
        lambda: reader().explain(tiny_tokenizers.tokenizer("bert")(["w7", TEXT])),
        lambda: reader().explain(tiny_tokenizers.tokenizer("bert")(["w7", TEXT], return_tensors="pt", padding=True)),
    ),
    Case(
        "pass the processor's output",
        lambda: reader().explain({"attention_mask": torch.ones(1, 5).long()}),
        lambda: reader().explain(reader().processor(TEXT, return_tensors="pt")),
    ),
    Case(
        "pass the processor's own output (return_tensors='pt')",
        lambda: reader().explain({"input_ids": torch.tensor([1, 7, 2])}),
        lambda: reader().explain(reader().processor(TEXT, return_tensors="pt")),
    ),
    Case(
        "pass Continuation(…) for all of them, or name one",
        lambda: of("text-generation", "gpt2").explain(TEXT, "w7 w8"),
        lambda: [of("text-generation", "gpt2").explain(TEXT, one) for one in (Continuation("w7 w8"), "w7", "w8")],
    ),
    Case(
        "pass the tokenizer",
        lambda: of("text-generation", "gpt2", tokenizer=False).explain(BATCH, "w7"),
        lambda: of("text-generation", "gpt2").explain(BATCH, "w7"),
    ),
    Case(
        "pass the tokenizer",
        lambda: of("text-generation", "gpt2", tokenizer=False).explain(BATCH, Continuation("w7")),
        lambda: of("text-generation", "gpt2").explain(BATCH, Continuation("w7")),
    ),
    Case(
        "pass the tokenizer",
        lambda: of("question-answering", tokenizer=False).explain(BATCH, "w7"),
        lambda: of("question-answering").explain(("w5 w6", TEXT), "w7"),
    ),
    Case(
        "pass the tokenizer",
        lambda: of("text2text-generation", "bart", tokenizer=False).explain(BATCH, "w7"),
        lambda: of("text2text-generation", "bart").explain(TEXT, "w7"),
    ),
    Case(
        "change the continuation",
        lambda: of("text-generation", "gpt2").explain(TEXT, Continuation("w7 " * 60)),
        lambda: of("text-generation", "gpt2").explain(TEXT, Continuation("w7 w8")),
    ),
    Case(
        "pass the tokenizer to FourierExplainer",
        lambda: of("fill-mask", tokenizer=False).explain(BATCH),
        lambda: of("fill-mask").explain(BATCH),
    ),
    Case(
        "put the mask in the text",
        lambda: of("fill-mask").explain(TEXT, "w7"),
        lambda: of("fill-mask").explain(f"{TEXT} [MASK]", "w7"),
    ),
    Case(
        "correct `target`, or pass a number",
        lambda: of("token-classification").explain(TEXT, Position("w33")),
        lambda: [of("token-classification").explain(TEXT, Position(one)) for one in ("w8", 1)],
    ),
    Case(
        "correct `target`, or pass a Span",
        lambda: of("question-answering").explain(("w5 w6", TEXT), "w33"),
        lambda: [of("question-answering").explain(("w5 w6", TEXT), one) for one in ("w8", AnswerSpan(3, 3))],
    ),
    Case("explain it through attribute(forward, x)", lambda: _own(Twice()), lambda: _in_vectors(Twice())),
    Case(
        "explain it through attribute(forward, x) on a tensor of your choice",
        lambda: _own(Blind()),
        lambda: _by_hand(Blind().scale),
    ),
    Case(
        "correct get_input_embeddings(), or explain it through attribute(forward, x)",
        lambda: _own(Misled()),
        lambda: [_own(Misled("table")), _in_vectors(Misled())],
    ),
    Case(
        "pass ('…', ['…', '…'])",
        lambda: of("multiple-choice").explain(TEXT),
        lambda: of("multiple-choice").explain((TEXT, ["w7 w8", "w9"])),
    ),
    Case("pass the output as the target", lambda: _silent(None), lambda: _silent("w7 w8")),
    Case("pass the output as the target", lambda: _mute(None), lambda: _mute("w7 w8")),
    Case("correct `target`", lambda: _writes(3), lambda: [_writes(one) for one in ("w7", [7], None)]),
    Case(
        "set `model.config.decoder_start_token_id`",
        lambda: _writes("w7", start=None),
        lambda: _writes("w7", start=tiny_models.END),
    ),
]


def _token(label: str) -> Any:
    return TokenHead(tiny_tokenizers.tokenizer("bert")).check(label)


def _resized() -> Any:
    model = tiny_models.build("text-classification", "bert")
    model.resize_token_embeddings(100)  # type: ignore[operator]
    return FourierExplainer(model).explain(ids(7, 99))


def _series() -> Any:
    import pandas as pd

    return pd.Series([TEXT, None, TEXT])


def _table() -> str:
    place = Path(tempfile.mkdtemp()) / "table.csv"
    place.write_text(f"text\n{TEXT}\n{TEXT}\n")
    return str(place)
