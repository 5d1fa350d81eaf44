"""What may clients tell each other of their models' frequencies, and does it say whose data matter?

    .venv/bin/python recipes/federated_freqx.py

Yours: change CLIENTS. About a minute on two cores.
Each client explains its own examples with the shared model and sends one number per frequency, a mean of magnitudes
without phase. The likeness of a client's profile to the others' is held against what the model loses without the
client, which is what a contribution should mean. A profile is no privacy guarantee: see
`hf_fourier.evaluation.studies.class_filters`.
"""

import numpy as np
import torch
from options import first_goes_on, options

from benchmarks import assets
from hf_fourier import Report, attribute
from hf_fourier.evaluation.studies.class_filters import contributions, federated_profile

given = options(__doc__, out="hf-fourier-federated-freqx")
first_goes_on()  # nothing here is shared among processes
N, ROUNDS = (200, 3) if given.small else (1500, 10)
CLOTHES = assets.fashion("train", 6 * N)
NAMES = sorted({one["label"] for one in CLOTHES})
pixels = torch.stack([torch.from_numpy(np.array(one["picture"].convert("L"))) / 255.0 for one in CLOTHES])
labels = torch.tensor([NAMES.index(one["label"]) for one in CLOTHES])

torch.manual_seed(0)
test, test_labels = pixels[5 * N :], labels[5 * N :]
CLIENTS = {  # name -> its pictures and labels
    "plain": (pixels[:N], labels[:N]),
    "plain too": (pixels[N : 2 * N], labels[N : 2 * N]),
    "three classes": tuple(part[labels[2 * N : 3 * N] < 3] for part in (pixels[2 * N : 3 * N], labels[2 * N : 3 * N])),
    "noisy": (pixels[3 * N : 4 * N] + 0.5 * torch.randn(N, 28, 28), labels[3 * N : 4 * N]),
    "wrong labels": (pixels[4 * N : 5 * N], labels[4 * N : 5 * N][torch.randperm(N)]),
}


def trained(clients: list[str]) -> torch.nn.Module:
    """Federated averaging: in each round every client trains a copy, and the copies' weights are averaged."""
    torch.manual_seed(0)
    sizes = [torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU()]
    model = torch.nn.Sequential(*sizes, torch.nn.Linear(64, len(NAMES)))
    for _ in range(ROUNDS):
        start = {name: weight.clone() for name, weight in model.state_dict().items()}
        mean = {name: torch.zeros_like(weight) for name, weight in start.items()}
        for client in clients:
            model.load_state_dict(start)
            optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
            x, y = CLIENTS[client]
            for batch in torch.randperm(len(x)).split(32):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimiser.step()
            mean = {name: mean[name] + weight / len(clients) for name, weight in model.state_dict().items()}
        model.load_state_dict(mean)
    return model.eval()


def accuracy(model: torch.nn.Module) -> float:
    """On pictures that no client has."""
    return float((model(test).argmax(1) == test_labels).float().mean())


shared = trained(list(CLIENTS))
whole = accuracy(shared)
results = {name: attribute(shared, x[:60], method="freqx") for name, (x, _) in CLIENTS.items()}
profiles = torch.stack([federated_profile(some) for some in results.values()])
likeness = contributions(profiles, [len(x) for x, _ in CLIENTS.values()])
print(f"accuracy of the shared model: {whole:.3f}\n{'client':14} likeness  accuracy lost without it")
for name, like in zip(CLIENTS, likeness.tolist(), strict=True):
    print(f"{name:14} {like:8.3f}  {whole - accuracy(trained([other for other in CLIENTS if other != name])):+.3f}")
print("Where the two columns do not agree, likeness is no contribution.")

layers = results["plain"][0].extras
for name, bits, effective in zip(layers["layers"], layers["information"].mean(1), layers["effective"], strict=True):
    print(f"layer {name}: {float(effective):.0f} effective frequencies, {float(bits):.2f} bits (by chance .39)")
folder = Report(results["plain"][:12], title="FreqX, one client").save(given.out, include_inputs=True)
print(f"report: {folder}")
