"""Heads of targets that are no single class: contrasts, spans, transcripts, and directions in embedding space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
from torch.nn.functional import cosine_similarity, ctc_loss, normalize

from hf_fourier.errors import TargetError
from hf_fourier.scoring.heads.base import Head, Reading
from hf_fourier.scoring.heads.classification import Categorical
from hf_fourier.scoring.heads.log_odds import softmax_divergence
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.targets import IGNORED, AnswerSpan, Contrast, Direction, ResolvedTarget, Typed, checked_index
from hf_fourier.torch_state import as_before, in_float64, taken
from hf_fourier.typing import Float, Int, Num, Tensor, tensor_of

#: A cosine above this is that of an embedding with itself.
ITSELF = 1 - 1e-6
#: Without a threshold, a decision is kept while the cosine moves by at most this fraction of itself.
SAME_COSINE = 0.1


@dataclass
class ContrastHead(Head):
    """One class rather than another: s = log p(a) − log p(b), in which a softmax's normaliser cancels.

    The confidence is σ(s), which is p(a) / (p(a) + p(b)); the decision is the sign of s.

    Attributes:
        labels: The classes' names.
        named: Names classes that are not among them (tokens).
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    named: Callable[[int], str] | None = None
    name: str = Contrast.head
    target_types: ClassVar[tuple[type, ...]] = (Contrast,)

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Int[Tensor, "rows 3"]:
        """Both classes, and the side of the clean prediction (±1)."""
        if logits.ndim != 2:
            got = f"a contrast for a model with {logits.shape[1]} predictions per example"
            raise TargetError(got, "one prediction", "explain one of them by Position(position, label)")
        pairs = []
        for target in targets:
            if not isinstance(target, Contrast):
                raise TargetError(f"target {target!r} beside a contrast", "a Contrast", "explain them in two calls")
            pair = [checked_index(one, logits.shape[1], self.labels) for one in (target.this, target.other)]
            if pair[0] == pair[1]:
                raise TargetError(f"{target}, of a label with itself", "two different ones", "correct `target`")
            pairs.append(pair)
        index = to_device(torch.tensor(pairs), logits.device)
        side = torch.where(_gap(logits, index) > 0, 1, -1)
        return torch.cat([index, side.unsqueeze(1)], dim=1)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The difference of the two logits."""
        value = _gap(logits, frozen[:, :2].long())
        agreement = ((value > 0) == (frozen[:, 2] > 0)).float()
        return Reading(value, value, torch.ones_like(value), value.sigmoid(), agreement)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The Kullback-Leibler divergence over all classes."""
        rows, classes = len(logits), logits.shape[-1]
        return softmax_divergence(logits.reshape(rows, -1, classes), reference.reshape(rows, -1, classes))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """Both classes and their names."""
        a, b = int(frozen[0]), int(frozen[1])
        return [a, b], f"{self.label(a).strip()} rather than {self.label(b).strip()}"

    def label(self, index: int) -> str:
        """The name of a class or a token."""
        return super().label(index) if self.named is None else self.named(index)


def _gap(logits: Tensor, index: Tensor) -> Tensor:
    own = logits.gather(1, index)
    return own[:, 0] - own[:, 1]


def head_for_target(head: Head, name: str | None) -> Head:
    """The head that reads the logits of `head` for a kind of target or result, by its name."""
    return ContrastHead(head.labels, head.label) if name == Contrast.head else head


@dataclass
class AnswerSpanHead(Categorical):
    """Question answering: s = log p(start) + log p(end), of logits `(rows, 2, tokens)`; no span ends before it starts.

    Tokens that cannot be in an answer have logits of −inf.
    """

    name: str = "span"
    target_types: ClassVar[tuple[type, ...]] = (AnswerSpan,)

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Int[Tensor, "rows 2"]:
        """The first and the last token of each answer."""
        if logits.device.type == "cpu":
            for checked, refuse in self.doubts(logits, targets):
                refuse(checked)
        predicted = _best_span(logits)
        for row, target in enumerate(targets):
            if target is None:
                continue
            if not isinstance(target, AnswerSpan):
                raise TargetError(
                    f"target {target!r} for an answer", "AnswerSpan(start, end), its text, or None", "pass one of these"
                )
            ends = [checked_index(place, logits.shape[2], {}, "token") for place in (target.start, target.end)]
            if ends[0] > ends[1]:
                raise _outside(target)
            predicted[row] = to_device(torch.tensor(ends), logits.device)
        return predicted

    def doubts(
        self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]
    ) -> list[tuple[Tensor, Callable[[Tensor], None]]]:
        """Whether there are two tokens to choose from, and whether given answers are among those in the context."""

        def refuse_short(few: Tensor) -> None:
            if bool(few):
                got = "an answer in a context of one token, whose probability is always 1"
                raise TargetError(got, "at least two tokens to choose from", "pass a longer context")

        def refuse_outside(target: AnswerSpan, inside: Tensor) -> None:
            if not bool(inside):
                raise _outside(target)

        found: list[tuple[Tensor, Callable[[Tensor], None]]] = [
            ((logits.isfinite().sum(-1) < 2).any(), refuse_short),
        ]
        for row, target in enumerate(targets):
            if isinstance(target, AnswerSpan):
                ends = [checked_index(place, logits.shape[2], {}, "token") for place in (target.start, target.end)]
                both = torch.stack([logits[row, which, place] for which, place in enumerate(ends)])
                found.append((both.isfinite().all(), partial(refuse_outside, target)))
        return found

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The sum over both ends."""
        mean = super().read(logits, frozen)
        agreement = (_best_span(logits) == frozen).all(1).float()
        return Reading(2 * mean.value, 2 * mean.logit_margin, mean.dvalue_dmargin, (2 * mean.value).exp(), agreement)

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The first and the last token."""
        start, end = int(frozen[0]), int(frozen[1])
        return [start, end], f"token {start}" if start == end else f"tokens {start} to {end}"

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """The most probable answer of each row and its probability."""
        predicted = _best_span(logits)
        return predicted, logits.log_softmax(-1).gather(-1, predicted.unsqueeze(-1)).flatten(1).sum(1).exp()

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """The most probable answers."""
        return [[(self.name_target(row)[1], p)] for row, p in zip(best[0], best[1].tolist(), strict=True)]

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The most probable answer."""
        return self.name_best(*self.best(logits.unsqueeze(0)))[0]


def _outside(target: AnswerSpan) -> TargetError:
    return TargetError(f"{target}", "tokens of the context, in their order", "correct `target`")


def _best_span(logits: Float[Tensor, "rows 2 tokens"]) -> Int[Tensor, "rows 2"]:
    """The most probable start with an end that is not before it."""
    starts, ends = logits.detach().unbind(1)
    best = ends.flip(1).cummax(1)
    start = (starts + best.values.flip(1)).argmax(1, keepdim=True)
    end = ends.shape[1] - 1 - best.indices.flip(1).gather(1, start)
    return torch.cat([start, end], dim=1)


@dataclass
class Transcript(Head):
    """CTC: s is the log-probability of a transcript, summed over its alignments, per frame; logits `(rows, frames, n)`.

    Attributes:
        tokenizer: Names transcripts and takes them from text; None where only ids are known.
        blank: The index of the blank.
    """

    tokenizer: Any = None
    blank: int = 0
    name: str = "transcript"

    def check(self, target: Any) -> Any:
        """A transcript as text or as token ids; None for the clean greedy one."""
        if isinstance(target, Typed):
            target = target.text
        if isinstance(target, str):
            if self.tokenizer is None:
                raise TargetError("a transcript as text without a tokenizer", "token ids", "pass the whole processor")
            with taken(self.tokenizer):
                return self._spelt(target)
        resolved = super().check(target)
        return [resolved] if isinstance(resolved, int) else resolved

    def _spelt(self, text: str) -> list[int]:
        """The ids of a transcript.

        Raises:
            TargetError: If the tokenizer does not know some of its letters.
        """
        unknown = getattr(self.tokenizer, "unk_token_id", None)
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if unknown is None or unknown not in ids:
            return ids
        for other in (text.upper(), text.lower()):
            if unknown not in self.tokenizer(other, add_special_tokens=False)["input_ids"]:
                raise TargetError(
                    f"the transcript {text!r}, with letters that the tokenizer does not know",
                    "letters of its vocabulary",
                    f"write it as {other!r}",
                )
        strange = [c for c in text if unknown in self.tokenizer(c, add_special_tokens=False)["input_ids"]]
        some = " ".join(map(repr, dict.fromkeys(strange)))
        got = f"the transcript {text!r}, of which the tokenizer does not know {some or 'a part'}"
        raise TargetError(got, "letters of its vocabulary", "spell it with other letters, or pass token ids")

    def freeze(
        self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]
    ) -> Int[Tensor, "rows frames"]:
        """The transcripts' ids, padded with `IGNORED`."""
        predicted = self._greedy(logits)
        for row, target in enumerate(targets):
            if target is None:
                continue
            ids = torch.as_tensor(target)
            needed = len(ids) + int((ids[1:] == ids[:-1]).sum())
            if needed > logits.shape[1]:
                got = f"a transcript that needs {needed} frames"
                raise TargetError(got, f"at most {logits.shape[1]}", "shorten it")
            for one in ids.tolist():
                checked_index(one, logits.shape[2], {}, "token")
            predicted[row] = IGNORED
            predicted[row, : len(ids)] = to_device(ids.to(predicted.dtype), predicted.device)
        return predicted

    def _greedy(self, logits: Float[Tensor, "rows frames tokens"]) -> Int[Tensor, "rows frames"]:
        best = logits.argmax(-1)
        fresh = torch.ones_like(best, dtype=torch.bool)
        fresh[:, 1:] = best[:, 1:] != best[:, :-1]
        counted = fresh & (best != self.blank)
        ranks = (~counted).long().sort(dim=1, stable=True).indices  # what counts goes to the front, in its order
        return best.masked_fill(~counted, IGNORED).gather(1, ranks)

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The CTC sum, in float64: of a sure model its gradient cancels."""
        rows, frames, _ = logits.shape
        log_p = in_float64(logits).log_softmax(-1).transpose(0, 1)
        wanted, whole = frozen.to(log_p.device), torch.full((rows,), frames, device=log_p.device)
        lengths = (wanted != IGNORED).sum(1)
        loss = ctc_loss(log_p, wanted.clamp(min=0), whole, lengths, self.blank, reduction="none")
        value = as_before(-loss / frames, logits)
        predicted = self._greedy(logits.detach())
        agreement = (predicted == frozen).all(1).float()
        return Reading(value, value, torch.ones_like(value), value.exp(), agreement, predicted_mask=predicted)

    def divergence(
        self, logits: Float[Tensor, "rows ..."], reference: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]
    ) -> Float[Tensor, " rows"]:
        """The mean over the frames of the divergence of their tokens."""
        rows, classes = len(logits), logits.shape[-1]
        return softmax_divergence(logits.reshape(rows, -1, classes), reference.reshape(rows, -1, classes))

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """The transcript's ids and its text."""
        ids = [i for i in frozen.tolist() if i != IGNORED]
        return ids, self.text(ids)

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """The greedy transcript of each row and its probability per frame."""
        predicted = self._greedy(logits)
        return predicted, self.read(logits, predicted).value.exp()

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """The greedy transcripts."""
        return [[(self.name_target(row)[1], p)] for row, p in zip(best[0], best[1].tolist(), strict=True)]

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The greedy transcript and its probability per frame."""
        return self.name_best(*self.best(logits.unsqueeze(0)))[0]

    def text(self, ids: list[int]) -> str:
        """A transcript's ids as text, or as numbers without a tokenizer."""
        if self.tokenizer is None:
            return " ".join(map(str, ids))
        grouped = {"group_tokens": False} if hasattr(self.tokenizer, "word_delimiter_token") else {}
        return str(self.tokenizer.decode(ids, **grouped))


@dataclass
class Similarity(Head):
    """An embedding: s is its cosine with a given direction, the confidence is (1 + s) / 2.

    With a threshold the decision is its side; without one it is kept while the cosine moves by at most a tenth.
    """

    name: str = "direction"
    target_types: ClassVar[tuple[type, ...]] = (Direction,)

    def freeze(self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]) -> Float[Tensor, "rows ..."]:
        """The unit vector, the threshold or the clean cosine, and the clean side (±1, or 0 without a threshold)."""
        resolved = []
        for row, target in zip(logits, targets, strict=True):
            if not isinstance(target, Direction):
                got = f"target {target!r} for an embedding, which has no label"
                raise TargetError(got, "Direction(vector)", "pass Direction(explainer.predict(another).logits)")
            vector = tensor_of(target.vector).to(row.dtype).reshape(-1)
            if vector.shape != row.shape or not bool(vector.isfinite().all() and vector.any()):
                got = f"a direction of {vector.numel()} numbers"
                raise TargetError(got, f"{row.numel()} finite ones, not all 0", "pass predict(another).logits")
            vector = to_device(vector, row.device)
            cosine = cosine_similarity(row, vector, dim=0)
            edge, side = cosine, torch.zeros_like(cosine)
            if target.threshold is not None:
                edge = torch.full_like(cosine, target.threshold)
                side = 2 * (cosine > edge).to(cosine) - 1
            resolved.append(torch.cat([normalize(vector, dim=0), edge.view(1), side.view(1)]))
        if logits.device.type == "cpu":
            for checked, refuse in self.doubts(logits, targets):
                refuse(checked)
        return torch.stack(resolved)

    def doubts(
        self, logits: Float[Tensor, "rows ..."], targets: Sequence[ResolvedTarget]
    ) -> list[tuple[Tensor, Callable[[Tensor], None]]]:
        """Whether an embedding is compared with itself."""

        def refuse(own: Tensor) -> None:
            if bool(own):
                got = "the embedding's own direction, at which the gradient is zero"
                raise TargetError(got, "the embedding of another example", "pass predict(another).logits")

        found: list[tuple[Tensor, Callable[[Tensor], None]]] = []
        for row, target in zip(logits, targets, strict=True):
            if isinstance(target, Direction) and tensor_of(target.vector).numel() == row.numel():
                vector = to_device(tensor_of(target.vector).to(row.dtype).reshape(-1), row.device)
                found.append((cosine_similarity(row, vector, dim=0) > ITSELF, refuse))
        return found

    def read(self, logits: Float[Tensor, "rows ..."], frozen: Num[Tensor, "rows ..."]) -> Reading:
        """The cosine."""
        value = cosine_similarity(logits, frozen[:, :-2].to(logits), dim=1)
        edge, side = frozen[:, -2], frozen[:, -1]
        near = (value - edge).abs() <= SAME_COSINE * edge.abs()
        agreement = torch.where(side == 0, near, (value > edge) == (side > 0)).float()
        return Reading(value, value, torch.ones_like(value), (1 + value) / 2, agreement)

    def name_target(self, frozen: Num[Tensor, "..."]) -> tuple[Any, str]:
        """There is no class."""
        return None, "direction"

    def best(self, logits: Float[Tensor, "rows ..."], most: int = 5) -> tuple[Tensor, ...]:
        """The length of each embedding."""
        return (logits.flatten(1).norm(dim=1, keepdim=True),)

    def name_best(self, *best: Tensor) -> list[list[tuple[str, float]]]:
        """The embeddings' lengths."""
        return [[("embedding", length)] for (length,) in best[0].tolist()]

    def ranked(self, logits: Float[Tensor, "..."], most: int = 5) -> list[tuple[str, float]]:
        """The embedding's length."""
        return [("embedding", float(logits.norm()))]
