"""Which rhythm at which sensor does a classifier of recordings go by?

    .venv/bin/python recipes/time_series.py
    .venv/bin/accelerate launch recipes/time_series.py          # as many processes as are configured

Yours: change NET, WINDOWS and BANDS. An EEG is the same: `series_of("night.edf").windows(2)` or MNE's `Epochs` for
WINDOWS, `bands=eeg` for BANDS (docs/eeg.md). Under a minute on two cores. Offline, NET is a small convolutional
network that tells seven exercises of the shoulder apart by a smartwatch on the wrist: trained here on seven people,
explained on three others. `--model` is a file of weights that `torch.save(NET.state_dict(), file)` wrote.
"""

import numpy as np
import torch
from options import first_goes_on, options
from torch import nn

from hf_fourier import FourierExplainer, Report, demo
from hf_fourier.models.inputs.channel_series import ChannelSeries
from hf_fourier.results.channels import channel_scores

given = options(__doc__, out="hf-fourier-time-series")
SECONDS, BANDS = 4, "0-0.2+0.2-0.8+0.8-2+2-8+8-25"  # the lowest is the mean alone: how the arm is held
LABELS = sorted({one["label"] for one in demo.movements()})


def windows(split, overlap):
    """Stretches of the recordings of one split, with their labels and who made them."""
    for one in demo.movements(split):
        units = ("g",) * 3 + ("rad/s",) * 3
        series = ChannelSeries(one["values"], one["rate"], tuple(one["channels"]), units)
        for window in series.windows(SECONDS, overlap):
            yield window, one["label"], one["subject"]


def train(net, epochs):
    """Fit the network; one thread, so that the numbers are the same everywhere."""
    made = list(windows("train", 0.5))
    x = torch.from_numpy(np.stack([window.values for window, _, _ in made]))
    y = torch.tensor([LABELS.index(label) for _, label, _ in made])
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


torch.manual_seed(0)
NET = nn.Sequential(
    nn.BatchNorm1d(6), nn.Conv1d(6, 32, 9, 2, 4), nn.ReLU(), nn.Dropout(0.2), nn.Conv1d(32, 48, 9, 2, 4), nn.ReLU(),
    nn.Conv1d(48, 48, 9, 2, 4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, 7),
)  # fmt: skip
if given.model:
    NET.load_state_dict(torch.load(given.model, weights_only=True))
else:
    train(NET, 4 if given.small else 20)

HELD_OUT = list(windows("test", 0.0))[:: 40 if given.small else 6]
WINDOWS = [window for window, _, _ in HELD_OUT]
with torch.no_grad():
    all_windows = list(windows("test", 0.0))
    predicted = NET.eval()(torch.from_numpy(np.stack([window.values for window, _, _ in all_windows]))).argmax(1)
right = [LABELS[int(i)] == label for i, (_, label, _) in zip(predicted, all_windows, strict=True)]
print(f"three other people: {np.mean(right):.3f} of {len(right)} windows right (1 of 7 by chance)")

explainer = FourierExplainer(NET, labels=LABELS, method="occlusion", domain=f"fourier:bands={BANDS},channels=apart")
results = list(explainer.explain_dataset(WINDOWS, given.run, fractions=[0.1, 0.2, 0.4]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
scores = channel_scores(results)
print(scores.table())
scores.plot(f"{given.out}-channels.png")
for label in LABELS:
    own = [result for result in results if result.label == label]
    if own:
        best = channel_scores(own)
        channel, band = np.unravel_index(best.values.argmax(), best.values.shape)
        print(f"{label}: {best.bands[band]} of {best.channels[channel]} ({best.values[channel, band]:.2f})")

METHODS = ["occlusion"] if given.small else ["occlusion", "shapley", "tracking"]
evaluation = explainer.evaluate(
    WINDOWS, methods=METHODS, metrics=["dig", "maintain_rate", "selectivity"], groups=[who for _, _, who in HELD_OUT]
)
print(evaluation.summary(["dig", "selectivity (random)"]))

folder = Report(results, evaluation=evaluation).save(given.out, include_inputs=True)
print(f"report: {folder}")
