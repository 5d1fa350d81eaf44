"""Which encoded examples an evaluation keeps between its methods."""

from dataclasses import replace

import pytest

from hf_fourier import seeding
from hf_fourier.domains import DOMAINS
from hf_fourier.evaluation import encoded_examples
from hf_fourier.evaluation.encoded_examples import EncodedExamples, restored
from hf_fourier.methods import METHODS
from hf_fourier.models.encoding import encode
from hf_fourier.scoring.clean_passes import CleanPass
from hf_fourier.seeding import fingerprint
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


def test_the_fingerprint_of_an_example_is_computed_once_for_all_methods(monkeypatch):
    explainer = KINDS["text-classification"].make()
    texts, hashed = ["a b c", "a b d", "b c d"], []
    several = [explainer.explain(text, method="magnitude").key for text in texts]

    def counted(tensors):
        hashed.append(1)
        return fingerprint(tensors)

    monkeypatch.setattr(seeding, "fingerprint", counted)
    examples = EncodedExamples(explainer.wrapper, texts).of(slice(0, 3))
    methods = [METHODS.parse(name) for name in ("magnitude", "tracking", "random")]
    results = [explainer.explain_encoded(examples, [None] * 3, one, DOMAINS.parse("fourier")) for one in methods]
    assert [[result.key for result in own] for own in results] == [several] * 3
    assert len(hashed) == 3


def test_an_example_with_other_tensors_has_its_own_fingerprint():
    explainer = KINDS["text-classification"].make()
    (example,) = EncodedExamples(explainer.wrapper, ["a b c"]).of(slice(0, 1))
    assert replace(example, notes=("a note",)).lazy_key is example.known_key
    inputs = {name: tensor + 1 for name, tensor in example.inputs.items()}
    assert replace(example, inputs=inputs).key == fingerprint([inputs[name] for name in sorted(inputs)])


@pytest.mark.parametrize(("name", "known"), [("patches", True), ("speech", False)])
def test_clean_passes_are_known_of_the_same_examples_alone(name: str, known: bool) -> None:
    """A model that writes an output gets it as an input: its clean pass is another one."""
    kind = KINDS[name]
    explain, given = kind.make(), kind.example()
    results = explain.explain(given, method="magnitude", target=kind.target)
    encoded = encode(explain.wrapper, given)[1]
    for example in encoded:
        example.clean = CleanPass()
    found = restored(explain.wrapper, results, encoded)
    assert [one.clean is example.clean for one, example in zip(found, encoded, strict=True)] == [known] * len(results)
