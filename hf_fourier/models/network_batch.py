"""Examples of one shape in front of any network or function, and the numbers that its outputs hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.outputs import OutputForm
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import by_class, logits_of, of_each
from hf_fourier.scoring.heads.outputs import retarget_hint
from hf_fourier.scoring.references import Reference, blurred, border, mean, zero
from hf_fourier.typing import Tensor


class NetworkBatch(ExampleBatch):
    """Examples of one shape in front of any network or function."""

    def __init__(self, wrapper: Any, examples: Sequence[EncodedExample]) -> None:
        values = [example.values for example in examples if example.values is not None]
        self.wrapper, self.head, self.model = wrapper, wrapper.head(), wrapper.layers
        self.input_dtype, self.shape = wrapper.call.dtype, examples[0].signal
        self.place(torch.stack(values), wrapper.device)

    @property
    def references(self) -> Sequence[Reference]:
        """Of a picture its mean colours and itself blurred, of a volume its background, of a series its mean."""
        if self.shape.kind == "volume":
            return (border(self.signal, self.shape, "the background (the median of the outermost voxels)"),)
        if self.shape.kind in ("pixels", "series"):
            average = mean(self.signal, self.shape, "each channel's mean")
            pictures = self.shape.kind == "pixels" and self.signal.ndim == 4
            return (average, blurred(self.signal, "the blurred picture")) if pictures else (average,)
        return (zero(self.signal),)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The network's outputs."""
        return self.wrapper.run(x, self.shape)

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The logits of classes, or the values, `(rows, numbers)`."""
        form, read = self.wrapper.form or OutputForm(), logits_of(outputs)
        if not read.ndim:
            got, do = "one number for all rows", "return a row of logits for each row of the input"
            raise InputError(f"logits of shape (), {got}", "(rows, classes)", do)
        of_each(read, len(rows))
        if form.kind in ("values", "embedding"):
            return read.flatten(1) if read.ndim > 1 else read.unsqueeze(1)
        if form.kind == "masks":
            return read
        logits = by_class(read)
        single = form.kind == "logits"
        if (read.ndim == 1 and single) or logits.ndim != 2:
            do = f"explain one number of each row, as by {retarget_hint(outputs, read)}"
            if not self.wrapper.bare:
                wrapper, x = self.wrapper, self.signal
                do += f"; or pass outputs='masks' for a class at each place; {wrapper.how_read(x, self.shape)}"
            raise InputError(f"logits of shape {tuple(read.shape)}", "(rows, classes)", do)
        if single and logits.shape[1] == 1:
            do = f"explain that number, as by {retarget_hint(outputs, read)}"
            raise TargetError("a softmax over one class", "at least two", do)
        if len(rows) > 1 and logits.shape[1] == len(rows):
            self.wrapper.check_batch(self.signal[:1])
        return form.logits(logits, self.wrapper.call.weights)
