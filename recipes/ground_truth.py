"""Does a method find a frequency that is known to decide? Check it before you believe it on your model.

    .venv/bin/python recipes/ground_truth.py

Yours: change METHODS, or put your own network into `train`. Under a minute on two cores.
Each of four classes is one frequency in noise; a small network learns to tell them apart; a ranking is right for a
signal where its first feature is the planted frequency of the signal's class. The whole published experiment, with 50
variances of the noise, is `python -m recipes.paper ground_truth`.
"""

import torch
from options import first_goes_on, options

from hf_fourier import Report, attribute

given = options(__doc__, out="hf-fourier-ground-truth")
first_goes_on()  # nothing here is shared among processes
METHODS = ["tracking", "ffc:lam=0", "ffc", "closed_loop", "gradient_input", "magnitude", "low_frequency", "random"]
PLANTED = [18, 27, 30, 47]  # cycles per signal
SIGNALS, POINTS, VARIANCE = 400 if given.small else 2000, 200, 5.0

torch.manual_seed(0)
label = torch.arange(SIGNALS) % len(PLANTED)
waves = torch.stack([torch.cos(2 * torch.pi * k * torch.arange(POINTS) / POINTS) for k in PLANTED])
signals = waves[label] + VARIANCE**0.5 * torch.randn(SIGNALS, POINTS)


def train(x: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    """A network with one hidden layer."""
    network = torch.nn.Sequential(torch.nn.Linear(POINTS, 128), torch.nn.ReLU(), torch.nn.Linear(128, len(PLANTED)))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(20):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimiser.step()
    return network.eval()


half = SIGNALS // 2
network = train(signals[:half], label[:half])
held_out, truth = signals[half:], label[half:]
right = float((network(held_out).argmax(1) == truth).float().mean())
print(f"the network is right on {right:.3f} of the signals that it has not seen")

wanted = torch.tensor(PLANTED)[truth]
results = {method: attribute(network, held_out, method=method) for method in METHODS}
for method, some in results.items():
    first = torch.stack([one.layout["frequency"][one.order[0]] * POINTS for one in some]).round().long()
    print(f"{method:16} puts the planted frequency first for {float((first == wanted).float().mean()):.3f}")

shown = [one for method in ("ffc:lam=0", "magnitude") for one in results[method][:4]]
folder = Report(shown, title="Planted frequencies").save(given.out, include_inputs=True)
print(f"report: {folder}")
