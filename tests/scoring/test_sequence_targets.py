"""Targets that are no single class, by hand: contrasts, spans, transcripts from text, and directions."""

import math

import pytest
import torch

from hf_fourier.errors import TargetError
from hf_fourier.scoring.heads import AnswerSpanHead, ContrastHead, Similarity, Transcript
from hf_fourier.scoring.heads.sequences import head_for_target
from hf_fourier.scoring.targets import Contrast, Direction, Typed
from tests.toy_scores import noise


class Letters:
    """A tokenizer of upper-case letters: A is 1, B is 2, …; others are unknown (0)."""

    unk_token_id: int | None = 0

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(c) - 64 if "A" <= c <= "E" else 0 for c in text]}

    def decode(self, ids, **options):
        return "".join(chr(64 + i) for i in ids) + ("!" if options.get("group_tokens", True) else "")


class Whole(Letters):
    """One that knows every letter, or does not say which it does not."""

    unk_token_id = None


class Delimited(Letters):
    word_delimiter_token = "|"


def test_a_transcript_from_text():
    head = Transcript(tokenizer=Letters())
    assert head.check("ABBA") == [1, 2, 2, 1]
    assert Transcript(tokenizer=Whole()).check("xA") == [0, 1]
    assert Transcript(tokenizer=Whole()).check(Typed("12")) == [0, 0]  # in a shell it is a text, not the token 12
    assert head.check(3) == [3]
    assert head.check([1, 2]) == [1, 2]
    assert head.check(None) is None
    with pytest.raises(TargetError, match="without a tokenizer"):
        Transcript().check("A")


def test_letters_that_a_tokenizer_does_not_know():
    head = Transcript(tokenizer=Letters())
    with pytest.raises(TargetError, match="write it as 'ABE'"):
        head.check("abE")
    with pytest.raises(TargetError, match=r"does not know 'x' 'z';"):
        head.check("AxzxB")


def test_a_transcript_in_words():
    frozen = torch.tensor([1, 2, 2, -1, -1])
    assert Transcript(tokenizer=Delimited()).name_target(frozen) == ([1, 2, 2], "ABB")  # equal letters stay two
    assert Transcript(tokenizer=Letters()).name_target(frozen) == ([1, 2, 2], "ABB!")
    assert Transcript().name_target(frozen) == ([1, 2, 2], "1 2 2")
    z = torch.full((5, 6), -9.0)
    z[[0, 1, 2, 3, 4], [1, 1, 0, 1, 3]] = 9.0
    ((text, confidence),) = Transcript(tokenizer=Delimited()).ranked(z)
    assert text == "AAC"  # repeated letters are one unless a blank is between them
    assert confidence == pytest.approx(1, abs=1e-6)


def test_another_blank():
    z = torch.full((1, 4, 3), -9.0)
    z[0, [0, 1, 2, 3], [0, 2, 0, 1]] = 9.0
    assert Transcript(blank=2).freeze(z, [None]).tolist() == [[0, 0, 1, -1]]
    assert Transcript(blank=0).freeze(z, [None]).tolist() == [[2, 1, -1, -1]]
    assert float(Transcript(blank=2).read(z, torch.tensor([[0, 0, 1, -1]])).value) == pytest.approx(0, abs=1e-6)


def test_a_transcript_needs_a_frame_between_equal_letters():
    z, head = noise(1, 4, 3), Transcript()
    assert head.freeze(z, [torch.tensor([1, 1, 2])]).tolist() == [[1, 1, 2, -1]]
    with pytest.raises(TargetError, match="needs 5 frames"):
        head.freeze(z, [torch.tensor([1, 1, 1])])
    with pytest.raises(TargetError, match="needs 5 frames"):
        head.freeze(z, [torch.tensor([1, 2, 1, 2, 1])])


def test_a_contrast_is_a_difference_of_two_logits():
    z = torch.tensor([[1.0, 3.0, 7.0], [3.0, 1.0, 7.0], [2.0, 2.0, 7.0]])
    head = ContrastHead({0: " no", 1: "yes ", 2: "other"})
    frozen = head.freeze(z, [Contrast(1, 0)] * 3)
    assert frozen.tolist() == [[1, 0, 1], [1, 0, -1], [1, 0, -1]]
    reading = head.read(z, frozen)
    assert reading.value.tolist() == [2.0, -2.0, 0.0]
    assert reading.confidence.tolist() == pytest.approx([1 / (1 + math.exp(-v)) for v in (2, -2, 0)])
    assert reading.agreement.tolist() == [1.0, 1.0, 1.0]
    assert head.read(-z, frozen).agreement.tolist() == [0.0, 0.0, 1.0]
    assert head.name_target(frozen[0]) == ([1, 0], "yes rather than no")
    named = head_for_target(head, "contrast")
    assert isinstance(named, ContrastHead)
    assert named.name_target(frozen[0])[1] == "yes rather than no"
    assert head_for_target(head, None) is head
    with pytest.raises(TargetError, match="2 predictions per example"):
        head.freeze(noise(1, 2, 3), [Contrast(0, 1)])


def test_a_span_in_words_and_ranked():
    head = AnswerSpanHead()
    assert head.name_target(torch.tensor([2, 2])) == ([2, 2], "token 2")
    assert head.name_target(torch.tensor([2, 4])) == ([2, 4], "tokens 2 to 4")
    z = noise(2, 6)
    p = z.softmax(-1)
    pairs = {(a, b): float(p[0, a] * p[1, b]) for a in range(6) for b in range(a, 6)}
    best = max(pairs, key=lambda pair: pairs[pair])
    ((words, confidence),) = head.ranked(z)
    assert words == head.name_target(torch.tensor(best))[1]
    assert confidence == pytest.approx(pairs[best])


def test_an_answer_has_two_tokens_to_choose_from():
    z, head = torch.full((1, 2, 4), -torch.inf), AnswerSpanHead()
    z[0, :, 1:3] = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert head.freeze(z, [None]).tolist() == [[1, 1]]
    z[0, 1, 2] = -torch.inf
    with pytest.raises(TargetError, match="a context of one token"):
        head.freeze(z, [None])


def test_the_side_of_a_direction():
    z, v = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([0.0, 2.0])
    head = Similarity()
    free = head.freeze(z, [Direction(v)] * 2)
    torch.testing.assert_close(free, torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.8, 0.0]]))
    sided = head.freeze(z, [Direction(v, threshold=0.5)] * 2)
    torch.testing.assert_close(sided, torch.tensor([[0.0, 1.0, 0.5, -1.0], [0.0, 1.0, 0.5, 1.0]]))

    def at(cosine):
        return torch.tensor([[math.sqrt(1 - cosine**2), cosine]] * 2)

    # Without a threshold a tenth of the clean cosine is kept; of a cosine of 0 nothing.
    assert head.read(at(0.8 * 1.09), free).agreement.tolist() == [0.0, 1.0]
    assert head.read(at(0.8 * 1.11), free).agreement.tolist() == [0.0, 0.0]
    assert head.read(at(0.8 * 0.91), free).agreement.tolist() == [0.0, 1.0]
    assert head.read(at(0.0), free).agreement.tolist() == [1.0, 0.0]
    assert head.read(at(0.51), sided).agreement.tolist() == [0.0, 1.0]
    assert head.read(at(0.49), sided).agreement.tolist() == [1.0, 0.0]
    edge = torch.tensor([[0.0, 1.0, 1.0, -1.0], [0.0, 1.0, 1.0, 1.0]])  # a cosine at the threshold is not above it
    assert head.read(at(1.0), edge).agreement.tolist() == [1.0, 0.0]
    at_edge = head.freeze(torch.tensor([[1.0, 0.0]]), [Direction(v, threshold=0.0)])
    assert at_edge[0, -1] == -1, "nor when it is frozen"
    assert head.read(at(0.3), sided).value.tolist() == pytest.approx([0.3, 0.3])
    assert head.read(at(0.3), sided).confidence.tolist() == pytest.approx([0.65, 0.65])
    assert head.name_target(free[0]) == (None, "direction")
    assert head.ranked(torch.tensor([3.0, 4.0])) == [("embedding", 5.0)]
