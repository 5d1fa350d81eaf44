"""Runs over datasets: planned once, explained chunk by chunk, written atomically; the same call resumes a run."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError, StorageError
from hf_fourier.methods import METHODS
from hf_fourier.methods.subset_method import asks_for_donors
from hf_fourier.models.distributed import Processes, current, say, threads
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.models.inputs.sources import Source, SourceItem, TargetedSource
from hf_fourier.models.network import NetworkWrapper
from hf_fourier.models.outputs import OutputForm
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.formats import VERSION
from hf_fourier.results.integrity import as_stored
from hf_fourier.runs.chunking import Chunks, assign_chunks, order_by_length
from hf_fourier.runs.encoding import Encoding, Place
from hf_fourier.runs.fingerprint import KIND, digest_of, model_identity, processor_identity
from hf_fourier.runs.folder_lock import is_writable, run_lock
from hf_fourier.runs.gene_store import write_vocabulary
from hf_fourier.runs.interpreter import short_switch_interval
from hf_fourier.runs.manifest import NAME, Manifest
from hf_fourier.runs.options import RunOptions
from hf_fourier.runs.packing import Failure, Outcome, pack_shard
from hf_fourier.runs.plan import Plan, planned
from hf_fourier.runs.progress import Bar
from hf_fourier.runs.results import Results
from hf_fourier.runs.resume import check_examples, check_settings, checked_shard, set_damaged_aside
from hf_fourier.runs.shards import Shard
from hf_fourier.runs.weights_digest import sampled_weights
from hf_fourier.runs.worker import PreparedExample, Worker
from hf_fourier.scoring.batching import frozen_objects
from hf_fourier.scoring.replacements import donors_digest, no_donors
from hf_fourier.torch_state import carried

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Examples that are ordered by length together, which bounds the memory of the plan.
WINDOW = 2**14
#: Examples that are tried until one shows what the outputs of a network are.
LOOKED_AT = 16
#: Abort after this many failures without a result.
MAX_FAILURES = 16


def explain_dataset(
    explainer: Engine, data: Any, output: str | PathLike[str], options: RunOptions, temporary: bool = False
) -> Results:
    """See `FourierExplainer.explain_dataset`; of a temporary folder model and `preprocess` need not be known again."""
    machine, folder = current(options.processes), Path(output)
    source = _source(explainer, data, options)
    worker = _worker(explainer, options, source).with_directions_of_first(machine)
    with ExitStack() as stack:
        writable = machine.on_first(lambda: _locked(folder, stack))
        if writable and not machine.first:
            stack.enter_context(run_lock(folder, machine.rank))
        stack.enter_context(frozen_objects())
        run = Run(machine, folder, source, worker, options, temporary)
        stack.enter_context(run.encoding)
        if writable:
            run.prepare()
            run.work()
        else:
            run.check_finished()
    return Results(folder)


def _locked(folder: Path, stack: ExitStack) -> bool:
    """Lock a run's folder until a stack ends; False for a folder that cannot be written and whose run has ended.

    Raises:
        StorageError: If another run holds the lock, or the folder cannot be written and its run is not finished.
    """
    try:
        stack.enter_context(run_lock(folder, 0))
    except StorageError:
        if (folder / NAME).is_file() and not is_writable(folder) and Results(folder).written:
            return False
        raise
    return True


def plan(explainer: Engine, data: Any, options: RunOptions) -> Plan:
    """See `FourierExplainer.estimate`."""
    source = _source(explainer, data, options)
    worker = _worker(explainer, options, source)
    return planned(worker, source, options, options.processes or 1)[1]


def _source(explainer: Engine, data: Any, options: RunOptions) -> Source:
    wrapper = explainer.wrapper
    is_example = wrapper.is_example
    data = wrapper.split_file(data) or data if hasattr(data, "ndim") else data
    source = source_of(data, options.column, split=options.split, streaming=options.streaming, is_example=is_example)
    if options.targets is None:
        return source
    targets = options.targets
    if source.length is not None and len(targets) != source.length:
        got = f"{len(targets)} targets for {source.length} examples"
        raise InputError(got, "one per example", "correct `targets`")
    return TargetedSource(source, targets.__getitem__)


def _worker(explainer: Engine, options: RunOptions, source: Source) -> Worker:
    examples = (item.example for item in islice(source.stream(0), LOOKED_AT) if item.error is None)
    explainer.wrapper.learn(examples)  # on which the default method may depend
    if options.gene_scores is not None:
        return Worker.sequential(explainer, options.target, options.batch_size, options.seed)
    method = METHODS.parse(options.method or explainer.method)
    domain = explainer.resolve_domain(method, options.domain)
    job = explainer.job(method, domain, options.seed, contributions=options.contributions)
    if options.grid is not None and options.replacement == "example" and not job.donors:
        raise no_donors("no other examples")
    notes = explainer.side_inputs
    return Worker(explainer, job, options.target, options.grid, options.batch_size, notes, options.replacement)


class Run:
    """One process' share of a run.

    Args:
        machine: The processes.
        folder: The folder of the run, which holds its lock.
        source: The examples.
        worker: Explains them.
        options: The options of the run.
        temporary: Whether the folder is deleted afterwards.
    """

    def __init__(
        self,
        machine: Processes,
        folder: Path,
        source: Source,
        worker: Worker,
        options: RunOptions,
        temporary: bool,
    ) -> None:
        self.machine, self.folder, self.source = machine, folder, source
        self.worker, self.options, self.temporary = worker, options, temporary
        self.done = self.failed = 0
        self.encoding = Encoding(worker, source, options.workers)

    def prepare(self) -> None:
        """Plan a new run, or check that the folder's run has the same settings.

        Raises:
            InputError: If the folder holds another run, or no example can be explained.
        """
        plan = self.machine.on_first(self._create_or_check)
        if self.machine.first and self.options.progress:
            alone = self.machine.processes == 1 and self.machine.requested is None
            say(*([] if alone else [self.machine]), plan or f"going on with {self.folder.name!r}")
        self.manifest = Manifest.read(self.folder)
        self.worker.keep(self.manifest.settings["store"], self.options.top)
        if "paths" in self.manifest.environment:  # checked once, when the run was planned: the same notes in all chunks
            self.worker.side_inputs = SideInputCheck.from_values(self.manifest.environment["paths"])
        wrapper, outputs = self.worker.explainer.wrapper, self.manifest.environment.get("outputs")
        self.machine.on_first(lambda: write_vocabulary(self.folder, self.manifest, wrapper))
        if isinstance(wrapper, NetworkWrapper) and outputs is not None:  # as the run's first example showed them
            wrapper.take_form(OutputForm.from_values(outputs))
            wrapper.learned_rate = self.manifest.environment.get("rate", wrapper.learned_rate)
        if not self.manifest.planned or (plan is None and self.manifest.window):
            self._order()
        self.chunks = Chunks(self.folder, self.manifest)
        if plan is None:
            self._check_finished()

    def check_finished(self) -> None:
        """Check that the run of a folder that cannot be written is that of this call, and all of it as it was written.

        Raises:
            InputError: If it has other settings or other examples.
            DamagedFile: If one of its files is not as it was written.
        """
        self.machine.on_first(self._create_or_check)
        self.manifest = Manifest.read(self.folder)
        self.chunks = Chunks(self.folder, self.manifest)
        shards = (checked_shard(self.chunks, number, self.manifest.identity) for number in self._share_of_finished())
        check_examples(self.source, {index: digest for own in shards for index, digest in own.items()}, self.folder)
        self.machine.barrier()

    def _share_of_finished(self) -> list[int]:
        """The finished chunks that this process checks.

        They are divided by number, not by place: other processes may have set damaged ones aside meanwhile.
        """
        paths = (self.folder / "shards").glob("*/*.safetensors")
        numbers = (int(path.stem) for path in paths if path.stem.isdecimal())
        return sorted(number for number in numbers if number % self.machine.processes == self.machine.rank)

    def _check_finished(self) -> None:
        """Check the shards that are there, this process its part: damaged ones are made again.

        Raises:
            InputError: If they are of other examples than those of this call.
        """
        known, damage = set_damaged_aside(self.chunks, self._share_of_finished(), self.manifest.identity)
        for chunk, error in damage.items():
            self._note(chunk=chunk, damaged=error.got)
            if self.options.progress:
                say(f"{error.got}: it was moved aside and is computed again")
        check_examples(self.source, known, self.folder)
        self.machine.barrier()

    def work(self) -> None:
        """Explain this process' share of the unfinished chunks, and wait for the other processes."""
        if self.source.length is None:
            self._work_through(self._stream_chunks(), None)
        else:
            self._work_through(*self._own_chunks())
        while not Results(self.folder).written:
            time.sleep(0.2)  # other processes are at work; a launcher ends all when one fails

    def _own_chunks(self) -> tuple[Iterator[tuple[int, list[int], float]], tuple[int, float]]:
        """This process' share of the unfinished chunks, with their number of examples and their cost."""
        left = self.machine.on_first(self.chunks.unfinished)
        costs = self.chunks.costs()
        own = assign_chunks(left, costs, self.machine.processes)[self.machine.rank]
        loads = ((chunk, self.chunks.indices(chunk), float(costs[chunk])) for chunk in own)
        return loads, (sum(len(self.chunks.indices(chunk)) for chunk in own), float(sum(costs[chunk] for chunk in own)))

    def _create_or_check(self) -> Plan | None:
        """Write the manifest of a new run and return its plan; or check that of a run to be resumed."""
        settings = self._settings()
        if (self.folder / NAME).is_file():
            before = Manifest.read(self.folder).settings
            if not before["weights"].startswith(settings["weights"][:7]):  # of an earlier version
                settings["weights"] = sampled_weights(self.worker.explainer.model)
            check_settings(before, as_stored(settings), self.folder)
            return None
        if (self.folder / "shards").exists():
            raise InputError(f"the folder {self.folder.name!r} with shards and no {NAME}", "a new folder", "choose one")
        known, plan = planned(self.worker, self.source, self.options, self.machine.processes)
        length = self.source.length
        environment: dict[str, Any] = {"threads": threads(), "hf_fourier": VERSION, "torch": torch.__version__}
        environment["paths"] = self.worker.side_inputs.as_values()
        wrapper = self.worker.explainer.wrapper
        if isinstance(wrapper, NetworkWrapper) and wrapper.form is not None:
            environment["outputs"] = wrapper.form.as_values()
            environment |= {} if wrapper.learned_rate is None else {"rate": wrapper.learned_rate}
        window = WINDOW if known.tokens and length is not None else 0
        settings["store"] = plan.store
        Manifest(settings, environment, length, plan.chunk, window).write(self.folder)
        return plan

    def _settings(self) -> dict[str, Any]:
        """The settings that the results depend on."""
        job, options, wrapper = self.worker.job, self.options, self.worker.explainer.wrapper
        needed = {"example"} if asks_for_donors(job.method) else {options.replacement} if options.grid else set()
        return {
            "model": job.model["name"],
            "revision": job.model["revision"],
            "task": job.model["task"],
            "weights": model_identity(wrapper, self.temporary),
            "digests": KIND,
            "labels": digest_of(getattr(wrapper.config, "id2label", None)),
            "processor": processor_identity(wrapper, self.temporary),
            "signal": getattr(wrapper, "chosen_signal", None),
            "reading": wrapper.reading,
            "method": options.gene_scores or METHODS.spec(job.method),
            "domain": DOMAINS.spec(job.domain),
            "dither": job.dither,
            **({"donors": donors_digest(job.donors)} if "example" in needed else {}),
            **({} if job.contributions is None else {"contributions": job.contributions}),
            **options.to_manifest(),
            "data": self.source.fingerprint(),
            "store": options.store,
        }

    def _order(self) -> None:
        """Plan the windows, each by one process."""
        chunks, start = Chunks(self.folder, self.manifest), time.thread_time()
        spans = self.manifest.window_ranges
        for number in range(self.machine.rank, len(spans), self.machine.processes):
            if not chunks.has_window(number):
                self.encoding.start()
                looked_at = self.encoding.looked_at(spans[number])
                chunks.write_window(number, order_by_length(spans[number], looked_at, self.manifest.chunk))
        self._note(plan=time.thread_time() - start)
        self.machine.barrier()
        if self.machine.first:
            counts = tuple(chunks.window_chunks(number) for number in range(len(spans)))
            if counts != self.manifest.windows:
                replace(self.manifest, windows=counts).write(self.folder)
        self.machine.barrier()
        self.manifest = Manifest.read(self.folder)

    def _stream_chunks(self) -> Iterator[tuple[int, list[SourceItem], float]]:
        """This process' unfinished chunks of a stream; at its end, the length goes into the manifest."""
        size, machine = self.manifest.chunk, self.machine
        first = 0
        while self.chunks.path(first).is_file():
            first += 1
        examples = (first - 1) * size + len(Shard(self.chunks.path(first - 1))) if first else 0
        items, chunk = self.source.stream(examples), first
        while batch := list(islice(items, size)):
            if chunk % machine.processes == machine.rank and not self.chunks.path(chunk).is_file():
                yield chunk, batch, float(len(batch))
            examples = batch[-1].index + 1
            chunk += 1
            if len(batch) < size:
                break
        if machine.first and examples and (chunk > first or self.manifest.examples is None):
            self.manifest = self.manifest.ended(examples, self.folder)

    def _work_through(
        self, loads: Iterable[tuple[int, Sequence[Place], float]], total: tuple[int, float] | None
    ) -> None:
        """Load and encode the next chunk, explain this one and write the last one, in parallel."""
        self.encoding.start()
        with (
            short_switch_interval(),
            Bar(total, self.machine, self.options.progress) as bar,
            ThreadPoolExecutor(1) as loading,
            ThreadPoolExecutor(1) as writing,
        ):
            source, written = iter(loads), None
            coming: Future[Any] = loading.submit(carried(self._load), source)
            while (loaded := coming.result()) is not None:
                chunk, ready, cost, read = loaded
                coming = loading.submit(carried(self._load), source)
                start = time.perf_counter()
                outcomes, split = self.worker.explain(ready)
                spent = time.perf_counter() - start
                self._count(outcomes)
                if written is not None:
                    written.result()
                written = writing.submit(carried(self._write), chunk, outcomes, split, {"load": read, "explain": spent})
                bar.add(len(outcomes), cost, self.failed)
            if written is not None:
                written.result()

    def _load(
        self, source: Iterator[tuple[int, Sequence[Place], float]]
    ) -> tuple[int, list[PreparedExample], float, float] | None:
        """The next chunk, encoded; None at the end."""
        start = time.thread_time()
        coming = next(source, None)
        if coming is None:
            return None
        chunk, places, cost = coming
        ready, elsewhere = self.encoding.ready(places)
        return chunk, ready, cost, time.thread_time() - start + elsewhere

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        """Count results and failures; abort where nothing works.

        Raises:
            InputError: If there are failures and not one result.
        """
        failures = [outcome for outcome in outcomes if isinstance(outcome.result, Failure)]
        self.failed, self.done = self.failed + len(failures), self.done + len(outcomes) - len(failures)
        if failures and not self.done and self.failed >= MAX_FAILURES:
            first = failures[0]
            assert isinstance(first.result, Failure)
            got = f"{self.failed} failures and no result (example {first.index}: {first.result.reason})"
            raise InputError(got, "examples that can be explained", "check model, data, `column` and `target`")

    def _write(self, chunk: int, outcomes: Sequence[Outcome], split: bool, spent: dict[str, float]) -> None:
        """Write a shard, and a line of the log about it."""
        start = time.thread_time()
        data = pack_shard(outcomes, self.manifest.settings["store"], self.options.top, split, self.manifest.identity)
        write_whole(self.chunks.path(chunk), data)
        spent["write"] = time.thread_time() - start
        self._note(chunk=chunk, examples=len(outcomes), **spent)

    def _note(self, **values: Any) -> None:
        """Append a line to this process' log: host, time, CPU time, and what was done."""
        line = {"host": socket.gethostname(), "at": time.time(), "cpu": time.process_time(), **values}
        with (self.folder / f"log-{self.machine.rank}.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
