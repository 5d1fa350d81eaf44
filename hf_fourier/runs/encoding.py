"""Encodes the examples of a run, in its own process or in worker processes, which read and decode them too."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from types import TracebackType
from typing import Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.sources import Source, SourceItem, TargetedSource
from hf_fourier.runs.worker import PreparedExample, Worker
from hf_fourier.scoring.example_batch import EncodedExample

#: Examples, and tokens, encoded during planning that are kept for explaining: a few megabytes.
KEPT, KEPT_TOKENS = 2**9, 2**16
#: Examples that a worker process encodes in one go, and how many such groups are under way for each of them.
TOGETHER, AHEAD = 4, 4
#: Seconds between looks at whether the run's own process is still there.
LOOK = 1.0
#: An example that is still to be read, by its number, or one that has been read.
Place = int | SourceItem


class Encoding:
    """Encodes the examples of a run; used as a context, at whose end worker processes end.

    Args:
        worker: Has the model, with its processor.
        source: The examples.
        workers: Worker processes; 0 for none.

    Raises:
        InputError: If workers are asked for on a system that cannot fork processes.
    """

    def __init__(self, worker: Worker, source: Source, workers: int) -> None:
        if workers and not sys.platform.startswith("linux"):
            got = f"{workers} workers on {sys.platform}, where a process with a model cannot be forked"
            raise InputError(got, "Linux, or workers=0", "leave `workers` out, or start several `processes`")
        self._worker, self._source, self._workers = worker, source, workers
        self._pool: ProcessPoolExecutor | None = None
        self._known: dict[int, PreparedExample] = {}

    def __enter__(self) -> Encoding:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def start(self) -> None:
        """Fork the worker processes, from a thread beside which nothing of the run goes on yet."""
        if not self._workers or self._pool is not None:
            return
        given = (self._worker, self._source, os.getpid())
        self._pool = ProcessPoolExecutor(self._workers, get_context("fork"), initializer=_begin, initargs=given)
        with warnings.catch_warnings():  # of Python 3.12 and later, which counts torch's idle threads
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pool.submit(os.getpid).result()  # the first call starts them all

    def ready(self, places: Sequence[Place]) -> tuple[list[PreparedExample], float]:
        """Examples, encoded in order, and the processor's time that other threads and processes spent on them."""
        if self._pool is None:
            return self._worker.encode_all(_read(self._source, places), self._known)
        known = {index: self._known.pop(index) for index in map(_number, places) if index in self._known}
        for place in places:
            if isinstance(place, SourceItem) and place.error is not None:  # which may not be sent
                known[place.index] = self._worker.encode(place)
        coming, spent = self._encoded([place for place in places if _number(place) not in known]), 0.0
        for place in places:
            if _number(place) not in known:
                known[_number(place)], seconds = next(coming)
                spent += seconds
        return [known[_number(place)] for place in places], spent

    def looked_at(self, indices: Sequence[int]) -> Iterator[EncodedExample | None]:
        """Examples, encoded one after the other, or None for those that cannot be; some of them are kept."""
        coming: Iterator[PreparedExample]
        if self._pool is None:
            coming = (self._worker.encode(item) for index in indices for item in self._source.read([index]))
        else:
            coming = (ready for ready, _ in self._encoded(indices))
        kept = sum(one.encoded.signal.shape[0] for one in self._known.values() if one.encoded is not None)
        for index, ready in zip(indices, coming, strict=True):
            if ready.encoded is not None and len(self._known) < KEPT and kept < KEPT_TOKENS:
                self._known[index] = ready
                kept += ready.encoded.signal.shape[0]
            yield ready.encoded

    def _encoded(self, places: Sequence[Place]) -> Iterator[tuple[PreparedExample, float]]:
        """What the worker processes make of examples, in order, each with the processor's time that it took.

        Raises:
            InputError: If an example cannot be sent between processes, or a process has ended.
        """
        assert self._pool is not None
        waiting: deque[Future[_Sent]] = deque()
        try:
            for start in range(0, len(places), TOGETHER):
                some = [
                    replace(p, target=None) if isinstance(p, SourceItem) else p
                    for p in places[start : start + TOGETHER]
                ]
                waiting.append(self._pool.submit(_encode, some))
                if len(waiting) > AHEAD * self._workers:
                    yield from self._received(waiting.popleft())
            while waiting:
                yield from self._received(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def _received(self, future: Future[_Sent]) -> Iterator[tuple[PreparedExample, float]]:
        try:
            data, reason, seconds = future.result()
        except BrokenProcessPool as error:
            got = "a worker process that ended by itself"
            do = "look for a crash of a decoder or a lack of memory, pass fewer `workers` or none, and run it again"
            raise InputError(got, f"all {self._workers} to go on", do) from error
        except Exception as error:  # what pickling raises has no common base
            raise _unsendable(f"{type(error).__name__}: {error}") from error
        if reason:
            raise _unsendable(reason)
        found = pickle.loads(data)
        for ready in found:
            yield replace(ready, item=_with_target(self._source, ready.item)), seconds / len(found)


def _number(place: Place) -> int:
    return place.index if isinstance(place, SourceItem) else place


def _read(source: Source, places: Sequence[Place]) -> list[SourceItem]:
    """The items at some places, all of which are read already, or none."""
    items = [place for place in places if isinstance(place, SourceItem)]
    return items or source.read([place for place in places if not isinstance(place, SourceItem)])


def _with_target(source: Source, item: SourceItem) -> SourceItem:
    """An item with the target that a source has beside it: each process has them all, and none is sent."""
    return replace(item, target=source.target_of(item.index)) if isinstance(source, TargetedSource) else item


def _unsendable(reason: str) -> InputError:
    got = f"an example that cannot be sent between processes ({reason})"
    do = "leave `workers` out, or return plain arrays from your data set and `preprocess`"
    return InputError(got, "one that can be pickled", do)


#: Pickled examples, or the reason why they cannot be, and the processor's time they took.
_Sent = tuple[bytes, str, float]
#: What this process encodes by, where it is a worker process.
_own: list[tuple[Worker, Source]] = []


def _begin(worker: Worker, source: Source, run: int) -> None:
    """Begin a worker process: one thread, which ends with the run's own process."""
    _own.append((worker, source))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's own process ends this one
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    def watch() -> None:
        while os.getppid() == run:
            time.sleep(LOOK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _encode(places: Sequence[Place]) -> _Sent:
    """Read, decode and encode examples in a worker process."""
    start, (worker, source) = time.process_time(), _own[0]
    items = [_with_target(source, item) for item in _read(source, places)]
    found = [worker.encode(item).without_example(keeps_target=not isinstance(source, TargetedSource)) for item in items]
    target = io.BytesIO()
    try:
        _Pickler(target, pickle.HIGHEST_PROTOCOL).dump(found)
    except Exception as error:  # what pickling raises has no common base
        return b"", f"{type(error).__name__}: {error}", 0.0
    return target.getvalue(), "", time.process_time() - start


class _Pickler(pickle.Pickler):
    """Sends the entries of tensors alone, not the whole storage that they are a view of."""

    def reducer_override(self, value: Any) -> Any:
        """A dense tensor by way of numpy; anything else as usual."""
        if type(value) is not torch.Tensor or value.device.type != "cpu" or value.layout != torch.strided:
            return NotImplemented
        if value.requires_grad or value.dtype == torch.bfloat16 or value.is_conj() or value.is_neg():
            return NotImplemented
        return torch.from_numpy, (value.numpy(),)
