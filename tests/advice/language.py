"""Advice about what is said and asked: continuations, outputs, chats and transcripts, and targets that were typed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

from hf_fourier import FourierExplainer
from hf_fourier.cli.targets import parse_targets
from hf_fourier.scoring.targets import Continuation, Contrast, Typed
from tests.advice.case import Case, reader
from tests.advice.texts import TEXT, of
from tests.models import test_audio_heads, tiny_models, tiny_tokenizers

CHAT = [{"role": "user", "content": "w7 w8"}]
#: A template that knows users and the assistant alone.
TEMPLATE = (
    "{% for message in messages %}{% if message.role not in ('user', 'assistant') %}"
    "{{ raise_exception('no such role') }}{% endif %}{{ message.content }} {% endfor %}"
)


def _next(target: Any = None, example: Any = TEXT) -> Any:
    return of("text-generation", "gpt2").explain(example, target)


def _chatted(example: Any, template: str | None = TEMPLATE) -> Any:
    explain = FourierExplainer(tiny_models.build("text-generation", "gpt2"), tiny_tokenizers.tokenizer("gpt"))
    explain.processor.chat_template = template
    return explain.explain(example)


def _both_ways(target: Any, **options: Any) -> Any:
    """A masked model's body that predicts the next token."""
    from transformers import BertLMHeadModel

    config = tiny_models.build("fill-mask", "bert").config
    for name, value in options.items():
        setattr(config, name, value)
    model = BertLMHeadModel(config).eval()
    tiny_models.enliven(model)
    return FourierExplainer(model, tiny_tokenizers.tokenizer("gpt"), task="text-generation").explain(TEXT, target)


def _output(target: Any) -> Any:
    return of("text2text-generation", "bart").explain(TEXT, target)


def _transcript(target: Any) -> Any:
    return test_audio_heads.explainer("ctc", "wav2vec2").explain(test_audio_heads.SOUND, target)


def _evaluated(examples: Any) -> Any:
    explain = FourierExplainer(tiny_models.build("text-generation", "gpt2"), tiny_tokenizers.tokenizer("gpt"))
    explain.processor.chat_template = TEMPLATE
    return explain.explain_dataset(examples, tempfile.mkdtemp() + "/run")


@dataclass
class _Named:
    """An example whose first token reads "1"."""

    names: tuple[str, ...] = ("1", "w7")


def _placed(typed: str) -> Any:
    wrapper: Any = of("token-classification").wrapper
    target: Any = parse_targets(typed)
    number = isinstance(target.position, int) and not isinstance(target.position, Typed)
    return target.position if number else wrapper._token_number(_Named(), target.position)


CASES = [
    Case(
        "choose others, or pass 3 to explain that token itself",
        lambda: _next("zebra"),
        lambda: [_next("w9"), _next(3)],
    ),
    Case(
        "load it with is_decoder=True, or ask for one next token",
        lambda: _both_ways(Continuation("w7 w8")),
        lambda: [_both_ways(Continuation("w7 w8"), is_decoder=True), _both_ways("w7")],
    ),
    Case(
        "pass ' a text' or its ids",
        lambda: _next(Continuation({"a": 1})),
        lambda: [_next(Continuation(one)) for one in (" w7 w8", [7, 8])],
    ),
    Case(
        "write label:7 or index:7",
        lambda: _next(parse_targets("contrast:7|8")),
        lambda: [_next(parse_targets("contrast:index:7|index:8")), _next(parse_targets("contrast:label:w7|label:w8"))],
    ),
    Case(
        "write at:index:1 or at:label:1",
        lambda: _placed("at:1"),
        lambda: [_placed("at:index:1"), _placed("at:label:1")],
    ),
    Case(
        "explain each output by itself",
        lambda: _output(Contrast("w7", "w8")),
        lambda: [_output("w7"), _output("w8")],
    ),
    Case(
        "write the prompt as one str, or set tokenizer.chat_template",
        lambda: _chatted(CHAT, template=None),
        lambda: [_chatted("w7 w8", template=None), _chatted(CHAT)],
    ),
    Case(
        "correct them, or write the prompt as one str",
        lambda: _chatted([{"role": "poet", "content": "w7"}]),
        lambda: [_chatted(CHAT), _chatted("w7")],
    ),
    Case(
        "pass what is to be read as one str, such as the last message's content",
        lambda: reader().explain(CHAT),
        lambda: reader().explain(CHAT[-1]["content"]),
    ),
    Case(
        "put it in a list: [messages]",
        lambda: _evaluated(CHAT),
        lambda: _evaluated([CHAT]),
    ),
    Case("write it as 'w7 w8'", lambda: _transcript("W7 W8"), lambda: _transcript("w7 w8")),
    Case(
        "spell it with other letters, or pass token ids",
        lambda: _transcript("zebra"),
        lambda: [_transcript("w9"), _transcript([9, 10])],
    ),
]
