"""Class activation maps of pytorch-grad-cam: its own numbers, the right layer, the right axes, nothing left behind.

What runs the library is skipped where it is not installed (extra `peers`).
"""

import pytest
import torch
import transformers

from hf_fourier import FourierExplainer, attribute
from hf_fourier.domains.layout import Axis, SignalShape
from hf_fourier.errors import ModelError, SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.gradcam import EMPTY, GradCam
from hf_fourier.methods.layer_grids import Recorder, axes_of
from tests.library_methods import belongs_to_each_example
from tests.models import tiny_models
from tests.toy_scores import noise


class Net(torch.nn.Sequential):
    """Two convolutions of one axis or two, and a linear layer."""

    def __init__(self, axes=2):
        torch.manual_seed(0)
        convolution = (torch.nn.Conv1d, torch.nn.Conv2d)[axes - 1]
        super().__init__(
            convolution(1, 4, 3, padding=1),
            torch.nn.ReLU(),
            convolution(4, 4, 3, stride=2, padding=1),
            torch.nn.Tanh(),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * 4**axes, 3),
        )


class Corner(torch.nn.Module):
    """Reads a spectrogram with its axes exchanged, and the first quarter of both of its own axes alone."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.ones_(self.conv.weight)

    def forward(self, x):
        seen = self.conv(x.unsqueeze(1).transpose(2, 3))  # (rows, 1, mel, time)
        strength = seen[:, :, :2, 9:].square().sum((1, 2, 3))
        return torch.stack([strength, -strength], 1)


def first_logit(outputs):
    return outputs[:, 0]


def shape_of(*axes):
    return SignalShape("spectrogram", tuple(Axis(name, length, channel=channel) for name, length, channel in axes))


def found_grid(model, x, signal, pattern=""):
    recorder = Recorder(model.eval(), signal, pattern)
    with recorder.recording():
        leaf = x.requires_grad_()
        outputs = model(leaf)
        outputs = getattr(outputs, "logits", outputs)
        torch.autograd.grad(outputs[:, 0].sum(), leaf)
        return recorder.grid()


def test_axes_are_told_by_their_lengths():
    signal = shape_of(("time", 12, False), ("mel", 8, False))
    assert axes_of((8, 12), signal) == (1, 0)
    assert axes_of((12, 8), signal) == (0, 1)
    assert axes_of((12,), signal) == (0,)
    assert axes_of((5, 8), signal) == ()
    assert axes_of((8, 13), signal) == (1, 0)  # padded
    assert axes_of((8, 14), signal) == ()
    assert axes_of((8, 8), shape_of(("c", 3, True), ("height", 8, False), ("width", 8, False))) == (1, 2)


def test_the_last_layer_with_a_gradient_at_many_places_is_taken():
    signal = shape_of(("c", 3, True), ("height", 32, False), ("width", 32, False))
    vit = tiny_models.build("image-classification", "vit")
    size = vit.config.image_size
    signal = shape_of(("c", 3, True), ("height", size, False), ("width", size, False))
    grid = found_grid(vit, noise(2, 3, size, size, dtype=torch.float32), signal)
    last = vit.config.num_hidden_layers - 1
    assert f".{last}." in grid.name
    assert "layernorm_before" in grid.name  # behind it the answer reads the class token alone
    cells = size // vit.config.patch_size
    assert (grid.lengths, grid.axes, grid.prefix) == ((cells, cells), (1, 2), 1)
    plain = Net()
    grid = found_grid(plain, noise(1, 1, 8, 8, dtype=torch.float32), shape_of(
        ("c", 1, True), ("height", 8, False), ("width", 8, False)))  # fmt: skip
    assert (grid.name, grid.lengths, grid.prefix) == ("2", (4, 4), None)


def speech(kernel):
    """A wav2vec2 with a convolution of positions, whose output has one cell more if its kernel is even."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_stride=(5, 4), conv_kernel=(10, 4), num_conv_pos_embeddings=kernel, num_conv_pos_embedding_groups=2,
        classifier_proj_size=8, num_labels=3,
    )  # fmt: skip
    return transformers.Wav2Vec2ForSequenceClassification(config)


@pytest.mark.parametrize("kernel", [15, 16])
@pytest.mark.parametrize("name", ["", "encoder.layers.0.layer_norm"])
def test_a_convolution_of_positions_does_not_hide_the_layers_behind_it(kernel, name):
    grid = found_grid(speech(kernel), noise(2, 800, dtype=torch.float32), shape_of(("time", 800, False)), name)
    assert grid.name == "wav2vec2." + (name or "encoder.layers.1.final_layer_norm")
    assert (grid.lengths, grid.axes, grid.prefix) == ((39,), (0,), 0)


def test_patches_that_were_merged_are_laid_out_by_what_is_left():
    swin = tiny_models.build("image-classification", "swin")
    size = swin.config.image_size
    signal = shape_of(("c", 3, True), ("height", size, False), ("width", size, False))
    grid = found_grid(swin, noise(2, 3, size, size, dtype=torch.float32), signal)
    last = len(swin.config.depths) - 1
    cells = size // swin.config.patch_size // 2**last
    assert last > 0
    assert grid.name == "swin.layernorm"
    assert (grid.lengths, grid.axes, grid.prefix) == ((cells, cells), (1, 2), 0)


def test_cells_come_back_in_the_signals_order():
    signal = shape_of(("time", 12, False), ("mel", 8, False))
    grid = found_grid(Corner(), noise(1, 12, 8, dtype=torch.float32), signal)
    assert grid.axes == (1, 0)
    output = torch.arange(8 * 12).view(1, 1, 8, 12)
    assert torch.equal(grid.by_place(output)[0, 0], output[0, 0].T)
    assert grid.onto(torch.zeros(12, 8), signal).shape == (12, 8)


@pytest.fixture
def library():
    return pytest.importorskip("pytorch_grad_cam")


@pytest.mark.parametrize("name", GradCam.known)
def test_the_map_is_the_librarys_own(name, library):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x = Net().eval(), noise(2, 1, 8, 8, dtype=torch.float32)
    expected = torch.as_tensor(
        getattr(library, name)(model=net, target_layers=[net[2]])(x.clone(), [ClassifierOutputTarget(0)] * 2)
    )
    found = attribute(net, x, method=f"gradcam:{name}", target=first_logit, domain="identity")
    for one, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(one.scores.reshape(8, 8), whole.to(one.scores), rtol=1e-4, atol=1e-5)
        assert one.extras["layer"] == "2"
    explainer = FourierExplainer(net, axes=("height", "width"), labels=list("abc"))
    carried = attribute(net, x, method=f"gradcam:{name}", target=first_logit)
    for one, row, whole in zip(carried, x, expected, strict=True):
        given = explainer.from_maps(row, whole, domain="fourier", lift="magnitude")
        torch.testing.assert_close(one.scores.sort().values, given.scores.sort().values, rtol=1e-4, atol=1e-5)


def test_a_transformers_map_is_the_librarys_own_with_its_reshaping(library):
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    vit = tiny_models.build("image-classification", "vit").eval()
    size, cells = vit.config.image_size, vit.config.image_size // vit.config.patch_size
    x = noise(1, 3, size, size, dtype=torch.float32)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vit = vit

        def forward(self, pictures):
            return self.vit(pictures).logits

    def reshaped(tokens):  # as the library's page says it
        return tokens[:, 1:].reshape(len(tokens), cells, cells, -1).permute(0, 3, 1, 2)

    own = Logits()
    grid = found_grid(own, x.clone(), shape_of(("c", 3, True), ("height", size, False), ("width", size, False)))
    expected = library.GradCAM(model=own, target_layers=[grid.layer], reshape_transform=reshaped)(
        x.clone(), [ClassifierOutputTarget(1)]
    )
    (found,) = attribute(own, x, method="gradcam", target=lambda out: out[:, 1], domain="identity:grain=position")
    whole = torch.as_tensor(expected[0])
    got = found.scores.reshape(size, size)
    torch.testing.assert_close(got / got.max(), (whole / whole.max()).to(got), rtol=1e-3, atol=1e-4)


def test_places_of_a_spectrogram_that_is_read_with_its_axes_exchanged(library):
    explainer = FourierExplainer(Corner(), axes=("time", "mel"), labels=["a", "b"])
    result = explainer.explain(noise(1, 12, 8, dtype=torch.float32)[0], 0, method="gradcam:HiResCAM", domain="identity")
    cells = result.scores.reshape(12, 8)
    assert float(cells[9:, :2].sum()) == pytest.approx(float(cells.sum()), rel=1e-5)
    assert float(cells.sum()) > 0


def test_waveforms_and_their_passes(library):
    belongs_to_each_example(Net(axes=1), noise(3, 1, 8, dtype=torch.float32), "gradcam")


def test_an_empty_map_has_a_note(library):
    explainer = FourierExplainer(Corner(), axes=("time", "mel"), labels=["a", "b"])
    result = explainer.explain(noise(1, 12, 8, dtype=torch.float32)[0], 1, method="gradcam:HiResCAM")
    assert EMPTY in result.provenance["notes"]


def test_a_layer_by_name(library):
    net, x = Net().eval(), noise(1, 1, 8, 8, dtype=torch.float32)
    (first,) = attribute(net, x, method="gradcam:layer=0")
    assert first.extras["layer"] == "0"
    with pytest.raises(SpecError, match="correct `layer`"):
        attribute(net, x, method="gradcam:layer=nothing")
    with pytest.raises(ModelError, match="name another `layer`"):
        attribute(net, x, method="gradcam:layer=5")


def test_what_has_no_grid_is_refused():
    with pytest.raises(ModelError, match="outputs correspond to positions of the input"):
        attribute(torch.nn.Linear(8, 2), noise(1, 8, dtype=torch.float32), method="gradcam")
    with pytest.raises(ModelError, match="a callable without layers"):
        attribute(lambda x: torch.stack([x.sum(1), x[:, 0]], 1), noise(1, 8), method="gradcam")


@pytest.mark.parametrize(("name", "why"), [("ScoreCAM", "for each channel"), ("Full_Grad", "one layer")])
def test_other_maps_of_the_library_are_refused_with_the_reason(name, why):
    with pytest.raises(SpecError, match=why):
        METHODS.parse(f"gradcam:{name}")
