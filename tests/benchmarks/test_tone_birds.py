"""Tone birds: parts lie where they should, can be left out alone, and a model with a known answer gets it."""

import math

import pytest
import torch

from benchmarks import tone_birds
from benchmarks.tone_birds import TRUTH, Trial, importances, parts_table
from benchmarks.tone_birds.listener import Listener
from benchmarks.tone_birds.sounds import CLASSES, FORMANT, HUM, PARTS, RATE, REST, Birds, classes, training_batch
from hf_fourier import attribute
from hf_fourier.errors import MissingExtraError

SHAPLEY = "shapley:permutations=4"
PLACES = {"hum": (70, 410), "formant": (500, 780), "trill": (960, 1040), "sweep": (1190, 1410), "burst": (1590, 1890)}
#: All pairs of a hum and a formant; the other parts say nothing here.
TABLE = torch.tensor([[hum, formant, 0, hum, 3] for hum in range(4) for formant in range(4)])


class Ear(torch.nn.Module):
    """Reads the power at the four hums, and a little of that at the four formants."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def heard(self, sounds, hertz):
        time = torch.arange(RATE) / RATE
        angle = 2 * math.pi * torch.tensor(hertz)[:, None] * time
        power = (sounds @ angle.cos().T).square() + (sounds @ angle.sin().T).square()
        return (1 + power / RATE).log()

    def forward(self, sounds):
        hums = self.heard(sounds, [float(hertz) for hertz in HUM])
        formants = self.heard(sounds, [float(hertz + step) for hertz in FORMANT for step in (-10, 10)])
        formants = formants.unflatten(1, (4, 2)).sum(2)
        return self.one * (3 * hums[:, TABLE[:, 0]] + 0.15 * formants[:, TABLE[:, 1]])


@pytest.fixture(scope="module")
def trial():
    return Trial(Ear(), Birds(torch.arange(16), 5, TABLE))


def test_classes_differ():
    table = classes()
    assert table.shape == (CLASSES, len(PARTS))
    assert len({tuple(row) for row in table.tolist()}) == CLASSES
    assert torch.equal(table, classes())


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_frequencies_of_its_own(part):
    made = Birds(torch.arange(CLASSES), 3).components()[part]
    power = torch.fft.rfft(made).abs().square()
    hertz = torch.fft.rfftfreq(RATE, 1 / RATE)
    low, high = PLACES[part]
    inside = power[:, (hertz >= low) & (hertz <= high)].sum(1) / power.sum(1)
    assert float(inside.min()) > 0.97


def test_leaving_a_part_out_leaves_all_else_as_it_is():
    birds = Birds(torch.arange(8), 4)
    whole, parts = birds.without(), birds.components()
    assert set(parts) == {*PARTS, *REST}
    for name in parts:
        torch.testing.assert_close(birds.without([name]) + parts[name], whole, rtol=0, atol=1e-5)
    assert torch.equal(birds.without(["hum"]), Birds(torch.arange(8), 4).without(["hum"]))


def test_what_is_lost_is_what_the_model_reads(trial):
    assert trial.accuracy == 1
    for losses in trial.losses:
        assert losses["hum"] > losses["formant"] > 0.1
        assert max(abs(losses[name]) for name in ("trill", "sweep", "burst", *REST)) < 0.1
    assert [row["loses most"].split()[0] for row in parts_table(trial)[:2]] == ["1.000", "0.000"]


def test_methods_that_ask_the_model_find_it_and_the_controls_do_not(trial):
    def mean(row, column):
        return float(row[column].split()[0])

    found = {name: trial.asked(name) for name in ("occlusion", SHAPLEY, "gradient_input", "random")}
    truth = trial.row(trial.losses)
    assert mean(truth, "rank correlation") == mean(truth, "top part") == 1
    for name in ("occlusion", SHAPLEY):
        assert mean(found[name], "top part") == 1
        assert mean(found[name], "kept by two") == 1
        assert mean(found[name], "lost without one") > 0.4  # a fourth of the guesses are right
        assert mean(found[name], "says nothing") < 0.05
    assert mean(found["random"], "top part") < 0.6
    # The hum decides so surely that a small change of it changes nothing: what is near in the softmax differs by the
    # formant.
    assert mean(found["gradient_input"], "top part") == 0
    assert found["occlusion"]["passes"] == "42 + 0"
    assert TRUTH not in found


def test_importances_share_a_feature_by_power():
    time = torch.arange(RATE) / RATE
    low, high = (torch.sin(2 * math.pi * hertz * time) for hertz in (100, 1200))
    (result,) = attribute(Ear(), (low + 2 * high)[None], method="magnitude", domain="fourier:bands=2", contributions=0)
    found = importances(result, {"low": low, "high": 2 * high, "both": torch.zeros(RATE)})
    *_, less, more = sorted(result.scores.tolist())
    assert found["low"] == pytest.approx(less, rel=1e-3)
    assert found["high"] == pytest.approx(more, rel=1e-3)
    assert found["both"] == 0


def untrained(steps, seed):
    """A network that says one class, which two of a hundred sounds have."""
    network = Listener()
    torch.nn.init.zeros_(network.last.weight)
    with torch.no_grad():
        network.last.bias.copy_(torch.arange(CLASSES) == seed + 3)
    return network


def test_a_run_keeps_its_network_and_its_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tone_birds, "trained", untrained)
    line = ["--steps", "2", "--sounds", "100", "--folder", str(tmp_path), "--methods", "occlusion", "wam"]
    tone_birds.main(line)
    first = capsys.readouterr().out
    assert "2 of 100 held-out sounds" in first
    assert "| occlusion |" in first
    assert "- `wam` does not run: " in first
    assert len(list((tmp_path / "2-0").glob("network-*.pt"))) == 1
    tone_birds.main([*line, "--minutes", "1"])
    assert capsys.readouterr().out == first


def test_a_missing_library_is_no_reason_to_keep(tmp_path, capsys, monkeypatch):
    def absent(trial, method):
        raise MissingExtraError("zennit", "peers", "LRP")

    monkeypatch.setattr(tone_birds, "trained", untrained)
    line = ["--steps", "2", "--sounds", "100", "--folder", str(tmp_path), "--methods", "magnitude"]
    with monkeypatch.context() as without:
        without.setattr(Trial, "asked", absent)
        tone_birds.main(line)
    assert "- `magnitude` is not measured: got no package 'zennit'" in capsys.readouterr().out
    tone_birds.main(line)
    assert "| magnitude |" in capsys.readouterr().out
    monkeypatch.setattr(tone_birds, "asked_or_refused", lambda trial, name: {"method": name, "reason": "changed"})
    tone_birds.main(line)
    assert "changed" not in capsys.readouterr().out
    tone_birds.main([*line, "--again"])
    assert "- `magnitude` does not run: changed" in capsys.readouterr().out


def test_a_batch_for_training_leaves_parts_out():
    sounds, labels = training_batch(64, 1)
    whole = Birds(labels, 2).without()
    assert sounds.shape == (64, RATE)
    same = (sounds - whole).abs().amax(1) < 1e-5
    assert 0.1 < float(same.double().mean()) < 0.6  # .8^5 of them are whole
    assert Listener()(sounds[:2]).shape == (2, CLASSES)
