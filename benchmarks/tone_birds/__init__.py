"""Does a method find the parts of a sound that the model uses? Sounds whose parts can be left out as they are rendered.

Tone birds (`benchmarks/tone_birds/sounds.py`) have five parts, with frequencies of their own, and 50 classes. Training
leaves out parts at random, so that a sound without a part is a usual one: what the model's score loses without a part
is a truth that no deletion in the spectrum can spoil. Each method ranks 40 bands of 50 Hz for the model's own answer.
A band's score is divided among the parts by their power in it; their sums are the parts' importances.

On held-out sounds, one of each class, that the model classifies correctly: *rank correlation* of the importances with
the losses (Spearman, over the five parts); *top part*: the most important part is the one without which most is lost;
*kept by two*: the answer stays where the two most important parts alone are rendered, with the distractor and the
noise; *lost without one*: it changes where the most important part is not rendered; *says nothing*: the share of all
importances, by size, that goes to the distractor and the noise, without which nothing is lost. *passes* are those of
one explanation. The row *truth* ranks the parts by the losses themselves. Means have 95 % bootstrap intervals.

The network and each row are kept in a folder: run the same command again to go on. A changed method is measured again;
after other changes of hf_fourier use `--again`. `--minutes` stops in time.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from benchmarks.keeping import cell_file, kept
from benchmarks.statistics import described
from benchmarks.tables import markdown
from benchmarks.tone_birds.listener import Listener, trained
from benchmarks.tone_birds.sounds import CLASSES, PARTS, REST, Birds
from hf_fourier import attribute
from hf_fourier.errors import FourierError, MissingExtraError
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.methods import METHODS
from hf_fourier.results.attribution import Attribution

Model = Callable[[Tensor], Tensor]
DOMAIN = "fourier:bands=40"
HELD_OUT = 10**9
"""The seed of held-out sounds; training has smaller ones."""
TRUTH = "truth"
CODE = (__name__, "benchmarks.tone_birds.listener", "benchmarks.tone_birds.sounds")
"""The modules that the numbers depend on."""


def importances(result: Attribution, components: Mapping[str, Tensor]) -> dict[str, float]:
    """Each component's part of the scores: of every feature in proportion to the power that it has there.

    Args:
        result: The ranking of one sound.
        components: What the sound is made of, by name, shape `(samples,)` each.
    """
    basis = result.basis
    coefficients = basis.forward(torch.stack(list(components.values())).to(result.scores.dtype))
    power = basis.inner(coefficients, coefficients)
    shares = power / power.sum(0).clamp(min=torch.finfo(power.dtype).tiny)
    return dict(zip(components, (shares * result.scores).sum(1).tolist(), strict=True))


def scores_of(model: Model, sounds: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probability of each label, and whether it is the answer."""
    with torch.inference_mode():
        answers = model(sounds).log_softmax(-1)
    return answers.gather(1, labels[:, None])[:, 0], answers.argmax(1) == labels


class Trial:
    """A model, held-out sounds that it classifies correctly, and what it loses without each of their components."""

    def __init__(self, model: Model, birds: Birds) -> None:
        self.model, labels = model, birds.labels
        made = birds.components()
        sounds = torch.stack(list(made.values())).sum(0)
        before, right = scores_of(model, sounds, labels)
        self.accuracy, rows = float(right.double().mean()), right.nonzero()[:, 0]
        self.sounds, self.labels = sounds[rows], labels[rows]
        self.components = [{name: sound[row] for name, sound in made.items()} for row in rows.tolist()]
        lost = {name: before - scores_of(model, sounds - made[name], labels)[0] for name in made}
        self.losses = [{name: float(loss[row]) for name, loss in lost.items()} for row in rows.tolist()]

    def rendered(self, chosen: Sequence[Sequence[str]]) -> Tensor:
        """Each sound with its chosen parts alone, the distractor and the noise."""
        return torch.stack(
            [
                torch.stack([own[name] for name in (*parts, *REST)]).sum(0)
                for own, parts in zip(self.components, chosen, strict=True)
            ]
        )

    def row(self, found: Sequence[Mapping[str, float]]) -> dict[str, str]:
        """All numbers of the importances of each sound's components."""
        ordered = [sorted(PARTS, key=lambda name: -own[name]) for own in found]
        truth = [max(PARTS, key=lambda name: losses[name]) for losses in self.losses]
        pairs = list(zip(found, self.losses, strict=True))
        found_and_lost = ([[one[p] for p in PARTS] for one in pair] for pair in pairs)
        correlations = [value for pair in found_and_lost if not math.isnan(value := rank_correlation(*pair))]
        _, stays = scores_of(self.model, self.rendered([names[:2] for names in ordered]), self.labels)
        _, there = scores_of(self.model, self.rendered([names[1:] for names in ordered]), self.labels)
        sizes = [[sum(abs(own[name]) for name in names) for names in (REST, (*PARTS, *REST))] for own in found]
        return {
            "rank correlation": described(correlations or [0.0]),
            "top part": described([float(names[0] == best) for names, best in zip(ordered, truth, strict=True)]),
            "kept by two": described(stays.double().tolist()),
            "lost without one": described((~there).double().tolist()),
            "says nothing": described([rest / max(whole, 1e-12) for rest, whole in sizes]),
        }

    def asked(self, method: str) -> dict[str, str]:
        """The row of a method."""
        results = attribute(self.model, self.sounds, method=method, domain=DOMAIN, batch_size=64, contributions=0)
        found = [importances(result, own) for result, own in zip(results, self.components, strict=True)]
        spent = [result.provenance["passes"] for result in results]
        passes = " + ".join(f"{fmean(one[way] for one in spent):.0f}" for way in ("forward", "backward"))
        return {**self.row(found), "passes": passes}


def parts_table(trial: Trial) -> list[dict[str, Any]]:
    """What is lost without each component, and how often a sound loses most without it."""
    most = [max(PARTS, key=lambda name: losses[name]) for losses in trial.losses]
    return [
        {
            "component": name,
            "lost": described([losses[name] for losses in trial.losses]),
            "loses most": described([float(one == name) for one in most]) if name in PARTS else "–",
        }
        for name in (*PARTS, *REST)
    ]


def asked_or_refused(trial: Trial, method: str) -> dict[str, str]:
    """The row of a method, or the reason why there is none.

    Raises:
        MissingExtraError: If it needs a library that is not installed, which is no reason to keep.
    """
    try:
        return {"method": method, **trial.asked(method)}
    except MissingExtraError:
        raise
    except FourierError as error:
        return {"method": method, "reason": str(error)}


def kept_network(path: Path, steps: int, seed: int) -> Listener:
    """The network with the weights that a file holds, trained first where it does not exist."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(trained(steps, seed=seed).state_dict(), path)
    network = Listener()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tone_birds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--methods", nargs="*", default=list(METHODS), help="specs; all by default")
    parser.add_argument("--sounds", type=int, default=CLASSES, help="held out")
    parser.add_argument("--steps", type=int, default=400, help="of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after so many")
    parser.add_argument("--folder", type=Path, default=Path("tone_birds"), help="where numbers are kept")
    parser.add_argument("--again", action="store_true", help="measure though numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    end, folder = time.monotonic() + 60 * given.minutes, given.folder / f"{given.steps}-{given.seed}"
    birds = Birds(torch.arange(given.sounds) % CLASSES, HELD_OUT)
    network = Path(cell_file("network", code=CODE[1:], steps=given.steps, seed=given.seed)).with_suffix(".pt")
    trial = Trial(kept_network(folder / network, given.steps, given.seed), birds)
    print(f"{len(trial.labels)} of {given.sounds} held-out sounds are classified correctly.\n")
    print(markdown(parts_table(trial)) + "\n")
    rows, reasons = [{"method": TRUTH, **trial.row(trial.losses), "passes": "–"}], []
    for name in given.methods:
        if time.monotonic() > end:
            print(f"{name} and what follows is left: run the same command again", file=sys.stderr)
            break
        settings = {"sounds": given.sounds, "steps": given.steps, "seed": given.seed}
        path = folder / f"n{given.sounds}" / cell_file("tones", methods=[name], code=CODE, **settings)
        if given.again:
            path.unlink(missing_ok=True)
        try:
            row = kept(path, lambda: asked_or_refused(trial, name))  # noqa: B023
        except MissingExtraError as error:
            reasons.append(f"- `{name}` is not measured: {error}")
            continue
        if "reason" in row:
            reasons.append(f"- `{name}` does not run: {row['reason']}")
        else:
            rows.append(row)
    print(markdown(sorted(rows, key=lambda row: (row["method"] != TRUTH, -float(row["rank correlation"].split()[0])))))
    print("\n" + "\n".join(reasons))
