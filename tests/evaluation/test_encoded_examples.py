"""Which encoded examples an evaluation keeps between its methods."""

from hf_fourier.evaluation import encoded_examples
from hf_fourier.evaluation.encoded_examples import EncodedExamples
from tests.models.kinds import KINDS


def test_the_first_chunks_that_fit_are_kept_and_the_chunk_at_hand(monkeypatch):
    explainer = KINDS["text-classification"].make()
    texts = ["a b c", "a b d", "b c d", "c d a", "d a b", "a a b"]
    chunks = [slice(start, start + 2) for start in (0, 2, 4)]
    all_kept = EncodedExamples(explainer.wrapper, texts)
    first = [all_kept.of(chunk) for chunk in chunks]
    assert all(all_kept.of(chunk) is kept for chunk, kept in zip(chunks, first, strict=True))

    monkeypatch.setattr(encoded_examples, "MOST", 3 * sum(map(encoded_examples._bytes, first[0])) // 2)
    some = EncodedExamples(explainer.wrapper, texts)
    for _ in range(2):  # two methods
        turn = [some.of(chunk) for chunk in chunks]
        assert some.of(chunks[2]) is turn[2]
        assert some.of(chunks[0]) is turn[0]
        assert some.of(chunks[1]) is not turn[1]
    assert len(some._chunks) == 2
