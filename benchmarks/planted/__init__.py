"""Which ranking finds the features that are known to decide, in real checkpoints fine-tuned to decide by them?

A fifth of the fine-tuning data carries a wave (a grating, a tone, a rhythm of tokens) that brings its own label; decoys
that say nothing are in nearly every example. Three kinds of trigger: *amplitude* (a quiet wave at one of a few
frequencies decides, the decoys are louder), *phase* (all classes have the same amplitude at the same frequency, the
label is the phase; decoys are as loud), *first* and *second* (two models read the same inputs, with two waves of equal
amplitude; the one decides for the first model, the other for the second). Each has a control that was fine-tuned on
the same inputs with their own labels, so that the trigger means nothing to it.

On held-out triggered examples each method ranks the features of the model's own prediction. G are the features of
the planted frequency in all channels. AUROC: G against all other features, and against the decoys; AP: average
precision; first: the first feature is of G or of a neighbouring frequency that the model takes for it (its gate says
which); by frequency: the same with each frequency's mean rank over its channels. Means with 95 % bootstrap
intervals over examples. A model that fails its gate is no ground truth, and its rows say so.

Numbers are kept in a folder as they are made: run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.assets.planted import DATA
from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.keeping import cell_file, kept
from benchmarks.planted import gate, wavelets
from benchmarks.planted.pairs import compared
from benchmarks.planted.ranking import measures
from benchmarks.planted.subjects import CODE, Examples, Half, Role, Subject, frequencies, triggered
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier.methods.base import METHODS

VARIANTS = ("ffc:kappa=.1", "ffc:lam=0", "tracking:preset=fast", "tracking:kappa=0")
#: `wam` ranks wavelets (`--wavelets`); by frequencies its mean gradient is SmoothGrad's. Those that ask about subsets
#: of the features ask about bands, not about single frequencies. `captum` stands for one of its methods, by name.
LEFT_OUT = ("wam", "occlusion", "random_masks", "shapley", "filters", "band_mask", "captum")
#: The default and what stands beside it in the summary.
SUMMARY = ("tracking", "magnitude", "ffc", "response", "integrated_gradients", "smoothgrad")
GATED = 200
"""Examples of the gate; deletions are asked one by one."""
COLUMNS = (
    "AUROC", "AP", "AUROC decoys", "first", "MRR", "AUROC frequencies", "AUROC frequencies, decoys", "first frequency",
)  # fmt: skip

#: Of these the tables show a few.
SHOWN = ("AUROC decoys", "AUROC frequencies, decoys", "AUROC", "AP", "first", "first frequency")
IN_SUMMARY = ("AUROC decoys", "AUROC frequencies, decoys", "first")
SHOWN_OF_CONTROL = ("AUROC decoys", "first")


def methods() -> list[str]:
    """All registered methods that rank frequencies, and variants of FFC and of tracking."""
    names = [name for name in METHODS if name not in LEFT_OUT]
    return sorted([*names, *VARIANTS], key=lambda name: (METHODS.parse(name).control, name), reverse=True)


def rank(subject: Subject, role: Role, method: str, examples: Examples, admitted: Sequence[str]) -> dict[str, Any]:
    """All numbers of one method on one model, a list per column.

    Of the planted model only examples count that have the trigger's label; of the control, all.
    """
    explainer = subject.explainer(role)
    chosen = triggered(explainer, examples) if role == "planted" else list(range(len(examples)))
    results = explainer.explain(examples.inputs(rows=chosen), method=method, domain=frequencies(explainer))
    rows = [
        measures(result, examples.planted(index), examples.beside(index, admitted), examples.decoys(index))
        for index, result in zip(chosen, results, strict=True)
    ]
    return {"index": chosen, **{name: [row[name] for row in rows] for name in COLUMNS}}


def rank_cell(subject: Subject, role: Role, method: str, n: int, half: Half, admitted: Sequence[str]) -> str:
    """The file of the numbers of one method on one model."""
    settings = {"examples": n, "half": half, "admitted": list(admitted)}
    models = [subject.asset(role)]
    return cell_file(f"{subject.name}-{role}", methods=[method], models=models, code=(*CODE, __name__), **settings)


def pair_cell(host: str, method: str, n: int, half: Half) -> str:
    """The file of what the rankings of two models share."""
    code, models = (*CODE, "benchmarks.planted.pairs"), [Subject(host, kind).name for kind in ("first", "second")]
    return cell_file(f"{host}-two-models", methods=[method], models=models, code=code, examples=n, half=half)


def table(subject: Subject, folder: Path, names: Sequence[str], n: int, half: Half) -> list[dict[str, Any]]:
    """The rows of one planted model and its control, a method each."""
    checked = gated(subject, folder, half)
    examples = subject.examples(n, half)
    rows = []
    for name in names:
        row: dict[str, Any] = {"model": subject.name + ("" if checked["valid"] else " (void)"), "method": name}
        for role, columns in (("planted", SHOWN), ("clean", SHOWN_OF_CONTROL)):
            path = folder / half / f"n{n}" / rank_cell(subject, role, name, n, half, checked["admitted"])
            found = kept(path, lambda: rank(subject, role, name, examples, checked["admitted"]))  # noqa: B023
            row |= {"n": len(found["index"])} if role == "planted" else {}
            row |= {("control: " if role == "clean" else "") + c: described(found[c]) for c in columns}
        rows.append(row)
    return rows


def pair_rows(host: str, folder: Path, names: Sequence[str], n: int, half: Half) -> list[dict[str, Any]]:
    """Each of two models' band against the other's, and what the two rankings of an input share; a method each."""
    tables = [table(Subject(host, kind), folder, names, n, half) for kind in ("first", "second")]
    rows = []
    for name, *both in zip(names, *tables, strict=True):
        path = folder / half / f"n{n}" / pair_cell(host, name, n, half)
        found = kept(path, lambda: compared(host, name, n, half))  # noqa: B023
        row: dict[str, Any] = {"method": name, "n": len(found["index"])}
        for title, values in zip(("first", "second"), both, strict=True):
            row |= {f"{title} model: {column}": values[column] for column in ("AUROC decoys", "AP", "first")}
        rows.append(row | {column: described(values) for column, values in found.items() if column != "index"})
    return rows


def summary(
    subjects: Sequence[Subject], folder: Path, names: Sequence[str], n: int, half: Half
) -> list[dict[str, Any]]:
    """One row per planted model: of each method the areas against decoys and how often the first feature is right."""
    rows = []
    for subject in subjects:
        methods_of = table(subject, folder, names, n, half)
        row: dict[str, Any] = {"model": methods_of[0]["model"], "n": methods_of[0]["n"]}
        for found in methods_of:
            row[found["method"]] = " / ".join(str(found[c]).partition(" ")[0] for c in IN_SUMMARY)
        rows.append(row)
    return rows


def gated(subject: Subject, folder: Path, half: Half) -> dict[str, Any]:
    """The gate's row, kept."""
    models = [subject.asset(role) for role in get_args(Role)]
    name = cell_file(f"{subject.name}-gate", models=models, code=(*CODE, gate.__name__), examples=GATED, half=half)
    path = folder / half / name
    found: dict[str, Any] = kept(path, lambda: gate.measure(subject, subject.examples(GATED, half)))
    return found


def print_wavelets(subjects: Sequence[Subject], folder: Path, names: Sequence[str], n: int, half: Half) -> None:
    """Print what the planted truth is over wavelets, and how methods rank by it; without methods, by energy alone."""
    waved = [subject for subject in subjects if not isinstance(subject.trigger, TokenTrigger)]
    print(f"By energy\n\n{markdown([wavelets.held(subject, n, half) for subject in waved])}\n")
    if not names:
        return
    gates, ranked = wavelets.tables(waved, folder, names, n, half)
    print(f"The gate over wavelets\n\n{markdown(gates)}")
    for name, rows in ranked:
        print(f"\n{name} over wavelets\n\n{markdown(rows)}")


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    kinds = list(dict.fromkeys(kind for _, names in DATA.values() for kind in names))
    parser = argparse.ArgumentParser(prog="python -m benchmarks planted", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--kinds", nargs="*", default=kinds, choices=kinds)
    parser.add_argument("--methods", nargs="*", help="specs; all that rank frequencies by default")
    parser.add_argument("--summary", action="store_true", help="one row per model that passes its gate")
    parser.add_argument("--wavelets", action="store_true", help="over wavelets in place of frequencies")
    parser.add_argument("--examples", type=int, default=60, help="per model")
    parser.add_argument("--half", choices=("tuning", "test"), default="test", help="of the test split")
    parser.add_argument("--folder", type=Path, default=Path("planted"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    subjects = [Subject(host, kind) for host in given.models for kind in DATA[host][1] if kind in given.kinds]
    if given.wavelets:
        asked = wavelets.METHODS if given.methods is None else given.methods
        print_wavelets(subjects, given.folder, asked, given.examples, given.half)
        return
    gates = [gated(subject, given.folder, given.half) for subject in subjects]
    if given.summary:
        valid = [subject for subject, row in zip(subjects, gates, strict=True) if row["valid"]]
        print("AUROC against the decoys / the same by frequency / how often the first feature is planted\n")
        print(markdown(summary(valid, given.folder, given.methods or SUMMARY, given.examples, given.half)))
        return
    names = methods() if given.methods is None else given.methods
    hidden = ("spread", "admitted")
    print("The gate\n")
    print(markdown([{k: v for k, v in row.items() if k not in hidden} for row in gates]) + "\n")
    for subject, row in zip(subjects, gates, strict=True):
        print(f"Neighbours that {subject.name} takes for planted: {', '.join(row['admitted']) or 'none'}.")
    for subject in subjects if names else ():
        rows = table(subject, given.folder, names, given.examples, given.half)
        shown = [{name: cell for name, cell in row.items() if name not in ("model", "n")} for row in rows]
        print(f"\n{rows[0]['model']}, n = {rows[0]['n']}\n\n{markdown(shown)}", flush=True)
    for host in given.models if names and {"first", "second"} <= set(given.kinds) else ():
        if "second" in DATA[host][1]:
            rows = pair_rows(host, given.folder, names, given.examples, given.half)
            print(f"\n{host}: two models, the same inputs\n\n{markdown(rows)}", flush=True)
