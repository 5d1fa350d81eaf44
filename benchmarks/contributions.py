"""Do the numbers that colour words, genes and pixels agree with leaving these out?

*Words and genes.* Each word of an e-mail (each gene of a cell) is left out by itself, and the change of the model's
log-odds for its answer is noted: masked (the mask token in its place), padded (the padding token in its place) or
deleted (the gap closed). A ranking's number for a word is the sum over its tokens. The tables show the mean over
examples of Spearman's ρ between the two, with 95 % bootstrap intervals, and how many examples lie below 0 by more than
noise (one-sided, 5 %, by the normal approximation: a ranking without any relation has one in twenty there).

*Photographs.* The top 1, 2, 5, 10, 20 and 40 % of the pixels, or of patches of 16 × 16, are replaced by each channel's
mean or by the blurred picture (a Gaussian of 10 pixels); the table shows the mean over fractions of the confidence that
is left, relative to the whole picture's: low is good. Gaps are paired and drawn by source.

Rankings: what results without contributions show (gradient × input of the top 4 % of FFC's features), gradient × input
of all, integrated gradients with 64 points from the mask or padding token (of pictures: from zero), contributions as
the default computes them (of words and genes), and with 4 and 8 points from each reference, also from one reference
alone. Each example's numbers are kept in a folder, and what leaving out takes beside them, for `contribution_points`
too: run the same command again to go on, or to print the tables.

`--tune` shows the same on examples that are in no table (e-mails and cells of the training halves, other photographs),
and which fraction of the features should contribute.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import assets
from benchmarks.axes import LENGTH
from benchmarks.keeping import cell_file, kept
from benchmarks.real import CLASSIFIERS, TOKEN_CLASSIFIERS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer, demo
from hf_fourier.report.figures.fonts import token_texts

POINTS = (4, 8)
TOP = 0.04
FRACTIONS = (0.3, 0.1, TOP)
OURS = "contributions, {} points"
DEFAULT = "contributions, the default"
TODAY, INTEGRATED, SALIENCY = "ffc, top 4 % × gradient", "integrated gradients, 64 points", "saliency"
WAYS = ("masked", "padded", "deleted")
AREAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
PATCH, BLUR = 16, 10.0
#: Rows that go through a model at once.
ROWS = 32
PHOTOGRAPHS = "efficientnet-lite0"
#: The demo's photographs, which contributions were chosen on.
DEMONSTRATED = ("coffee", "cat", "rocket", "astronaut")
MODELS = (*TOKEN_CLASSIFIERS, PHOTOGRAPHS)
ASKED = ("tracking", "ffc", "integrated_gradients:steps=64", "magnitude", "saliency")
"""The methods that are asked, beside contributions."""
CODE = (__name__, "benchmarks.axes", "benchmarks.real", "hf_fourier.methods.contributions")
"""The modules that the numbers depend on."""
#: ρ below which one example of twenty lies by chance, times the square root of the number of words less one.
ONE_IN_TWENTY = -1.645
Numbers = dict[str, list[float]]


def words(result: Attribution) -> np.ndarray:
    """The number of the word that each token belongs to; elsewhere each position is one."""
    if result.layout.signal.axes[0].name != "token":
        return np.arange(len(result.names))
    return np.cumsum([token.starts for token in token_texts(result.names)]) - 1


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's rank correlation; 0 where one of them is constant."""
    from scipy.stats import spearmanr

    found = float(spearmanr(a, b).statistic)
    return found if math.isfinite(found) else 0.0


def below_noise(rho: float, count: int) -> bool:
    """Whether a correlation over so many words is below 0 by more than one in twenty would be by chance."""
    return rho < ONE_IN_TWENTY / math.sqrt(max(count - 1, 1))


def rankings(explainer: FourierExplainer, example: Any, tune: bool) -> tuple[Attribution, dict[str, np.ndarray]]:
    """The example's result, and by ranking one number per position."""
    ffc = explainer.explain([example], method="ffc")[0]
    found = {
        TODAY: ffc.input_relevance(TOP, kind="gradient").values,
        "gradient × input": ffc.input_relevance(1.0, kind="gradient").values,
        INTEGRATED: explainer.explain([example], method="integrated_gradients:steps=64")[0].input_relevance().values,
    }
    default = explainer.explain([example])[0]
    if default.contributions is not None:
        found[DEFAULT] = default.input_relevance().values
    for points in POINTS:
        result = explainer.explain([example], method="magnitude", contributions=points)[0]
        found[OURS.format(points)] = result.input_relevance().values
        found |= {f"{OURS.format(points)}, {text} alone": values for text, values in by_reference(result)}
        if tune and points == POINTS[0]:
            for method in ("magnitude", "ffc"):
                ranked = replace(result, scores=ffc.scores) if method == "ffc" else result
                ways = {fraction: ranked.input_relevance(fraction).values for fraction in FRACTIONS}
                found |= {f"the top {100 * f:g} % by {method} of them": values for f, values in ways.items()}
            assert result.contributions is not None
            assert result.signal is not None
            sizes = result.contributions.by_feature(result.signal, result.basis).abs()
            own = replace(result, scores=sizes)
            ways = {fraction: own.input_relevance(fraction).values for fraction in FRACTIONS}
            found |= {f"the top {100 * f:g} % by their own size of them": values for f, values in ways.items()}
    return ffc, found


def by_reference(result: Attribution) -> Iterator[tuple[str, np.ndarray]]:
    """The contributions against each of several references."""
    signed, signal = result.contributions, result.signal
    assert signed is not None
    assert signal is not None
    channels = [i for i, axis in enumerate(result.layout.signal.axes) if axis.channel]
    if len(signed.references) > 1:
        for text, reference, gradient in zip(signed.references, signed.reference, signed.gradient, strict=True):
            yield text, ((signal - reference) * gradient).sum(dim=channels).numpy()


def log_odds(model: torch.nn.Module, rows: Sequence[dict[str, torch.Tensor]], target: int) -> list[float]:
    """The log-odds of a class for rows of inputs of any length."""
    found = [0.0] * len(rows)
    by_length: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        by_length.setdefault(len(row["input_ids"]), []).append(i)
    for places in by_length.values():
        for start in range(0, len(places), ROWS):
            chunk = places[start : start + ROWS]
            batch = {name: torch.stack([rows[i][name] for i in chunk]) for name in rows[0]}
            with torch.no_grad():
                logits = model(**batch).logits.double()
            others = logits.index_fill(1, torch.tensor([target]), -math.inf).logsumexp(1)
            for i, value in zip(chunk, (logits[:, target] - others).tolist(), strict=True):
                found[i] = value
    return found


def left_out(explainer: FourierExplainer, result: Attribution, groups: np.ndarray) -> Numbers:
    """By way of leaving a word out, what the log-odds of the answer lose with each."""
    wrapper: Any = explainer.wrapper
    inputs = {name: tensor for name, tensor in result.inputs.items() if name != "content"}
    content, ids = result.inputs["content"], inputs["input_ids"]
    padding = int(getattr(wrapper.config, "pad_token_id", 0) or 0)
    mask = padding if wrapper.mask_id is None else int(wrapper.mask_id)
    own = [content[torch.from_numpy(groups == word)] for word in range(int(groups.max()) + 1)]
    rows: dict[str, list[dict[str, torch.Tensor]]] = {way: [] for way in WAYS}
    for places in own:
        for way, token in (("masked", mask), ("padded", padding)):
            rows[way].append({**inputs, "input_ids": ids.index_fill(0, places, token)})
        stays = torch.ones(len(ids), dtype=torch.bool).index_fill(0, places, False)
        rows["deleted"].append({name: tensor[stays] for name, tensor in inputs.items()})
    target = int(result.target)
    (whole,) = log_odds(explainer.model, [inputs], target)
    return {way: [whole - value for value in log_odds(explainer.model, rows[way], target)] for way in WAYS}


def kept_left_out(
    folder: Path, name: str, n: int, i: int, explainer: FourierExplainer, result: Attribution, groups: np.ndarray
) -> Numbers:
    """The same of example `i` of `n` of a model, kept in its folder."""
    file = cell_file(f"left-out-{i}", models=[name], code=(__name__, "benchmarks.axes", "benchmarks.real"), examples=n)
    found: Numbers = kept(folder / file, lambda: left_out(explainer, result, groups))
    return found


def of_words(
    explainer: FourierExplainer, example: Any, tune: bool, truth_of: Callable[[Attribution, np.ndarray], Numbers]
) -> dict[str, Any]:
    """One e-mail or cell: the correlation of each ranking with each way of leaving words out."""
    result, found = rankings(explainer, example, tune)
    groups = words(result)
    count = int(groups.max()) + 1
    truth = truth_of(result, groups)
    sums = {name: np.bincount(groups, weights=values, minlength=count) for name, values in found.items()}
    rho = {name: {way: spearman(numbers, truth[way]) for way in WAYS} for name, numbers in sums.items()}
    between = {f"{a} and {b}": spearman(truth[a], truth[b]) for a, b in (WAYS[:2], WAYS[1:], WAYS[::2])}
    return {"words": count, "label": result.label, "rho": rho, "between": between}


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Pictures `(rows, channels, height, width)` through a Gaussian, mirrored at the edges."""
    radius = int(3 * BLUR)
    weights = (-(torch.arange(-radius, radius + 1).float() / BLUR).square() / 2).exp()
    kernel = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    pad, conv = torch.nn.functional.pad, torch.nn.functional.conv2d
    wide = conv(pad(x, (radius, radius, 0, 0), mode="reflect"), kernel, groups=x.shape[1])
    return conv(pad(wide, (0, 0, radius, radius), mode="reflect"), kernel.transpose(2, 3), groups=x.shape[1])


def deletion_masks(values: torch.Tensor, patch: int) -> torch.Tensor:
    """Which pixels go at each fraction, the highest first, by patches: `(fractions, 1, height, width)`."""
    pooled = torch.nn.functional.avg_pool2d(values[None, None].float(), patch)[0, 0]
    order = pooled.flatten().argsort(descending=True, stable=True)
    masks = torch.zeros(len(AREAS), order.numel())
    for row, fraction in zip(masks, AREAS, strict=True):
        row[order[: max(1, round(fraction * order.numel()))]] = 1
    return torch.nn.functional.interpolate(masks.view(-1, 1, *pooled.shape), scale_factor=patch)


def of_pictures(explainer: FourierExplainer, example: Any) -> dict[str, Any]:
    """One photograph: by ranking, the confidence that is left when its top goes, by grain and filling."""
    result, found = rankings(explainer, example, tune=False)
    position = explainer.explain([example], method="saliency", domain="identity:grain=position")[0]
    found[SALIENCY] = position.input_relevance().values
    found["random"] = np.random.default_rng(result.key % 2**32).random(found[SALIENCY].shape)
    assert result.signal is not None
    assert result.confidence is not None
    x = result.signal.unsqueeze(0)
    fillings = {"mean": x.mean((2, 3), keepdim=True), "blur": blurred(x)}
    left: dict[str, dict[str, float]] = {}
    for name, values in found.items():
        for grain, patch in (("pixels", 1), ("patches", PATCH)):
            masks = deletion_masks(torch.from_numpy(np.array(values)), patch)
            for filling, filler in fillings.items():
                with torch.no_grad():
                    logits = explainer.model(pixel_values=x * (1 - masks) + filler * masks).logits
                kept_confidence = float(logits.softmax(1)[:, int(result.target)].mean()) / result.confidence
                left.setdefault(name, {})[f"{grain}, {filling}"] = kept_confidence
    return {"left": left, "label": result.label, "confidence": result.confidence}


def word_rows(name: str, numbers: Sequence[dict[str, Any]], groups: Sequence[Any]) -> list[dict[str, Any]]:
    """The table of a model of words or genes."""
    rows = []
    for ranking in numbers[0]["rho"]:
        row: dict[str, Any] = {"model": name, "n": len(numbers), "ranking": ranking}
        for way in WAYS:
            rho = [one["rho"][ranking][way] for one in numbers]
            low = sum(below_noise(r, one["words"]) for r, one in zip(rho, numbers, strict=True))
            row |= {way: described(rho, groups), f"{way}: below 0 (clearly)": f"{sum(r < 0 for r in rho)} ({low})"}
        rows.append(row)
    return rows


def picture_rows(numbers: Sequence[dict[str, Any]], groups: Sequence[Any]) -> list[dict[str, Any]]:
    """The table of photographs, with the gaps to saliency and to integrated gradients."""
    rows = []
    for ranking, ways in numbers[0]["left"].items():
        for way in ways:
            own = [one["left"][ranking][way] for one in numbers]
            row: dict[str, Any] = {"ranking": ranking, "deleted, filled by": way, "left": described(own, groups)}
            for other in (SALIENCY, INTEGRATED):
                gaps = [value - one["left"][other][way] for value, one in zip(own, numbers, strict=True)]
                row[f"gap to {other.partition(',')[0]}"] = "" if ranking == other else described(gaps, groups)
            rows.append(row)
    return rows


def examples_of(name: str, n: int, tune: bool) -> tuple[list[Any], list[Any]]:
    """Examples of a model with their groups; for tuning, others."""
    if name == PHOTOGRAPHS:  # tuned on the demo's photographs and crops of them, shown on those of other authors
        chosen = [entry for entry in assets.photographs() if (entry["name"] in DEMONSTRATED) == tune][:n]
        return [entry["picture"] for entry in chosen], [entry["source"] for entry in chosen]
    if tune and name == "minilm-spam":
        mails = demo.emails(split="train")
        kinds = [[text for text, label in mails if label == kind] for kind in (0, 1)]
        return [text for pair in zip(*kinds, strict=False) for text in pair][:n], list(range(n))
    if tune and name == "pbmc-geneformer":
        return demo.cells("train")[:n], list(range(n))
    real = CLASSIFIERS[name]
    examples = real.examples(2 * n)
    return (examples[n:], real.groups(2 * n)[n:]) if tune else (examples[:n], real.groups(n))


def measured(name: str, n: int, tune: bool, folder: Path) -> tuple[list[dict[str, Any]], list[Any]]:
    """Each example's numbers, with its group."""
    explainer = CLASSIFIERS[name].explainer()
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples, groups = examples_of(name, n, tune)
    found, own = [], folder_of(folder, name, tune)

    def measure(i: int, example: Any) -> dict[str, Any]:
        if name == PHOTOGRAPHS:
            return of_pictures(explainer, example)
        truth_of = partial(kept_left_out, own, name, n, i, explainer)
        return of_words(explainer, example, tune, truth_of)

    for i, example in enumerate(examples):
        file = cell_file(str(i), methods=ASKED, models=[name], code=CODE, examples=n, tuning=tune)
        found.append(kept(own / file, partial(measure, i, example)))
    return found, groups


def folder_of(folder: Path, name: str, tune: bool) -> Path:
    """Where the numbers of a model lie."""
    return folder / f"{name}{'-tuning' if tune else ''}"


def parser_of(name: str, description: str | None, models: Sequence[str]) -> argparse.ArgumentParser:
    """The options of a benchmark of contributions."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=description)
    parser.add_argument("--models", nargs="*", default=["minilm-spam", "pbmc-geneformer"], choices=models)
    parser.add_argument("--examples", type=int, default=64, help="e-mails, cells and sequences")
    parser.add_argument("--tune", action="store_true", help="on examples that are in no table")
    parser.add_argument("--folder", type=Path, default=Path("contributions"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = parser_of("contributions", __doc__, MODELS)
    parser.add_argument("--pictures", type=int, default=33)
    parser.set_defaults(models=["minilm-spam", "pbmc-geneformer", PHOTOGRAPHS])
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    for name in given.models:
        n = given.pictures if name == PHOTOGRAPHS else given.examples
        numbers, groups = measured(name, n, given.tune, given.folder)
        if name == PHOTOGRAPHS:
            print(f"{len(numbers)} photographs from {len(set(groups))} sources\n")
            print(markdown(picture_rows(numbers, groups)) + "\n")
            continue
        print(markdown(word_rows(name, numbers, groups)) + "\n")
        means = {pair: float(np.mean([one["between"][pair] for one in numbers])) for pair in numbers[0]["between"]}
        print("ρ between the ways: " + ", ".join(f"{pair} {value:.2f}" for pair, value in means.items()) + "\n")
