"""From encoded examples to results: blocks of one signature, one method, in the order they came."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from hf_fourier import __version__
from hf_fourier.domains import DOMAINS, Basis, Domain
from hf_fourier.errors import InputError, NotFinite, TargetError
from hf_fourier.methods import METHODS, Method, Ranking
from hf_fourier.models.base import Block, Encoded
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import dithered, not_finite, of_ranking
from hf_fourier.scoring.batching import Packer, suggested_rows
from hf_fourier.scoring.heads import Custom, as_read
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import Draw, Key
from hf_fourier.typing import Tensor

BatchSize = int | Literal["auto"]


@runtime_checkable  # for the tests, which check types as they run
class Host(Protocol):
    """What makes blocks of examples: an adapter, or what stands for one."""

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go."""

    @property
    def rows_limit(self) -> int | None:
        """The most rows the model can take at once, if it says so."""

    def block(self, examples: Sequence[Encoded], draw: Draw) -> Block:
        """Examples of one signature, ready to run."""


@dataclass(eq=False)
class Request:
    """One example with its target, checked by the head, and a map of it where one is taken over."""

    example: Encoded
    target: Target
    given: Tensor | None = None


@dataclass(frozen=True)
class Job:
    """What is the same for all examples of a call.

    Attributes:
        method: The method.
        domain: The domain.
        seed: The user's seed.
        model: The model's name, task and revision, for the provenance.
        notes: What has to be said of every result.
        progress: Called with (done, in all).
        dither: Noise on what the model reads, a share of each leaf's largest entry (`Block.dither`).

    Raises:
        InputError: If that is no share.
    """

    method: Method
    domain: Domain
    seed: int
    model: dict[str, Any]
    notes: tuple[str, ...] = ()
    progress: Callable[[int, int], None] | None = None
    dither: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.dither < math.inf:
            raise InputError(
                f"dither {self.dither!r}", "a share of the largest entry, such as 1e-6, or 0", "correct it"
            )


def explain_all(requests: Sequence[Request], job: Job, host: Host, batch_size: BatchSize = "auto") -> list[Attribution]:
    """One result per request, in order.

    Args:
        requests: Examples with their targets.
        job: What is the same for all of them.
        host: Makes their blocks.
        batch_size: Rows in a batch, at most.

    Raises:
        FourierError: What the method, the domain or the model raise; any error after some examples were done carries
            them as `completed`, by index. Where a model makes NaN or infinities of some examples, all others are done
            first.
    """
    done: dict[int, Attribution] = {}
    failed: dict[int, str] = {}
    advice: dict[str, str] = {}

    def explain(indices: list[int], packer: Packer) -> None:
        while indices:
            try:
                results = _explain_block([requests[i] for i in indices], job, host, batch_size, packer)
            except NotFinite as error:
                failed.update({indices[row]: said for row, said in error.found.items()})
                if len(requests) == 1:
                    raise
                advice.update({"expected": error.expected, "do": error.do})
                indices = [i for i in indices if i not in failed]
                continue
            done.update(zip(indices, results, strict=True))
            break
        if job.progress is not None:
            job.progress(len(done), len(requests))

    try:
        for indices in grouped(requests, _alike):
            in_blocks(indices, block_size(requests[indices[0]].example, batch_size, host), explain)
        if failed:
            raise NotFinite({i: f"{said} of example {i}" for i, said in failed.items()}, **advice)
    except Exception as error:
        error.completed = done  # type: ignore[attr-defined]
        if done:
            error.add_note(f"{len(done)} of {len(requests)} examples were done: they are in this error's `completed`")
        raise
    return [done[i] for i in range(len(requests))]


def _explain_block(
    requests: Sequence[Request], job: Job, host: Host, batch_size: BatchSize, outer: Packer
) -> list[Attribution]:
    """Examples of one signature through the method."""
    start = time.perf_counter()
    examples = [request.example for request in requests]
    method, basis = job.method.settle(examples[0].leaf), job.domain.bind(examples[0].leaf)
    draw = Draw(job.seed, [Key(example.parts) for example in examples])
    block = block_of(host, examples, draw, job.dither)
    packer = Packer(min(rows_for(block, batch_size), outer.size))
    score = score_of(block, [request.target for request in requests], packer)
    maps = [request.given for request in requests if request.given is not None]
    score.given = torch.stack(maps) if maps else None
    ranking = method.attribute(score, score.x, basis, draw)
    score.clean_reading()  # a control asks for it here, so that its pass is counted
    outer.learn(packer)
    if not bool(torch.stack(torch.aminmax(ranking.scores)).isfinite().all()):  # NaN is passed on
        raise not_finite(ranking, score, basis.leaf, job.dither)
    provenance = {
        **_provenance(job, method, score),
        "leaf": examples[0].leaf.kind,
        "seconds": (time.perf_counter() - start) / len(requests),
        "passes": {
            "forward": score.passes.forward / len(requests),
            "backward": score.passes.backward / len(requests),
        },
        "batch": packer.size,
        "halvings": outer.halvings,
    }
    return _results(requests, job, basis, score, ranking, provenance)


def _results(
    requests: Sequence[Request], job: Job, basis: Basis, score: Score, ranking: Ranking, provenance: dict[str, Any]
) -> list[Attribution]:
    """One result per example: what belongs to the whole block is converted once."""
    reading = score.clean_reading()
    told = [*job.notes, *score.notes]
    if job.dither:
        told.append(dithered(job.dither))
    nothing = [None] * len(requests)
    scores, leaves, frozen = _rows(_wide(ranking.scores)), _rows(_wide(score.x)), _rows(score.frozen)
    gradients = nothing if ranking.gradient is None else _rows(_wide(ranking.gradient))
    remarks = of_ranking(ranking, score, gradients, basis.leaf)
    confidences = nothing if reading.confidence is None else reading.confidence.tolist()
    gaps = nothing if ranking.gap is None else ranking.gap.tolist()
    values, agrees = reading.value.tolist(), reading.agrees.tolist()
    results = []
    for i, request in enumerate(requests):
        example = request.example
        target, label = score.head.name_target(frozen[i])
        # Copies: what the user does to the example later is not done to its result.
        inputs = {name: tensor.detach().to("cpu", copy=True) for name, tensor in example.inputs.items()}
        content = example.content
        whole = inputs if content is None else {**inputs, "content": content.detach().to("cpu", copy=True)}
        results.append(
            Attribution(
                scores=scores[i],
                layout=basis.layout,
                target=target,
                label=label,
                confidence=confidences[i],
                value=values[i],
                leaf=leaves[i],
                gradient=gradients[i],
                provenance={
                    **provenance,
                    **({"range": example.range} if example.range else {}),
                    "notes": [
                        *told,
                        *example.notes,
                        *score.remarks.get(i, ()),
                        *basis.layout.notes,
                        *remarks[i],
                    ],
                },
                alternatives=score.alternatives.get(i, []),
                names=example.names,
                view=example.view,
                inputs=whole,
                extras={name: _plain(entries[i]) for name, entries in ranking.extras.items()},
                gap=gaps[i],
                fingerprint=_key(example, inputs, leaves[i]),
                frozen=frozen[i],
                source=example.source,
                agrees=agrees[i],
            )
        )
    return results


def block_of(host: Host, examples: Sequence[Encoded], draw: Draw, dither: float) -> Block:
    """Examples of one signature, ready to run, with noise on what the model reads where there is to be some."""
    block = host.block(examples, draw)
    if dither:
        block.dither(draw, dither)
    return block


def score_of(block: Block, targets: Sequence[Target], packer: Packer, frozen: Sequence[Tensor] | None = None) -> Score:
    """The score of a block, its targets settled by what was asked, by the block's own truth, or by the model.

    Raises:
        TargetError: If a target is given where the block explains its own truth.
    """
    custom = next((target for target in targets if callable(target)), None)
    head = as_read(block.head, _reader(targets[0])) if custom is None else Custom(custom)
    settled: list[Any] = []
    for i, target in enumerate(targets):
        if callable(target):
            settled.append(None)
        elif block.truth is not None:
            if target is not None:
                raise TargetError(f"target {target!r} for a text without a mask", "None", "put the mask in the text")
            settled.append(block.truth[i])
        elif isinstance(target, Sequence):
            settled.append(torch.tensor(target))
        else:
            settled.append(target)
    score = Score(
        block.x,
        block.forward,
        block.select,
        head,
        settled,
        packer,
        block.cost,
        frozen,
        bounds=block.bounds,
        reference=lambda: block.reference,
        model=block.model,
    )
    score.remark = block.remarks
    return score


def rows_for(block: Block, batch_size: BatchSize) -> int:
    """Leaf rows in a batch of this block."""
    rows = suggested_rows(block.entries, block.x.device) if batch_size == "auto" else batch_size
    return max(1, rows // block.cost)


def block_size(example: Encoded, batch_size: BatchSize, host: Host) -> int:
    """How many examples go through a method at once: as many as make whole batches, of leaves that cost a row each."""
    if batch_size != "auto" and (isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1):
        raise InputError(f"batch_size {batch_size!r}", "a whole number of at least 1, or 'auto'", "correct it")
    entries = torch.Size(example.leaf.shape).numel()
    if batch_size == "auto":
        batch, together = (suggested_rows(entries, device) for device in (host.device, torch.device("cuda")))
        batch_size = max(1, together // batch) * batch
    return min(batch_size, host.rows_limit) if host.rows_limit else batch_size


def grouped(items: Sequence[Any], key: Callable[[Any], Any]) -> list[list[int]]:
    """Indices of items with equal keys, groups and members in the order they came."""
    groups: dict[Any, list[int]] = {}
    before, own = object(), []
    for i, item in enumerate(items):
        found = key(item)
        if found != before:  # comparing is faster than hashing, and neighbours are mostly alike
            before, own = found, groups.setdefault(found, [])
        own.append(i)
    return list(groups.values())


def in_blocks(indices: list[int], size: int, work: Callable[[list[int], Packer], None]) -> int:
    """Work on at most `size` examples at once; a block that runs out of memory is halved and tried again.

    Returns:
        How often memory ran out.
    """
    packer = Packer(size)
    packer.run(lambda chunk: work(indices[chunk], packer), len(indices))
    return packer.halvings


def _alike(request: Request) -> Any:
    """What the requests of a block share."""
    shape = None if request.given is None else request.given.shape
    return request.example.signature, _reader(request.target), shape


def _reader(target: Target) -> Any:
    """What reads a target, where it is not the model's own head."""
    return id(target) if callable(target) else getattr(target, "head", None)


def _wide(tensor: Tensor) -> Tensor:
    """Detached, float32 or better."""
    return tensor.detach() if tensor.dtype == torch.float64 else tensor.detach().float()


def _rows(block: Tensor) -> list[Tensor]:
    """Each row as a copy of its own on the CPU, so that a result does not hold its whole block."""
    rows: Any = torch.unbind_copy(block.cpu())  # type: ignore[func-returns-value]  # which torch's stubs deny
    return list(rows)


def _plain(value: Any) -> Any:
    """An example's own copy of what a method returns beside its scores."""
    return _wide(value).to("cpu", copy=True) if isinstance(value, Tensor) else value


def _key(example: Encoded, inputs: Mapping[str, Tensor], leaf: Tensor) -> int | Key:
    """The example's fingerprint, to be taken of what the result holds in any case."""
    if example.values is not None and example.values.dtype != leaf.dtype:
        return example.key
    parts = [inputs[name] for name in sorted(inputs)]
    return Key(parts if example.values is None else [*parts, leaf])


def _provenance(job: Job, method: Method, score: Score) -> dict[str, Any]:
    """What made a result, in plain values."""
    made = {"dither": job.dither} if job.dither else {}
    return {
        "model": job.model["name"],
        "revision": job.model["revision"],
        "task": job.model["task"],
        "head": score.head.name,
        "method": METHODS.spec(method),
        "domain": DOMAINS.spec(job.domain),
        "seed": job.seed,
        **made,
        "device": score.x.device.type,
        "versions": {"hf_fourier": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
