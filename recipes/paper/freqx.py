"""FreqX: deletion in frequency and in time, layers, cost, contributions, and what a client gives away."""

from __future__ import annotations

import time

import numpy as np
import torch

from hf_fourier import attribute
from hf_fourier.evaluation.studies.class_filters import contributions, federated_profile
from hf_fourier.results.curve import FractionGrid
from recipes.paper.base import Ask, Found, Rows, experiment, played, setting, train
from recipes.paper.tabular import perceptron, tables, trained

SHARES = (0.1, 0.3)
OURS = (
    "The paper's equations and tables were not available, and no code was found, so the definition is this "
    "library's ([FreqX](methods/freqx.md)). In place of its data sets (Diabetes, Phishing, BankMarketing, "
    "SpamBase), e-mails are used as vectors of word frequencies. Their columns have no natural order, and another "
    "order gives other frequencies. "
)


@experiment(
    "freqx_deletion",
    "FreqX: deleting 10 % of the frequencies, or 30 % in time",
    ("FreqX abstract: 10 % against 30 %",),
    OURS
    + "The statement holds for any ranking that deletes the strongest frequencies first, so the magnitude is shown "
    "as a control.",
    "",
)
def deletion(ask: Ask) -> Found:
    """How many decisions turn when the top 10 or 30 % are deleted, by frequency and by place."""
    methods = ("gradient_input", "magnitude", "random")
    found, on = {}, []
    model, x, _, accuracy = trained(300 if ask.small else 2000)
    x, rows = x[: ask.many(200, 20)], []
    for domain in ("fourier", "identity"):
        for method in methods:
            turned = [flips(model, x, method, domain, share) for share in SHARES]
            rows.append(
                {"domain": domain, "method": method}
                | {f"changed at {s:.0%}": t for s, t in zip(SHARES, turned, strict=True)}
            )
    found["Perceptron on word frequencies"] = rows
    on.append(f"a perceptron (accuracy {accuracy:.2f}) on {len(x)} e-mails")
    for name, n in () if ask.small else (("wav2vec2-languages", 16), ("fashion-vit", 48), ("efficientnet-lite0", 4)):
        at = setting(ask, name, n)
        rows = []
        for domain in ("fourier", "identity"):
            for method in methods:
                results = played(at.explainer, at.examples, FractionGrid(delete=SHARES), method=method, domain=domain)
                lost = [float(np.mean([one.curve.at("delete", s).agreement < 1 for one in results])) for s in SHARES]
                rows.append(
                    {"domain": domain, "method": method}
                    | {f"changed at {s:.0%}": t for s, t in zip(SHARES, lost, strict=True)}
                )
        found[name] = rows
        on.append(at.on)
    return Found("; ".join(on), found)


def flips(model: torch.nn.Module, x: torch.Tensor, method: str, domain: str, share: float) -> float:
    """The share of decisions that turn without the top."""
    without = torch.stack([one.delete_top(share) for one in attribute(model, x, method=method, domain=domain)])
    return float((model(without).argmax(1) != model(x).argmax(1)).float().mean())


@experiment(
    "freqx_layers",
    "FreqX: layer by layer",
    ("FreqX: layer by layer",),
    OURS + "If the signs of the neurons' contributions were random, the bits would be .385 on average.",
    "",
)
def layers(ask: Ask) -> Found:
    """Information, entropy and effective frequencies of each layer."""
    model, x, _, accuracy = trained(300 if ask.small else 2000)
    found = {"Perceptron on word frequencies": profiles(attribute(model, x[: ask.many(100, 10)], method="freqx"))}
    on = [f"a perceptron (accuracy {accuracy:.2f})"]
    for name, n in () if ask.small else (("minilm-spam", 4), ("fashion-vit", 16)):
        at = setting(ask, name, n)
        found[name] = profiles(
            at.explainer.explain([e[:300] if isinstance(e, str) else e for e in at.examples], method="freqx")
        )
        on.append(at.on)
    return Found("; ".join(on), found)


def profiles(results: list) -> Rows:
    """Means over examples."""
    rows = []
    for i, name in enumerate(results[0].extras["layers"]):
        bits = [float((one.extras["information"][i] * one.extras["energy"][i]).sum()) for one in results]
        effective = [float(one.extras["effective"][i]) for one in results]
        moved = [float(one.extras["divergence"][i][max(0, i - 1)]) for one in results]
        row = {"layer": name, "cut": results[0].extras["is_cut"][i], "bits": float(np.mean(bits))}
        rows.append(
            row
            | {"effective frequencies": float(np.mean(effective)), "bits from the layer before": float(np.mean(moved))}
        )
    return rows


@experiment(
    "freqx_cost",
    "FreqX: cost",
    ("FreqX abstract: ten times faster",),
    OURS
    + "The paper does not say which baselines it was ten times faster than; here they are integrated gradients and "
    "SmoothGrad.",
    "",
)
def cost(ask: Ask) -> Found:
    """Seconds and passes for all examples at once."""
    model, x, _, _ = trained(300 if ask.small else 2000)
    x, rows = x[: ask.many(200, 10)], []
    for method in ("freqx", "gradient_input", "integrated_gradients:steps=50", "smoothgrad:samples=100", "ffc"):
        begin = time.perf_counter()
        passes = attribute(model, x, method=method, domain="fourier")[0].provenance["passes"]
        rows.append(
            {
                "method": method,
                "forward": passes["forward"],
                "backward": passes["backward"],
                "s": time.perf_counter() - begin,
            }
        )
    return Found(f"a perceptron on {len(x)} e-mails", {"All examples": rows})


@experiment(
    "freqx_contributions",
    "FreqX: what clients contribute",
    ("FreqX: contribution of clients",),
    OURS + "Here a client's contribution is the accuracy that the shared model loses without this client, on data that "
    "belong to no client.",
    "",
)
def clients(ask: Ask) -> Found:
    """Likeness of profiles beside the accuracy that is lost without each client."""
    x, y, held_out, truth = tables(750 if ask.small else 2000)
    mixed = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))  # the e-mails are sorted by class
    x, y, n = x[mixed], y[mixed], len(x) // 5
    parts = [slice(i * n, (i + 1) * n) for i in range(5)]
    draw = torch.Generator().manual_seed(0)
    data = {f"plain {i}": (x[part], y[part]) for i, part in enumerate(parts[:2])}
    data["few"] = (x[parts[2]][:40], y[parts[2]][:40])
    data["noisy"] = (x[parts[3]] + 2 * torch.randn(x[parts[3]].shape, generator=draw), y[parts[3]])
    data["wrong labels"] = (x[parts[4]], 1 - y[parts[4]])
    shared = averaged(list(data.values()))
    whole = right(shared, held_out, truth)
    results = [attribute(shared, own[:40], method="freqx") for own, _ in data.values()]
    likeness = contributions(
        torch.stack([federated_profile(some) for some in results]), [len(own) for own, _ in data.values()]
    )
    rows = []
    for name, like in zip(data, likeness.tolist(), strict=True):
        lost = whole - right(averaged([own for other, own in data.items() if other != name]), held_out, truth)
        rows.append(
            {"client": name, "examples": len(data[name][0]), "similarity": like, "accuracy lost without it": lost}
        )
    agree = float(np.corrcoef([r["similarity"] for r in rows], [r["accuracy lost without it"] for r in rows])[0, 1])
    summary = [{"accuracy of all": whole, "correlation of the two": agree}]
    return Found(f"five clients with up to {n} e-mails each", {"Clients": rows, "Together": summary})


def right(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Accuracy."""
    return float((model(x).argmax(1) == y).float().mean())


def averaged(clients: list[tuple[torch.Tensor, torch.Tensor]], rounds: int = 5) -> torch.nn.Module:
    """Federated averaging, all clients alike."""
    model = perceptron()
    for _ in range(rounds):
        start, states = {k: v.clone() for k, v in model.state_dict().items()}, []
        for x, y in clients:
            model.load_state_dict(start)
            states.append({k: v.clone() for k, v in train(model, x, y, epochs=2).state_dict().items()})
        model.load_state_dict({k: torch.stack([state[k] for state in states]).mean(0) for k in start})
    return model.eval()


@experiment(
    "freqx_privacy",
    "FreqX: what can be inverted from what a client shares",
    ("FreqX: privacy",),
    OURS + "The paper's claim of privacy has no formal analysis. Here an attack tries to reconstruct an example from "
    "each of four quantities that a client might share.",
    "",
)
def inversion(ask: Ask) -> Found:
    """How well an example can be reconstructed: correlation with the nearest of the client's own."""
    x = tables(300)[2]
    spectrum = torch.fft.rfft(x, norm="ortho")
    exact = torch.fft.irfft(spectrum, n=x.shape[1], norm="ortho")
    some = ask.many(20, 4)
    strangers = x[100:][torch.randperm(len(x) - 100, generator=torch.Generator().manual_seed(0))[:some]]

    def row(shared: str, guesses: list[torch.Tensor], own: list[torch.Tensor]) -> dict[str, object]:
        near = [likest(guess[None], some) for guess, some in zip(guesses, own, strict=True)]
        chance = [likest(strangers, some) for some in own]
        return {"shared": shared, "correlation": float(np.mean(near)), "by chance": float(np.mean(chance))}

    alone = [one[None] for one in x[:some]]
    rows = [row("one example's spectrum with its phase", list(exact[:some]), alone)]
    found = [phases(size, x.shape[1], 50 if ask.small else 500) for size in spectrum[:some].abs()]
    rows.append(row("one example's magnitudes", found, alone))
    for many in (10, 50):
        groups = [slice(i, i + many) for i in range(0, 100, many)][: 2 if ask.small else None]
        found = [phases(spectrum[group].abs().mean(0), x.shape[1], 50) for group in groups]
        rows.append(row(f"mean magnitudes of {many} examples", found, [x[group] for group in groups]))
    on = f"{some} e-mails as word frequencies; best correlation with one of the client's own, at any shift or mirrored"
    return Found(on, {"Correlation of the reconstructed example with the original": rows})


def likest(guesses: torch.Tensor, own: torch.Tensor) -> float:
    """The mean over guesses of the largest correlation with one of the client's own, shifts and mirror images tried."""
    best = []
    centred = own - own.mean(1, keepdim=True)
    for guess in guesses:
        turned = torch.stack([g.roll(s) for g in (guess, guess.flip(0)) for s in range(len(guess))])
        turned = turned - turned.mean(1, keepdim=True)
        best.append(
            float(
                (torch.nn.functional.normalize(turned, dim=1) @ torch.nn.functional.normalize(centred, dim=1).T).max()
            )
        )
    return float(np.mean(best))


def phases(magnitude: torch.Tensor, points: int, rounds: int) -> torch.Tensor:
    """Error reduction from random phases: what is known are the magnitudes, and that word shares have a least value."""
    draw = torch.Generator().manual_seed(0)
    phase = 2 * torch.pi * torch.rand(len(magnitude), generator=draw)
    guess = torch.fft.irfft(torch.polar(magnitude, phase), n=points, norm="ortho")
    for _ in range(rounds):
        guess = guess.clamp(min=-1)
        spectrum = torch.fft.rfft(guess, norm="ortho")
        guess = torch.fft.irfft(torch.polar(magnitude, spectrum.angle()), n=points, norm="ortho")
    return guess
