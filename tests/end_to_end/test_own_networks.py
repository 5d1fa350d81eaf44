"""Networks and functions of users, from the how-to alone: each reaches a saved report with curves in ten lines."""

import re

import pytest
import torch

from hf_fourier import Report
from hf_fourier.results.curve import Curve

#: Sections of the page, and the packages that the stand-ins of some are built with.
SECTIONS = {
    "A picture classifier": (),
    "A sound classifier": (),
    "A classifier of volumes": (),
    "A pipeline of scikit-learn": ("sklearn",),
    "A session of onnxruntime": ("onnx", "onnxruntime"),
}


@pytest.fixture
def page(root):
    return (root / "docs/howto/my-network.md").read_text()


def blocks(page, section):
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def names_of(page, *sections):
    """The names that the blocks of these sections leave, run one after the other."""
    names = {}
    for section in sections:
        for block in blocks(page, section):
            exec(compile(block, section, "exec"), names)
    return names


@pytest.mark.parametrize("section", SECTIONS)
def test_from_the_page_alone_to_a_report_with_curves_in_ten_lines(section, page, tmp_path, monkeypatch):
    for package in SECTIONS[section]:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    first, user = "A picture classifier", blocks(page, section)[-1]
    assert len([line for line in user.splitlines() if line.strip()]) <= 10
    names = names_of(page, *dict.fromkeys((first, section)))
    (folder,) = [path for path in tmp_path.iterdir() if f'"{path.name}"' in user]
    assert (folder / "index.html").is_file()
    results = names["results"]
    assert all(isinstance(result.curve, Curve) and result.curve.points for result in results)
    page_text = (folder / "index.html").read_text()
    assert all(result.label in page_text for result in results)


def test_the_pipelines_own_band_is_named(page, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names = names_of(page, "A picture classifier", "A pipeline of scikit-learn")
    tremor = [result for result in names["results"] if result.label == "tremor"]
    assert tremor
    for result in tremor:
        assert result.layout.label(int(result.order[0])) == "15.6–31.2 Hz"  # 24 Hz decides
        predicted = names["explainer"].predict(result, signal=result.delete_top(0.2)).label
        assert (predicted, names["explainer"].predict(result).label) == ("calm", "tremor")


class Stem(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn = torch.nn.BatchNorm2d(8)
        self.act = torch.nn.SiLU(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class TimmStyle(torch.nn.Module):
    """As `timm`'s models are made: a config, features and a head apart."""

    def __init__(self, num_classes=4):
        super().__init__()
        self.pretrained_cfg = {"input_size": (3, 32, 32), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        self.num_classes = num_classes
        self.stem, self.layer4 = Stem(), torch.nn.Conv2d(8, 16, 3, padding=1)
        self.head_drop, self.fc = torch.nn.Dropout(0.2), torch.nn.Linear(16, num_classes)

    def forward_features(self, x):
        return self.layer4(self.stem(x))

    def forward(self, x):
        return self.fc(self.head_drop(self.forward_features(x).relu().mean((2, 3))))


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, x):
        return (x - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)


class Compose:
    """As torchvision's."""

    def __init__(self, *transforms):
        self.transforms = list(transforms)

    def __call__(self, x):
        for one in self.transforms:
            x = one(x)
        return x


def to_tensor(picture):
    import numpy as np

    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


def test_a_model_as_timm_makes_them_is_explained_to_a_report(tmp_path):
    from PIL import Image

    from hf_fourier import FourierExplainer

    torch.manual_seed(0)
    net = TimmStyle()  # in training mode, as it was made
    picture = Image.radial_gradient("L").resize((32, 32)).convert("RGB")
    transform = Compose(to_tensor, Normalize(net.pretrained_cfg["mean"], net.pretrained_cfg["std"]))
    explainer = FourierExplainer(net, transform, labels=list("wxyz"), axes=("height", "width"), representation="layer4")
    result = explainer.explain(picture)
    explainer.perturb(result, fractions=[0.04, 0.3])
    Report([result]).save(tmp_path / "report", include_inputs=True)
    assert (tmp_path / "report/index.html").is_file()
    assert net.training
    assert torch.equal(to_tensor(result.render()), to_tensor(picture))  # its own colours, through the normalisation
    asked = explainer.explain(picture, method="response").scores
    usual = FourierExplainer(net, transform, axes=("height", "width")).explain(picture, method="response").scores
    named = FourierExplainer(net, transform, axes=("height", "width"))
    named = named.explain(picture, method="response:representation=layer4").scores
    assert torch.equal(asked, named)
    assert not torch.allclose(asked, usual)
