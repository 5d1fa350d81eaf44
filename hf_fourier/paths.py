"""What reaches an answer beside the leaf: ids that a model reads a second way, and padding that it does not leave out.

A leaf that is made of ids carries everything only where the model reads them nowhere else. Per-layer embeddings, hashed
n-grams, experts that are chosen by token, or a decoder that is fed the ids once more go around it. So the ids are
exchanged under a fixed leaf, once for each explainer: one forward pass of one example. Rows of a batch that arrive
padded are asked once more without their padding, one forward pass each. A language model is asked once whether its
`generate` sees a prompt as its plain forward pass does: some set a mask behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_fourier.adapters.base import Adapter, Encoded
from hf_fourier.attribution import Attribution
from hf_fourier.batching import Packer, is_out_of_memory
from hf_fourier.engine import Request, score_of
from hf_fourier.errors import FourierError
from hf_fourier.seeding import Draw, fingerprint

#: A score that moves by less, of itself or of 1, has not moved.
STILL = 1e-4
#: A log-probability that differs by more is that of another question.
OTHER = 0.05
#: What is said where the leaf does not carry everything.
SECOND_PATH = (
    "the model reads its token ids a second way, beside the embedding that is transformed: "
    "what goes that way is held constant, and no feature stands for it"
)


@dataclass
class Paths:
    """What was found of one model so far.

    Attributes:
        second: Whether its ids reach the answer beside the leaf; None while no example could tell.
        generates: Whether `generate` reads prompts in another way; None while no example could tell.
        padding: How far the score moves without padding, by the fingerprints of the example and its settled target.
    """

    second: bool | None = None
    generates: bool | None = None
    padding: dict[tuple[int, int], float] = field(default_factory=dict)

    def tell(self, adapter: Adapter, requests: Sequence[Request], results: Sequence[Attribution]) -> None:
        """Add what has to be said to the notes of results, asking the model where it is not known yet.

        What that costs is kept in their provenance, as `checks`.
        """
        for request, result in zip(requests, results, strict=True):
            said = []
            if self.second is None and (other := adapter.reordered(request.example)) is not None:
                moved = _moved(adapter, other, request, result)
                self.second = None if moved is None else moved > STILL
            if self.second:
                said.append(SECOND_PATH)
            if self.generates is not False:
                said += self._of_generation(adapter, request.example, result)
            stripped = adapter.stripped(request.example)
            if stripped is not None:
                said += self._of_padding(adapter, stripped, request, result)
            if said:
                result.provenance = {**result.provenance, "notes": [*result.provenance["notes"], *said]}

    def _of_generation(self, adapter: Adapter, example: Encoded, result: Attribution) -> list[str]:
        single = result.frozen is not None and result.frozen.ndim == 0 and not result.frozen.is_floating_point()
        found = adapter.generated(example, int(result.frozen)) if single and result.frozen is not None else None
        if found is None:
            return []
        _counted(result, 1)
        log_p, other = found
        self.generates = abs(log_p - result.value) > OTHER
        if not self.generates:
            return []
        p, own = math.exp(log_p), math.exp(result.value)
        said = f"generate() reads a prompt in another way than the forward pass that is explained: it expects {other!r}"
        return [f"{said}, and {result.label!r} with p = {p:.2g}, not {own:.2g}"]

    def _of_padding(self, adapter: Adapter, stripped: Encoded, request: Request, result: Attribution) -> list[str]:
        asked = result.key, fingerprint([] if result.frozen is None else [result.frozen])
        moved = self.padding.get(asked)
        if moved is None:
            moved = _moved(adapter, stripped, request, result)
            if moved is None:
                return ["whether the padding moves the answer could not be asked: the model refuses the row without it"]
            self.padding[asked] = moved
        if moved <= STILL:
            return []
        return [f"the padding is part of the answer: without it the score moves by {moved:.2g}; explained as given"]


def _moved(adapter: Adapter, other: Encoded, request: Request, result: Attribution) -> float | None:
    """How far the score moves at the clean leaf in other surroundings, of itself or of 1; None if it is refused."""
    if result.leaf is None or result.frozen is None:
        return None
    draw = Draw(int(result.provenance["seed"]), [result.key])
    try:
        block = adapter.block([other], draw)
        score = score_of(block, [request.target], Packer(1), [result.frozen.to(block.x.device)])
        value = score.value(result.leaf.unsqueeze(0).to(block.x)).value
    except Exception as error:  # an explanation is not lost because of a question beside it
        if isinstance(error, FourierError) or is_out_of_memory(error):
            return None
        raise
    _counted(result, score.passes.forward)
    return abs(float(value) - result.value) / max(1.0, abs(result.value))


def _counted(result: Attribution, forward: int) -> None:
    """Add passes to what the questions beside a result cost."""
    checks = result.provenance.get("checks", {"forward": 0})
    result.provenance = {**result.provenance, "checks": {"forward": checks["forward"] + forward}}
