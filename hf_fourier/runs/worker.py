"""Explains one chunk: examples are encoded, explained and perturbed; failures are recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS, Fitted
from hf_fourier.domains.fitted import remember
from hf_fourier.errors import InputError, NotFinite
from hf_fourier.methods import METHODS
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.methods.contributions import GENE_POINTS
from hf_fourier.methods.fetched import Asked
from hf_fourier.methods.sequential_contributions import PLACES, sequential_contributions
from hf_fourier.models.distributed import Processes
from hf_fourier.models.inputs.containers import is_stored
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.models.single_cell import cells_may_lose_genes
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import FractionGrid
from hf_fourier.results.integrity import readable
from hf_fourier.results.parts import all_finite
from hf_fourier.runs.fingerprint import example_digest
from hf_fourier.runs.packing import UNKNOWN, Failure, Outcome
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExplanationRequest, grouped
from hf_fourier.scoring.perturb_results import perturb_all
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import carried

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: What stores no contributions.
WITHOUT_CONTRIBUTIONS = ("scores", "top")


@dataclass(frozen=True, eq=False)
class PreparedExample:
    """An encoded example, or the reason why there is none; and the digest of the example as it was read."""

    item: SourceItem
    encoded: EncodedExample | None
    failure: Failure | None = None
    digest: str = UNKNOWN

    def without_example(self, keeps_target: bool) -> PreparedExample:
        """The same without the raw example, which nothing reads any more, and perhaps without its target."""
        target = self.item.target if keeps_target else None
        return replace(self, item=SourceItem(self.item.index, _name(self.item), None, None, target))


@dataclass(eq=False)
class Worker:
    """Explains chunks with one model, and remembers the batch size that fits into memory.

    Attributes:
        explainer: The model.
        job: Method, domain and seed.
        target: The target of examples that have none of their own.
        grid: The fractions of the perturbation curves, or None.
        batch_size: Rows in a batch, at most; shrinks permanently where memory runs out.
        side_inputs: The checks of the model, whose notes every result gets.
        replacement: What replaces deleted features along the curves.
        deletes: Whether genes are scored by sequential contributions.
    """

    explainer: Engine
    job: MethodCall
    target: Target
    grid: FractionGrid | None
    batch_size: BatchSize
    side_inputs: SideInputCheck = field(default_factory=SideInputCheck)
    replacement: str = "zero"
    deletes: bool = False
    _planned_batch_size: BatchSize = field(init=False)

    def __post_init__(self) -> None:
        self._planned_batch_size = self.batch_size

    @classmethod
    def sequential(cls, explainer: Engine, target: Target, batch_size: BatchSize, seed: int) -> Worker:
        """One that scores genes by sequential contributions.

        Raises:
            InputError: If it is no model of cells.
            TargetError: If what is explained belongs to single genes.
        """
        cells_may_lose_genes(explainer.wrapper)
        job = explainer.job(METHODS.parse("magnitude"), DOMAINS.parse(PLACES), seed, contributions=0)
        return cls(explainer, job, target, None, batch_size, explainer.side_inputs, deletes=True)

    def with_directions_of_first(self, machine: Processes) -> Worker:
        """The same, with the first process' directions, if the domain was fitted to examples in each process.

        Fits in several processes may differ in the last digits, on other devices or by other random draws.
        """
        domain = self.job.domain
        fitted = (domain, domain.directions) if isinstance(domain, Fitted) else None
        first = machine.on_first(lambda: fitted)
        if first is not None and not machine.first:
            remember(first[1])
            self.job = replace(self.job, domain=first[0])
        return self

    def keep(self, store: str, top: int) -> None:
        """Take over how much of each result is stored: what is not is neither made nor fetched from the model's device.

        Args:
            store: One of `hf_fourier.runs.packing.STORES`.
            top: How many features, where only the top ones are stored.
        """
        perturbed = (0.0,) if self.grid is None else (*self.grid.keep, *self.grid.delete, 0.0)
        alone = store == "top"
        asked = Asked(top if alone else 0, max(perturbed), scores=not alone)
        contributions = 0 if store in WITHOUT_CONTRIBUTIONS else self.job.contributions
        if contributions is None and store == "genes" and self.has_contributions:
            contributions = GENE_POINTS
        self.job = replace(self.job, with_gradient=store == "everything", asked=asked, contributions=contributions)

    @property
    def has_contributions(self) -> bool:
        """Whether contributions are made beside the method's own passes, of texts and cells at least."""
        own = bool(self.job.method.contribution_kinds)
        return own if self.job.contributions is None else self.job.contributions > 0

    def encode(self, item: SourceItem) -> PreparedExample:
        """One example through the processor."""
        if item.error is not None:
            return PreparedExample(item, None, _failure(item.error))
        digest = example_digest(item)
        try:
            return PreparedExample(item, self._encoded(item.example), digest=digest)
        except Exception as error:  # what processors of others raise has no common base
            return PreparedExample(item, None, _failure(error), digest)

    def encode_all(
        self, items: Sequence[SourceItem], known: dict[int, PreparedExample]
    ) -> tuple[list[PreparedExample], float]:
        """Several examples, in order, and the processor's time that other threads spent on them.

        Beside an accelerator several threads encode at once (`encoders`): what decodes pictures and sounds lets go of
        the interpreter. On a CPU the model has the other cores. A user's own `preprocess` or processor is called by one
        thread at a time: it may keep a buffer or draw random numbers.

        Args:
            items: The examples.
            known: Those that are encoded already, by index; they are taken out.
        """
        ready = [known.pop(item.index, None) for item in items]
        missing = [item for item, one in zip(items, ready, strict=True) if one is None]
        threads = min(encoders(self.explainer.wrapper.device, self.explainer.wrapper.processor), len(missing))
        if threads < 2:
            coming, elsewhere = iter([self.encode(item) for item in missing]), 0.0
        else:
            with ThreadPoolExecutor(threads) as pool:
                pairs = list(pool.map(carried(self._timed), missing))
            coming, elsewhere = iter([one for one, _ in pairs]), sum(spent for _, spent in pairs)
        return [next(coming) if one is None else one for one in ready], elsewhere

    def _timed(self, item: SourceItem) -> tuple[PreparedExample, float]:
        start = time.thread_time()
        return self.encode(item), time.thread_time() - start

    def explain(self, chunk: Sequence[PreparedExample]) -> tuple[list[Outcome], bool]:
        """One outcome per example, in order, and whether batches were smaller than planned because of memory.

        The model is this thread's for a chunk, not for a run, so that other threads have their turns.
        """
        with eval_mode(self.explainer.model):
            return self._outcomes(chunk)

    def _outcomes(self, chunk: Sequence[PreparedExample]) -> tuple[list[Outcome], bool]:
        results: dict[int, Attribution | Failure] = {}
        requests: dict[int, ExplanationRequest] = {}
        for i, ready in enumerate(chunk):
            if ready.encoded is None:
                results[i] = ready.failure or Failure("not read")
                continue
            try:
                target = self.target if ready.item.target is None else ready.item.target
                prepared = self.explainer.wrapper.prepare_target(ready.encoded, target)
                requests[i] = ExplanationRequest(*prepared)
            except Exception as error:  # a callable, or a model that writes its target, may raise anything
                results[i] = _failure(error)
        halvings = self._explain_or_split(requests, results)
        split = halvings > 0 or self.batch_size != self._planned_batch_size
        self._remember_batch_size(results.values())
        outcomes = [Outcome(r.item.index, _name(r.item), _storable(results[i]), r.digest) for i, r in enumerate(chunk)]
        return outcomes, split

    def _explain_or_split(
        self, requests: Mapping[int, ExplanationRequest], found: dict[int, Attribution | Failure]
    ) -> int:
        """Explain together; after a failure by shape, then one by one.

        An error that passes must not change which examples share a batch, and with it the last digits: what fails
        alone, and what fails together though no part of it does, is tried a second time.
        """
        if not requests:
            return 0
        try:
            return self._explain_together(requests, found)
        except NotFinite as error:  # all others are done at once
            places = list(requests)
            errors = {i: NotFinite({0: got}, error.expected, error.hint) for i, got in error.found.items()}
            found.update({places[i]: _failure(own) for i, own in errors.items()})
            return self._explain_or_split({i: request for i, request in requests.items() if i not in found}, found)
        except Exception as error:  # a model may raise anything
            first = error
        halvings = 0
        if len(requests) > 1:
            places = list(requests)
            groups = grouped(list(requests.values()), lambda request: request.example.batch_key)
            parts = groups if len(groups) > 1 else [[i] for i in range(len(places))]
            for part in parts:
                halvings += self._explain_or_split({places[i]: requests[places[i]] for i in part}, found)
            if any(isinstance(found[i], Failure) for i in requests):
                return halvings
        try:
            return self._explain_together(requests, found)
        except Exception:
            if len(requests) == 1:
                found[next(iter(requests))] = _failure(first)
            return halvings

    def _explain_together(
        self, requests: Mapping[int, ExplanationRequest], found: dict[int, Attribution | Failure]
    ) -> int:
        """Explain in the batches that were planned, and return how often one was halved."""
        results, halvings = self._explained(list(requests.values()))
        found.update(zip(requests, results, strict=True))
        return halvings

    def _explained(self, requests: Sequence[ExplanationRequest]) -> tuple[list[Attribution], int]:
        """Results with their curves, and how often a batch was halved."""
        wrapper = self.explainer.wrapper
        results = explain_all(requests, self.job, wrapper, self.batch_size)
        self.side_inputs.add_notes(wrapper, requests, results)
        halvings = sum(int(result.provenance["halvings"]) for result in results)
        if self.deletes:
            results, more = sequential_contributions(results, wrapper.encode, wrapper, self.batch_size)
            halvings += more
        if self.grid is not None:
            encoded = [request.example for request in requests]
            size, donors = self.batch_size, self.job.donors
            halvings += perturb_all(results, encoded, self.grid, wrapper, size, False, self.replacement, donors)
        return results, halvings

    def _encoded(self, example: Any) -> EncodedExample:
        wrapper = self.explainer.wrapper
        if isinstance(example, Mapping) and not wrapper.is_example(example) and not is_stored(example):
            got = f"a dict with {', '.join(map(str, example))}"
            raise InputError(got, "a raw example", "name the column of the examples")
        return wrapper.encode(example)

    def _remember_batch_size(self, found: Iterable[Attribution | Failure]) -> None:
        """Remember the batch that fitted, so that the next chunks do not fail first."""
        halved = [r for r in found if isinstance(r, Attribution) and r.provenance["halvings"]]
        if halved:
            least = min(int(result.provenance["batch"]) for result in halved)
            self.batch_size = least if self.batch_size == "auto" else min(self.batch_size, least)


def encoders(device: torch.device, processor: Any) -> int:
    """Threads that encode examples beside a model on this device.

    One on a CPU, and where the processor is not one of transformers' own; beside an accelerator up to 8, the cores
    shared by the processes on this machine.
    """
    if device.type == "cpu" or not type(processor).__module__.startswith("transformers."):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) - 1))


def _storable(result: Attribution | Failure) -> Attribution | Failure:
    """A result, or a failure where its scores are not finite: one example must not keep a shard from being written."""
    if isinstance(result, Failure) or all_finite(result.scores):
        return result
    return Failure("InputError: got scores that are not finite; expected one number per feature")


def _name(item: SourceItem) -> str:
    """The name that the source gave an example, or that the example (a cell) brings itself."""
    name = item.name or (item.example.get("name", "") if isinstance(item.example, Mapping) else "")
    return name if isinstance(name, str) else ""


def _failure(error: Exception) -> Failure:
    lines = readable(f"{type(error).__name__}: {error}").strip().splitlines()
    return Failure(lines[0] if lines else type(error).__name__)
