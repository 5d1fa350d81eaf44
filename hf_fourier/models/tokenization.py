"""Words and tokens: how a tokenizer spells them, which ones it does not know, and heads that name tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from hf_fourier.errors import TargetError
from hf_fourier.models.generation import Rules
from hf_fourier.models.inputs.text import whole
from hf_fourier.results.words import bytes_written
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.heads.base import Reading
from hf_fourier.scoring.targets import ResolvedTarget
from hf_fourier.torch_state import taken
from hf_fourier.typing import Float, Int, Num, Tensor

#: The marks of a space at the beginning of a token, in byte-level and in SentencePiece vocabularies.
MARKS = ("Ġ", "▁")
#: The mark of a word's end in classic BPE.
CLOSES = "</w>"
#: A note names another spelling from this multiple of the target's probability on, and from this probability on.
FAR, WORTH = 10.0, 0.01
#: Unknown words that a note names, and how much of each.
MOST_NAMED, MOST_OF_EACH = 8, 40


class TokenHead(Categorical):
    """A softmax over the vocabulary; tokens are named by the tokenizer.

    Args:
        tokenizer: Names the tokens; None where only ids are known.
        several: The advice for a target of more than one token.

    Attributes:
        rules: The tokens that generation suppresses; the others are renormalized.
    """

    def __init__(self, tokenizer: Any, several: str = "name one of them") -> None:
        super().__init__({}, "token")
        self.tokenizer, self.several, self.rules = tokenizer, several, Rules()

    def fits(self, logits: Tensor) -> tuple[str, ...]:
        """A note where the tokenizer has more tokens than the model; the reverse is usual."""
        known = len(self.tokenizer) if hasattr(self.tokenizer, "__len__") else 0
        if known <= logits.shape[-1]:
            return ()
        sizes = f"the tokenizer has {known} tokens and the model {logits.shape[-1]}"
        return (f"{sizes}: the model lacks the last ones; if the tokenizer is another model's, the names are wrong",)

    def _index(self, label: str) -> int:
        if self.tokenizer is None:
            raise TargetError(f"token {label!r} without a tokenizer", "a token's index", "pass the tokenizer")
        ids = ids_of(self.tokenizer, label)
        if len(ids) != 1:
            known = self.tokenizer.get_vocab().get(label)
            if known is not None:
                return int(known)
            pieces = [self.label(i) for i in ids]
            raise TargetError(f"{label!r}, which is {len(ids)} tokens {pieces}", "one token", self.several)
        known_words(self.tokenizer, label, ids)
        return ids[0]

    def label(self, index: int) -> str:
        """The token as text."""
        return str(index) if self.tokenizer is None else decode_tokens(self.tokenizer, [index])[0]

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Int[Tensor, "rows ..."]:
        """The token of each softmax, as generation chooses where no target is given."""
        return super().freeze(self.rules.applied(logits), targets)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """log p of the frozen tokens, among those that generation may say and themselves."""
        return super().read(self.rules.applied(logits, frozen.clamp(min=0).long()), frozen)

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """One row's likeliest tokens with their probabilities."""
        return super().ranked(self.rules.applied(logits.unsqueeze(0))[0], most)

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """Probabilities and ids of the likeliest tokens of each row."""
        allowed = self.rules.applied(logits)
        best = allowed.reshape(len(logits), -1, logits.shape[-1])[:, 0].softmax(-1).topk(min(most, logits.shape[-1]))
        return best.values, best.indices


class OutputHead(TokenHead):
    """The tokens of an output, named as one text."""

    def name_target(self, frozen: Tensor) -> tuple[Any, str]:
        """The ids and the text."""
        ids = [int(i) for i in frozen]
        if self.tokenizer is None:
            return ids, " ".join(map(str, ids))
        words = self.tokenizer.decode(ids, skip_special_tokens=True) or self.tokenizer.decode(ids)
        return ids, str(words).strip()

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The likeliest token at each place, given those before, with their mean probability."""
        return self.name_best(*self.best(logits.unsqueeze(0)))[0]

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """The log p and the id of the likeliest token at each place."""
        best = self.rules.applied(logits).log_softmax(-1).max(-1)
        return best.values, best.indices

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """One text for each row, with its mean probability."""
        pairs = zip(*best, strict=True)
        return [[(self.name_target(ids.reshape(-1))[1], float(log_p.mean().exp()))] for log_p, ids in pairs]


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """A text's ids without special tokens.

    Raises:
        TargetError: If there is no tokenizer.
    """
    if tokenizer is None:
        raise TargetError(f"{text!r} without a tokenizer", "token numbers", "pass the tokenizer")
    with restored(tokenizer):
        return list(tokenizer(whole(text), add_special_tokens=False, verbose=False)["input_ids"])


def unknown_id(tokenizer: Any) -> int | None:
    """The id that stands for unknown words alone; None where there is none, or another mark has it too."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    others = [getattr(tokenizer, f"{role}_token_id", None) for role in ("pad", "mask", "bos", "eos", "cls", "sep")]
    return None if unknown is None or unknown in others else int(unknown)


def known_words(tokenizer: Any, text: str, ids: Sequence[int]) -> None:
    """Check that a target has no words that the tokenizer reads as its mark for unknown ones.

    Raises:
        TargetError: If there is one.
    """
    unknown = unknown_id(tokenizer)
    if unknown is None or unknown not in ids or str(tokenizer.unk_token) in text:
        return
    words = ", ".join(map(repr, unknown_words(tokenizer, [text])))
    got = f"target {text!r}, of which the tokenizer reads {words} as {tokenizer.unk_token}"
    raise TargetError(got, "words of its vocabulary", f"choose others, or pass {unknown} to explain that token itself")


def unknown_words(tokenizer: Any, texts: Sequence[str]) -> list[str]:
    """The words of some texts that became the mark for unknown ones, each once, in their order."""
    unknown, mark, found = unknown_id(tokenizer), str(tokenizer.unk_token), []
    for text in texts:
        with restored(tokenizer):
            if getattr(tokenizer, "is_fast", False):
                how = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
                read = tokenizer(text, **how)
                pairs = zip(read["input_ids"], read["offset_mapping"], strict=True)
                found += [text[start:stop].strip() for one, (start, stop) in pairs if one == unknown]
            else:
                found += [word for word in text.split() if unknown in ids_of(tokenizer, word)] or [text]
    return list(dict.fromkeys(word[:MOST_OF_EACH] for word in found if word and word != mark))


def unknown_note(tokenizer: Any, ids: Any, texts: Sequence[str] = ()) -> tuple[str, ...]:
    """A note on words that the tokenizer does not know: which, or only how many where there is no text."""
    mark = getattr(tokenizer, "unk_token_id", None)
    if mark is None or mark not in ids or (unknown := unknown_id(tokenizer)) is None:  # asked last: it is slow
        return ()
    if not texts:
        many = int((torch.as_tensor(ids) == unknown).sum())
        said = f"{many} of {len(ids)} tokens stand for words that are not in the vocabulary ({tokenizer.unk_token})"
        return (said,)
    words = unknown_words(tokenizer, texts)
    if not words:  # the mark itself was written
        return ()
    more = ", …" if len(words) > MOST_NAMED else ""
    named = ", ".join(map(repr, words[:MOST_NAMED]))
    return (f"not in the vocabulary, read as {tokenizer.unk_token}: {named}{more}",)


def decode_tokens(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Each token as text: byte-level pieces decoded, with the tokenizer's own form where a piece is not whole."""
    decoded = [tokenizer.decode([i]) for i in ids]
    named = _own_forms(tokenizer, ids)
    return [token if not text or "\ufffd" in text else text for token, text in zip(named, decoded, strict=True)]


def token_names(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The tokens of a text in order, as text, with a space where a word begins if the vocabulary marks this.

    Decoding single tokens loses the marks of SentencePiece ("▁" in front) and of classic BPE ("</w>" behind). Bytes of
    a character that is several tokens are written as "<0xC3>".
    """
    own, names = _own_forms(tokenizer, ids), list[str]()
    closed = any(form.endswith(CLOSES) for form in own)
    for i, form in enumerate(own):
        text = tokenizer.decode([ids[i]])
        name = bytes_written(form) if "\ufffd" in text else text or form
        begins = form.startswith(MARKS[1]) or (closed and (i == 0 or own[i - 1].endswith(CLOSES)))
        names.append(f" {name.lstrip(MARKS[1]).strip(' ')}" if begins else name)
    return names


def _own_forms(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Each token as the vocabulary writes it."""
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    return [str(i) if token is None else str(token) for i, token in zip(ids, tokens, strict=True)]


def spelt(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of some tokens with the space that they begin with, which decoding may leave out."""
    tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(ids))]
    text = str(tokenizer.decode(list(ids)))
    return f" {text}" if tokens and tokens[0].startswith(MARKS[1]) and not text.startswith(" ") else text


def respelt(tokenizer: Any, text: str, ids: Sequence[int]) -> tuple[str, ...]:
    """A note on a target that is explained in another spelling than given."""
    own = spelt(tokenizer, ids)
    same = "".join(own.split()) == "".join(text.split())
    if same and not (own.startswith(" ") and not text.startswith(" ")):  # many tokenizers do not read spaces
        return ()
    return (f"the target {text!r} was taken as {own!r}, the tokenizer's spelling",)


def spellings(tokenizer: Any, ids: Sequence[int]) -> tuple[int, ...]:
    """The first token of a target, and the tokens that differ from it by the space in front or by capitals."""
    if not ids or tokenizer is None:
        return ()
    piece = str(tokenizer.convert_ids_to_tokens([ids[0]])[0])
    body = piece.lstrip("".join(MARKS))
    forms = [mark + form for mark in ("", *MARKS) for form in (body, body.lower(), body.capitalize(), body.upper())]
    others = list(dict.fromkeys(form for form in forms if form not in (piece, "", *MARKS)))
    found = tokenizer.convert_tokens_to_ids(others)
    real = [i for i in found if i is not None]
    own = dict(zip(real, tokenizer.convert_ids_to_tokens(real), strict=True))
    return (int(ids[0]), *(int(i) for form, i in zip(others, found, strict=True) if own.get(i) == form))


def likelier(tokenizer: Any, forms: Sequence[int], log_p: Float[Tensor, " forms"]) -> tuple[str, ...]:
    """A note where the model prefers another spelling of a target by far.

    Args:
        tokenizer: Names them.
        forms: The target's first token, and the others.
        log_p: How likely each is.
    """
    p = log_p.exp()
    best = int(p[1:].argmax()) + 1 if len(forms) > 1 else 0
    if best == 0 or p[best] < WORTH or p[best] < FAR * p[0]:
        return ()
    target, other = (spelt(tokenizer, [forms[i]]) for i in (0, best))
    note = f"the target begins with {target!r} (p = {p[0]:.2g}); {other!r} is far likelier here (p = {p[best]:.2g})"
    return (f"{note}: pass that to explain it",)


def compared_spellings(
    tokenizer: Any, forms: Sequence[Sequence[int]], logits: Tensor, frozen: Tensor, first: bool
) -> tuple[str, ...]:
    """Notes on one example's targets against their other spellings.

    Args:
        tokenizer: Names tokens.
        forms: Of each target, as `spellings` gives them.
        logits: The example's, of one place or of several.
        frozen: Its resolved target.
        first: Whether only the first of several places is looked at, since a longer target goes on from there.
    """
    places = logits.reshape(-1, logits.shape[-1])
    notes: tuple[str, ...] = ()
    for spellings in forms:
        chosen = places[:1]
        if not first and frozen.ndim and len(frozen) == len(places) > 1:
            chosen = places[frozen.to(places.device) == spellings[0]]
        log_p = chosen.log_softmax(-1)[:, list(spellings)].mean(0).cpu()
        notes += likelier(tokenizer, spellings, log_p)
    return notes


def remarks_of(
    batch: Any, tokenizer: Any, logits: Tensor, frozen: Tensor, numbers: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    """Notes on the targets of some examples of a batch against their other spellings.

    Args:
        batch: With the `spellings` of each example's targets.
        tokenizer: Names tokens.
        logits: Of each row, as the head reads them.
        frozen: Their resolved targets.
        numbers: Which example each row is of.
    """
    notes = {}
    for row, number in enumerate(numbers):
        if tokenizer is not None and any(len(forms) > 1 for forms in batch.spellings[number]):
            first = batch.known_targets is not None
            notes[number] = compared_spellings(tokenizer, batch.spellings[number], logits[row], frozen[row], first)
    return notes


@contextmanager
def restored(tokenizer: Any) -> Iterator[None]:
    """Inside, a tokenizer may be called, by no other thread; its backend's truncation and padding are then as before.

    A call sets both for the tokenizer as a whole: a text could be cut as another thread's is.
    """
    with taken(tokenizer):
        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if not hasattr(backend, "enable_truncation"):
            yield
            return
        truncation, padding = backend.truncation, backend.padding
        try:
            yield
        finally:
            if backend.truncation != truncation:
                backend.no_truncation() if truncation is None else backend.enable_truncation(**truncation)
            if backend.padding != padding:
                backend.no_padding() if padding is None else backend.enable_padding(**padding)
