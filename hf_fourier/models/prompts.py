"""Prompts as generation sees them: without the mark that a template sets behind them, cut at their beginning, chats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.tokenization import decode_tokens, restored
from hf_fourier.typing import Bool, Tensor

#: Notes on a chat.
TEMPLATED = "the chat was formatted by the tokenizer's chat template; the text that it adds is held constant"
UNTOLD = "the chat was formatted by the tokenizer's chat template; the text that it adds was transformed, too"
#: What stands for a message while its place is found: characters that texts do not have.
_PLACE = "\ue000\ue001\ue002"


def kept_part(
    tokenizer: Any, ids: Sequence[int], added: Bool[Tensor, " tokens"], limit: int | None, closed: bool = True
) -> tuple[list[int], tuple[str, ...]]:
    """Which tokens of a prompt are kept, and notes on the others.

    A template may close the text (`[SEP]`, `</s>`): behind that a language model begins another one. Of a prompt that
    is too long the end is kept, and what the template sets in front.

    Args:
        tokenizer: Names tokens.
        ids: All tokens.
        added: Which of them the template set.
        limit: How many the model takes.
        closed: Whether what the template set behind the text closes it; of a chat it opens the answer.

    Returns:
        The places of the tokens that stay, ascending, and notes.
    """
    places, text = list(range(len(ids))), [i for i, template in enumerate(added.tolist()) if not template]
    notes: tuple[str, ...] = ()
    if closed and text and text[-1] + 1 < len(ids):
        left = " ".join(decode_tokens(tokenizer, ids[text[-1] + 1 :]))
        notes += (f"{left}, which the tokenizer adds after a text, was removed: the token after the text is explained",)
        places = places[: text[-1] + 1]
    if limit is not None and len(places) > limit:
        start = min(text[0], limit - 1) if closed and text else 0
        notes += (f"a prompt of {len(places)} tokens was cut to the model's {limit}: its end was kept",)
        places = [*places[:start], *places[len(places) - limit + start :]]
    return places, notes + _begun_twice(tokenizer, ids)


def ended(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    """A note on ids that end with the mark of an end."""
    ends = {getattr(tokenizer, f"{role}_token_id", None) for role in ("eos", "sep")} - {None}
    if tokenizer is None or not len(ids) or int(ids[-1]) not in ends:
        return ()
    mark = decode_tokens(tokenizer, [int(ids[-1])])[0]
    return (f"the ids end with {mark}: the token after it is explained; remove it to explain the token after the text",)


def not_begun(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    """A note on ids without the mark that the tokenizer sets in front of a text."""
    begin = getattr(tokenizer, "bos_token_id", None)
    if begin is None or not len(ids) or int(ids[0]) == begin:
        return ()
    with restored(tokenizer):
        sets = list(tokenizer("a", verbose=False)["input_ids"][:1]) == [begin]
    mark = decode_tokens(tokenizer, [begin])[0]
    return (f"the ids do not begin with {mark}, which the tokenizer puts before a text",) if sets else ()


def _begun_twice(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    if len(ids) < 2 or ids[0] != ids[1] or ids[0] != (begin := getattr(tokenizer, "bos_token_id", None)):
        return ()
    mark = decode_tokens(tokenizer, [begin])[0]
    return (f"the prompt begins with {mark} twice: the tokenizer adds one by itself",)


def written_out(tokenizer: Any, chat: Any) -> tuple[dict[str, list[int]], Tensor, Tensor | None, tuple[str, ...]]:
    """A chat as a prompt, by the tokenizer's own template: the assistant's turn follows, or its last message goes on.

    Args:
        tokenizer: With a chat template.
        chat: Messages with `role` and `content`, or `{"messages": [...]}`.

    Returns:
        The tokenizer's output, which tokens the template set, the message that each token is of (−1 for none; None
        where it is not known), and notes.

    Raises:
        InputError: If there is no template, or it does not take these messages.
    """
    messages = [dict(message) for message in (chat["messages"] if isinstance(chat, Mapping) else chat)]
    if not getattr(tokenizer, "chat_template", None):
        got = "a chat, for a tokenizer without a chat template"
        raise InputError(got, "one text", "write the prompt as one str, or set tokenizer.chat_template")
    goes_on = messages[-1]["role"] == "assistant"

    def write(some: list[dict[str, Any]]) -> str:
        return str(
            tokenizer.apply_chat_template(
                some, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
            )
        )

    try:
        text = write(messages)
    except Exception as error:  # templates are programs of others
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        got = f"a chat that the tokenizer's template refuses ({reason})"
        do = "correct them, or write the prompt as one str"
        raise InputError(got, "messages with roles that it knows", do) from error
    spans = _spans(text, messages, write)
    places = spans is not None and getattr(tokenizer, "is_fast", False)
    with restored(tokenizer):
        how = {"add_special_tokens": False, "return_offsets_mapping": places, "verbose": False}
        encoding = dict(tokenizer(text, **how))
    if spans is None or not places:
        return encoding, torch.zeros(len(encoding["input_ids"]), dtype=torch.bool), None, (UNTOLD,)
    ends = encoding.pop("offset_mapping")
    whose = [next((i for i, (a, b) in enumerate(spans) if start < b and stop > a), -1) for start, stop in ends]
    message = torch.tensor(whose)
    return encoding, message < 0, message, (TEMPLATED,)


def _spans(
    text: str, messages: Sequence[dict[str, Any]], write: Callable[[list[dict[str, Any]]], str]
) -> list[tuple[int, int]] | None:
    """Where each message's own text stands in the written chat; None where that is not known.

    Its words may stand in the template as well (a role, the default of the system's message), so each message is found
    by writing the chat with a mark in its place.
    """
    spans = []
    for number, message in enumerate(messages):
        if not isinstance(message["content"], str) or not message["content"].strip():
            return None
        try:
            marked = write([*messages[:number], {**message, "content": _PLACE}, *messages[number + 1 :]])
        except Exception:  # of a template that reads what messages say
            return None
        before, _, after = marked.partition(_PLACE)
        end = len(text) - len(after)
        own = text[len(before) : end]
        if _PLACE in after or _PLACE not in marked or text != before + own + after or not own.strip():
            return None
        spans.append((len(before) + len(own) - len(own.lstrip()), end - len(own) + len(own.rstrip())))
    return spans
