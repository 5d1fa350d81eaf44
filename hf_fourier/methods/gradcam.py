"""Class activation maps of pytorch-grad-cam (extra `peers`) by name, `gradcam:GradCAM`, carried to the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import MissingExtraError, ModelError, SpecError
from hf_fourier.methods import library_maps
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.layer_grids import Grid, Recorder
from hf_fourier.scoring.representation import OUTPUT, RepresentationPass
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float32, taken
from hf_fourier.typing import Float, Tensor

#: Why a class of the library is not taken.
_MANY = "which runs the model again for each channel of the layer"
_OTHER = "which needs more than the activations and gradients of one layer"
EMPTY = "the map is zero everywhere: by this method no cell of the layer is evidence for the target"


@METHODS.register("gradcam", aliases=("pytorch_grad_cam",), needs="pytorch_grad_cam")
@dataclass(frozen=True)
class GradCam(library_maps.LibraryMaps):
    """Rank by a class activation map of pytorch-grad-cam, interpolated to all positions and converted by `lift`.

    The map is of one layer: by default the last one in a pass whose outputs correspond to positions of the
    input (a convolution, or a layer norm over the tokens of image patches), more than one of which affects the
    score. The library gets its activations, and the gradient of the score's log-odds (of a target that is a logit, of
    that logit). Its maps are cut at zero and scaled from 0 to 1: they are heat maps, not contributions, so "magnitude"
    is the lift that suits them.

    Attributes:
        attribution: The class in `pytorch_grad_cam`; case, hyphens and underscores do not matter.
        lift: "transport", "gradient" or "magnitude"; None for "magnitude".
        layer: The name of the layer in the model, or its end; "" for the above.
    """

    attribution: str = "GradCAM"
    layer: str = ""

    library: ClassVar[str] = "pytorch-grad-cam"
    known: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("GradCAM", "GradCAMPlusPlus", "HiResCAM", "XGradCAM", "LayerCAM", "GradCAMElementWise", "EigenGradCAM",
         "EigenCAM", "KPCA_CAM", "FEM"),
        "magnitude",
    )  # fmt: skip
    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("ScoreCAM", "AblationCAM", "RefineCAM"), _MANY),
        **dict.fromkeys(("FullGrad", "ShapleyCAM", "FinerCAM", "SegEigenCAM", "SESS", "GuidedBackprop"), _OTHER),
    }
    reference: ClassVar[str] = "pytorch-grad-cam (MIT); Grad-CAM: arXiv 1610.02391"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.layer, int) and not isinstance(self.layer, bool):
            object.__setattr__(self, "layer", str(self.layer))  # of a `Sequential`
        if not isinstance(self.layer, str):
            raise SpecError(f"layer {self.layer!r}", "the name of a module, or '' for the last one", "correct `layer`")

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind to find the layer, and one for the library."""
        return 2, 2

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The maps, lifted.

        Raises:
            MissingExtraError: If pytorch-grad-cam is not installed.
            ModelError: If the model has no such layer.
            SpecError: If no layer has the name that was asked for.
        """
        if score.model is None:
            raise _no_layers()
        recorder = Recorder(score.model, basis.signal, self.layer)

        def visit(part: RepresentationPass) -> tuple[Tensor, Grid]:
            return part.gradient_of_value(), recorder.grid()

        with recorder.recording():
            gradients, grids = zip(*score.represent(score.signal, visit, OUTPUT), strict=True)
        cells = [self._map(score, x, row, basis, grids[0], rng) for row in range(len(x))]
        ranking = self.carried(score, x, basis, rng, torch.stack(cells).to(x))
        notes = [
            [*own, *([] if bool(cell.any()) else [EMPTY])]
            for own, cell in zip(ranking.notes or [()] * len(x), cells, strict=True)
        ]
        extras = {**ranking.extras, "layer": [grids[0].name] * len(x)}
        return replace(ranking, gradient=torch.cat(gradients), extras=extras, notes=notes)

    def _map(self, score: Score, x: Tensor, row: int, basis: Basis, grid: Grid, rng: ExampleRng) -> Tensor:
        """The library's map of one example, with length 1 along the axes that the grid does not run along."""
        try:
            import pytorch_grad_cam as library
        except ImportError as error:
            raise MissingExtraError("grad-cam", "peers", "class activation maps") from error
        runner = _Runner(score, x[row : row + 1], row)
        lengths = [basis.signal.axes[axis].length for axis in sorted(grid.axes)]
        room = torch.zeros(1, 1, *([1] if len(lengths) == 1 else []), *lengths, device=x.device)
        streams = library_maps.seeded(rng.generator(row, "gradcam"))
        with torch.inference_mode(False), torch.enable_grad(), taken(torch.random), streams, in_float32():
            maker = getattr(library, self.attribution)(
                model=runner, target_layers=[grid.layer], reshape_transform=grid.by_place
            )
            try:
                found = maker(input_tensor=room, targets=[torch.sum])
            finally:
                maker.activations_and_grads.release()
        return grid.onto(torch.as_tensor(found[0]), basis.signal)


class _Runner(torch.nn.Module):
    """Stands for the model where the library calls it: runs one example forward and backward, and returns its score.

    The library sees no parameter of the model, so that it sets none of their gradients.
    """

    def __init__(self, score: Score, signal: Tensor, row: int) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones((), device=signal.device))
        self._run = lambda: score.represent(
            signal, _gone_back, OUTPUT, torch.full((1,), row, device=signal.device)
        )  # fmt: skip

    def forward(self, room: Tensor) -> Tensor:
        """The score, shape `(1, 1)`; `room` has the size to which the library interpolates."""
        (value,) = self._run()
        return self.one * value.view(1, 1).to(self.one)


def _gone_back(part: RepresentationPass) -> Tensor:
    part.gradient_of_value()
    return part.reading.value.detach()


def _no_layers() -> ModelError:
    return ModelError(
        "a callable without layers", "a torch module with convolutions or patches", "pass a torch module, or take "
        "method='gradient_input'",
    )  # fmt: skip
