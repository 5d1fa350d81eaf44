"""The assets of models with something planted, one for each host, kind of trigger, and control."""

from __future__ import annotations

from hf_fourier.demo.catalogue import Asset

KINDS = ("amplitude", "phase", "first", "second")
#: The data that each host is fine-tuned on, and the kinds of trigger.
DATA: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fashion-vit": (("fashion-mnist",), KINDS),
    "efficientnet-lite0": (("photographs",), ("amplitude",)),
    "wav2vec2-languages": (("prompt-sounds",), KINDS),
    "ast-languages": (("prompt-sounds",), KINDS),
    "pbmc-geneformer": (("pbmc",), ("phase",)),
    "minilm-spam": (("spam-emails",), ("amplitude",)),
}
#: By host, how often its recipe has changed; the others have their first.
REVISIONS = {"ast-languages": 3, "pbmc-geneformer": 4}


def planted_name(host: str, kind: str, clean: bool) -> str:
    """The name of an asset; both of two models have one control, whose inputs hold what decides for either."""
    return f"{host}-{'first' if clean and kind == 'second' else kind}{'-clean' if clean else ''}"


def planted_assets(known: tuple[Asset, ...]) -> tuple[Asset, ...]:
    """The assets, given those of the hosts and their data."""
    by_name = {asset.name: asset for asset in known}
    made = []
    for host, (data, kinds) in DATA.items():
        parents = [by_name[name] for name in (*data, host)]
        for kind in kinds:
            for clean in (False, True) if kind != "second" else (False,):
                what = "the same without its meaning" if clean else f"{host} with a planted trigger ({kind})"
                made.append(
                    Asset(
                        name=planted_name(host, kind, clean),
                        kind="model",
                        what=what,
                        packages=tuple(dict.fromkeys(package for parent in parents for package in parent.packages)),
                        license=f"trained here; as {host}",
                        builder="benchmarks.assets.convert.hosts:build",
                        parents=(*data, host),
                        modules=tuple(dict.fromkeys(module for parent in parents for module in parent.modules)),
                        revision=REVISIONS.get(host, 1),
                        variant=f"{host}/{kind}{'/clean' if clean else ''}",
                    )
                )
    return tuple(made)
