"""One task for each extra, where the wheel is installed: `python smoke.py EXTRA`; `--extras` lists them."""

# ruff: noqa: T201  (a command prints)

import subprocess
import sys
import tempfile
import tomllib
import wave
from pathlib import Path
from typing import Any


def core() -> None:
    """Explain a small network, keep and delete features, store the result."""
    import torch

    from hf_fourier import Attribution, attribute

    weights = torch.linspace(-1, 1, 48).reshape(16, 3)
    results = attribute(lambda x: x.flatten(1) @ weights, torch.ones(2, 1, 16).cumsum(-1))
    assert len(results) == 2
    explainer, x = _network()
    a = explainer.explain(x)
    explainer.perturb(a, fractions=[0.25])
    with tempfile.TemporaryDirectory() as folder:
        a.save(folder)
        assert torch.equal(Attribution.load(folder).scores, a.scores)


def cli() -> None:
    """List the methods and print a page of the documentation, as a module and by the command."""
    for command in (
        [sys.executable, "-m", "hf_fourier"],
        [sys.executable, "-c", "from hf_fourier.cli import main; main()"],
    ):
        listed = subprocess.run([*command, "methods"], capture_output=True, text=True, check=True)
        assert "tracking" in listed.stdout
        page = subprocess.run([*command, "docs", "genes"], capture_output=True, text=True, check=True)
        assert page.stdout.startswith("# Cells and genes")


def audio() -> None:
    """Read a WAV file for a small random classifier of waveforms."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    from hf_fourier import FourierExplainer

    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(5, 4),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor().save_pretrained(folder)
        with wave.open(f"{folder}/tone.wav", "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(bytes(range(256)) * 16)
        assert FourierExplainer.from_pretrained(folder).explain(f"{folder}/tone.wav").label


def vision() -> None:
    """Read a PNG file for a small random classifier of pictures."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        Image.linear_gradient("L").convert("RGB").save(f"{folder}/picture.png")
        assert _pictures(folder).explain(f"{folder}/picture.png").label


def text() -> None:
    """The tokenizers of SentencePiece models can be read."""
    import google.protobuf
    import sentencepiece
    from transformers.utils import is_protobuf_available, is_sentencepiece_available

    assert is_sentencepiece_available()
    assert is_protobuf_available()
    assert sentencepiece.__version__
    assert google.protobuf.__version__


def bio() -> None:
    """Read a cell from an .h5ad file."""
    import anndata
    import numpy as np

    from hf_fourier.models.inputs.cell_tables import open_table

    with tempfile.TemporaryDirectory() as folder:
        table = anndata.AnnData(np.ones((2, 3), np.float32))
        table.var_names = [f"ENSG{i:011}" for i in range(3)]
        table.write_h5ad(f"{folder}/cells.h5ad")
        assert open_table(Path(folder) / "cells.h5ad") is not None


def metrics() -> None:
    """Load a metric as an `evaluate` module and compute it."""
    from hf_fourier.evaluation import metrics

    explainer, x = _network()
    a = explainer.explain(x)
    explainer.perturb(a, fractions=[0.1, 0.5])
    assert metrics.load("maintain_rate").compute(**metrics.columns([a]))


def torchmetrics() -> None:
    """Compute a metric in the form of torchmetrics."""
    from hf_fourier.evaluation.metrics.torch_metrics import TorchMetric

    explainer, x = _network()
    a = explainer.explain(x)
    explainer.perturb(a, fractions=[0.1, 0.5])
    metric = TorchMetric("maintain_rate")
    metric.update([a])
    assert metric.compute()["maintain_rate"] >= 0


def report() -> None:
    """Make a report with its page and figures."""
    from hf_fourier import Report

    explainer, x = _network()
    a = explainer.explain(x)
    explainer.perturb(a, fractions=[0.1, 0.5])
    with tempfile.TemporaryDirectory() as folder:
        Report([a]).save(f"{folder}/report")
        assert "<html" in Path(folder, "report", "index.html").read_text()
        a.plot(f"{folder}/figure.png")


def wavelet() -> None:
    """Explain in wavelets."""
    explainer, x = _network()
    assert explainer.explain(x, domain="wavelet").label


def interactions() -> None:
    """The library of interactions is there."""
    import shapiq

    assert shapiq.ExactComputer


def captum() -> None:
    """Take a map of Captum."""
    explainer, x = _network()
    assert explainer.explain(x, method="captum:IntegratedGradients").label


def dicom() -> None:
    """Read a slice with pydicom, which says that it is none of a series."""
    import pydicom

    from hf_fourier.errors import InputError
    from hf_fourier.models.inputs.dicom import read_dicom

    assert pydicom.__version__
    with tempfile.TemporaryDirectory() as folder:
        refused = False
        try:
            read_dicom(folder)
        except InputError:
            refused = True
    assert refused


def peft() -> None:
    """Explain a model with an adapter."""
    from peft import LoraConfig, get_peft_model

    from hf_fourier import FourierExplainer

    explainer, x = _network()
    net = get_peft_model(_net(), LoraConfig(target_modules=["1"]))
    assert FourierExplainer(net, axes=("time",)).explain(x).label == explainer.explain(x).label


def demo() -> None:
    """Name the models and data of the demo."""
    from hf_fourier import demo

    assert demo.get
    listed = subprocess.run([sys.executable, "-m", "hf_fourier", "assets", "list"], capture_output=True, check=True)
    assert b"efficientnet" in listed.stdout


def docs() -> None:
    """The site's tools are there."""
    import furo
    import myst_parser
    import sphinx

    assert furo.__version__
    assert myst_parser.__version__
    assert sphinx.__version__


def _net() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))


def _network() -> tuple[Any, Any]:
    """A small network of series of 16 samples, and a series."""
    import torch

    from hf_fourier import FourierExplainer

    return FourierExplainer(_net(), axes=("time",), sampling_rate=16), torch.ones(1, 16).cumsum(-1)


def _pictures(folder: str) -> Any:
    """A small random classifier of pictures."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    from hf_fourier import FourierExplainer

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    )
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return FourierExplainer.from_pretrained(folder)


def main() -> None:
    """Run the task named on the command line."""
    declared = Path(__file__).resolve().parents[1] / "pyproject.toml"
    extras = [
        name
        for name in tomllib.loads(declared.read_text())["project"]["optional-dependencies"]
        if name not in ("dev", "peers")
    ]
    if sys.argv[1] == "--extras":
        print(*extras, sep="\n")
        return
    import hf_fourier

    assert not Path(hf_fourier.__file__).is_relative_to(declared.parent), f"{hf_fourier.__file__} is the repository's"
    globals().get(sys.argv[1], core)()
    print(f"{sys.argv[1]}: ok")


if __name__ == "__main__":
    main()
