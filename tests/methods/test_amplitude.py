"""Amplitude and phase gradients: finite differences that scale or turn one feature, closed forms, and phase shares."""

import math

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.amplitude import polar_gradients
from hf_fourier.methods.base import Ranking
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import Smooth, full_bins, full_spectrum, noise, score_of, signal, value

STEP = 1e-5
SHAPES = {
    "even": signal(16),
    "odd": signal(13),
    "two": signal(2),
    "picture": signal(3, 4, 6, channels=(0,)),
    "odd picture": signal(2, 5, 7, channels=(0,)),
    "volume": signal(3, 4, 5),
}


def ranked(method, score, basis) -> Ranking:
    return METHODS.parse(method).attribute(score, score.signal, basis, ExampleRng(0, range(len(score.signal))))


def extras(model, x, domain="fourier", shape=None):
    """Both derivatives with their signs, and the phase shares, from the two methods."""
    shape = signal(*x.shape[1:]) if shape is None else shape
    basis, score = DOMAINS.parse(domain).bind(shape), score_of(model, x)
    by_amplitude, by_phase = (ranked(f"{name}_gradient", score, basis) for name in ("amplitude", "phase"))
    for name in ("phase_share", "mean_phase_share"):
        torch.testing.assert_close(by_amplitude.extras[name], by_phase.extras[name], equal_nan=True)
    assert torch.equal(by_amplitude.scores, by_amplitude.extras["amplitude_gradient"].abs())
    assert torch.equal(by_phase.scores, by_phase.extras["phase_gradient"].abs())
    return basis, score, {**by_amplitude.extras, **by_phase.extras}


def log_p(model, row, target):
    return model(torch.from_numpy(row)[None]).log_softmax(1)[0, target].item()


@pytest.mark.parametrize("grain", ["bin", "frequency"])
@pytest.mark.parametrize("name", SHAPES)
def test_finite_differences_of_the_full_transform(name, grain):
    """numpy's full complex transform of the signal, one feature louder or turned, both of its partners together."""
    shape = SHAPES[name]
    x = noise(2, *shape.shape)
    model = Smooth(3, *shape.shape).eval()
    basis, score, found = extras(model, x, f"fourier:grain={grain}", shape)
    dims = [d for d, axis in enumerate(shape.axes) if not axis.channel]
    sizes = np.array([shape.shape[d] for d in dims])
    owned = full_bins(basis.layout)
    for i, row in enumerate(x.numpy()):
        spectrum, target = full_spectrum(row, basis.layout), int(score.frozen_targets[i])

        def change(factors, spectrum=spectrum, target=target):
            changed = np.fft.ifftn((spectrum * factors).reshape(shape.shape), axes=dims, norm="ortho")
            np.testing.assert_allclose(changed.imag, 0, atol=1e-9)
            return log_p(model, np.ascontiguousarray(changed.real), target)

        for k, bins in enumerate(owned):
            places = np.array(np.unravel_index(bins, shape.shape))[dims]
            mirrored = (-places) % sizes[:, None]
            own_conjugate = bool((places == mirrored).all())
            amplitude = math.sqrt(np.mean(np.abs(spectrum[bins]) ** 2))
            factors = np.ones(len(spectrum), dtype=complex)
            up, down = factors.copy(), factors.copy()
            up[bins], down[bins] = 1 + STEP, 1 - STEP
            expected = (change(up) - change(down)) / (2 * STEP * amplitude)
            assert float(found["amplitude_gradient"][i, k]) == pytest.approx(expected, abs=1e-7, rel=1e-5)
            if own_conjugate:
                assert float(found["phase_gradient"][i, k]) == 0
                assert float(found["phase_share"][i, k]) == 0
                continue
            # +k, as the layout's columns name it, is turned forward, its partner backward.
            sign = direction(basis.layout, k, places, dims)
            up[bins], down[bins] = np.exp(1j * STEP * sign), np.exp(-1j * STEP * sign)
            expected = (change(up) - change(down)) / (2 * STEP)
            assert float(found["phase_gradient"][i, k]) == pytest.approx(expected, abs=1e-7, rel=1e-5)


def direction(layout, feature, places, dims):
    """1 for the bins at the frequency that the layout's columns name, −1 for their partners."""
    columns = {column.axis: column for column in layout.with_role("frequency")}
    named = []
    for d in dims:
        axis = layout.signal.axes[d]
        named.append(round(columns[axis.name].values[feature].item() / axis.rate * axis.length) % axis.length)
    return np.where((places == np.array(named)[:, None]).all(0), 1, -1)


@pytest.mark.parametrize("domain", ["stft:window=8", "stft:window=7,hop=3"])
def test_finite_differences_in_time_and_frequency(domain):
    """One bin of one frame is made louder or turned, and the frames are put together again."""
    x, model = noise(2, 20), Smooth(3, 20).eval()
    basis, score, found = extras(model, x, domain)
    stored = basis.forward(x)
    for i in range(len(x)):
        target = int(score.frozen_targets[i])
        for k in range(len(basis)):

            def change(factor, i=i, k=k, target=target):
                factors = torch.ones(stored.shape[1], dtype=stored.dtype)
                factors[k] = factor
                return log_p(model, basis.inverse(stored[i : i + 1] * factors)[0].numpy(), target)

            grown = (change(1 + STEP) - change(1 - STEP)) / (2 * STEP * float(stored[i, k].abs()))
            turned = (change(complex(1, STEP)) - change(complex(1, -STEP))) / (2 * STEP)
            assert float(found["amplitude_gradient"][i, k]) == pytest.approx(grown, abs=1e-7, rel=1e-5)
            assert float(found["phase_gradient"][i, k]) == pytest.approx(turned, abs=1e-7, rel=1e-5)


def test_segments_are_turned_one_by_one():
    """The derivatives of two pieces are those of each piece with the other one held."""
    shape, x = signal(12, segments=(7, 5)), noise(2, 12)
    model = Smooth(3, 12).eval()
    _, score, found = extras(model, x, shape=shape)
    targets = score.frozen_targets.tolist()
    pieces = [(slice(0, 7), slice(0, 4)), (slice(7, 12), slice(4, 7))]
    for piece, features in pieces:

        def inner(part, piece=piece):
            rows = x.clone()
            rows = torch.cat([rows[:, : piece.start], part, rows[:, piece.stop :]], 1)
            return model(rows)

        basis = DOMAINS.parse("fourier").bind(signal(piece.stop - piece.start))
        score = score_of(inner, x[:, piece], targets=targets)
        for name in ("amplitude", "phase"):
            expected = ranked(f"{name}_gradient", score, basis).extras[f"{name}_gradient"]
            torch.testing.assert_close(found[f"{name}_gradient"][:, features], expected)


def test_the_amplitude_gradient_of_braindecode():
    """Differentiated through amplitudes and angles of the unnormalised half spectrum, per channel, with its sign."""
    x, model = noise(3, 2, 20), Smooth(3, 2, 20).eval()
    shape = signal(2, 20, channels=(0,))
    spectrum = torch.fft.rfft(x)
    amplitude, angle = spectrum.abs().requires_grad_(True), spectrum.angle().requires_grad_(True)
    outputs = model(torch.fft.irfft(torch.polar(amplitude, angle), n=20))
    _, _, found = extras(lambda rows: torch.stack([0 * model(rows)[:, 2], model(rows)[:, 2]], 1), x, shape=shape)
    # The derivative of log p_1 = −log(1 + exp(−z)) is 1 − p_1 times that of z; where class 0 wins it is −p_1 times.
    p = torch.sigmoid(outputs[:, 2].detach())
    factor = torch.where(p > 0.5, 1 - p, -p).view(-1, 1, 1)
    by_amplitude, by_angle = torch.autograd.grad(outputs[:, 2].sum(), [amplitude, angle])
    got = found["amplitude_gradient"].view(3, 2, 11) / math.sqrt(20)
    torch.testing.assert_close(got, by_amplitude * factor)
    by_angle[..., [0, 10]] = 0  # these have no phase
    torch.testing.assert_close(found["phase_gradient"].view(3, 2, 11), by_angle * factor)


@pytest.mark.parametrize("domain", ["fourier", "cosine", "identity", "wavelet", "wavelet:bior2.2", "stft:window=6"])
def test_amplitude_times_its_gradient_is_gradient_input(domain):
    x, model = noise(2, 12), Smooth(3, 12).eval()
    pairs = zip(
        attribute(model, x, method="amplitude_gradient", domain=domain),
        attribute(model, x, method="gradient_input", domain=domain),
        strict=True,
    )
    for one, other in pairs:
        amplitude = one.basis.magnitude(one.basis.forward(one.signal[None]))[0]
        torch.testing.assert_close(one.extras["amplitude_gradient"] * amplitude, other.scores)
        assert ("phase_share" in one.extras) == (domain in ("fourier", "stft:window=6"))


@pytest.mark.parametrize("bin_", [1, 3, 7])
def test_the_energy_of_a_bin_has_no_phase(bin_):
    def energy(rows):
        return torch.fft.rfft(rows, norm="ortho")[:, bin_].abs().square()[:, None]

    x = noise(2, 16)
    for method in ("amplitude_gradient", "phase_gradient"):
        for one in attribute(energy, x, value, method):
            size = float(torch.fft.rfft(one.signal, norm="ortho")[bin_].abs())
            assert float(one.extras["mean_phase_share"]) == pytest.approx(0, abs=1e-12)
            expected = torch.zeros(9, dtype=torch.float64)
            if method == "amplitude_gradient":
                expected[bin_] = 2 * size
            torch.testing.assert_close(one.scores, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 0.3, math.pi / 4, 1.2, math.pi / 2, 2.5, -0.8])
def test_the_phase_share_of_a_matched_filter(offset):
    """The score is the product with a wave of fixed phase: A cos(offset), up to a constant."""
    n, bin_, amplitude = 32, 5, 0.7
    angle = 2 * math.pi * bin_ * torch.arange(n, dtype=torch.float64) / n
    template, x = torch.cos(angle + 0.4), amplitude * torch.cos(angle + 0.4 + offset) + noise(n) * 1e-3
    coefficient = torch.fft.rfft(x, norm="ortho")[bin_]
    exact = float(coefficient.angle()) - 0.4  # the noise has its part in the bin's phase
    (one,) = attribute(lambda rows: (rows @ template)[:, None], x[None], value, "phase_gradient")
    (other,) = attribute(lambda rows: (rows @ template)[:, None], x[None], value, "amplitude_gradient")
    sine, cosine = math.sin(exact), math.cos(exact)
    share = abs(sine) / (abs(sine) + abs(cosine))
    assert float(one.extras["phase_share"][bin_]) == pytest.approx(share, rel=1e-9, abs=1e-9)
    assert float(one.extras["mean_phase_share"]) == pytest.approx(share, rel=1e-3, abs=1e-3)
    scale = math.sqrt(n)  # <x, template> = A' √n cos, where A' is the orthonormal amplitude
    assert float(other.extras["amplitude_gradient"][bin_]) == pytest.approx(scale * cosine, rel=1e-6, abs=1e-9)
    expected = -scale * float(coefficient.abs()) * sine
    assert float(one.extras["phase_gradient"][bin_]) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_mean_share_weights_by_power_over_what_has_a_phase():
    """A loud mean without a phase counts nothing; a read bin of nine times the power counts nine times."""
    n = 16
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    x = 50 + 3 * torch.cos(2 * angle) + torch.sin(3 * angle) + 7 * torch.cos(5 * angle)
    weight = torch.cos(2 * angle) + torch.cos(3 * angle) + 1  # in phase with bin 2, a quarter of a turn off bin 3
    (one,) = attribute(lambda rows: (rows @ weight)[:, None], x[None], value, "phase_gradient")
    share, power = one.extras["phase_share"], torch.fft.rfft(one.signal, norm="ortho").abs().square()
    assert share.tolist() == pytest.approx([0, 0, 0, 1, 0, 0, 0, 0, 0], abs=1e-9)
    assert float(power[2] / power[3]) == pytest.approx(9)
    assert float(one.extras["mean_phase_share"]) == pytest.approx(1 / (1 + 9), rel=1e-6)  # bin 5 is loud, but not read


def test_what_is_absent_is_scored_zero_and_noted():
    """A pure tone read by a network that reads every bin: all bins but one have no amplitude to differentiate by."""
    x = torch.cos(2 * math.pi * 3 * torch.arange(32, dtype=torch.float64) / 32)
    rows = torch.stack([x, x + 1e-3 * noise(32)]).float()
    model = Smooth(3, 32, dtype=torch.float32).eval()
    quiet, full = attribute(model, rows, method="amplitude_gradient")
    assert (quiet.scores > 0).nonzero().flatten().tolist() == [3]
    (note,) = [text for text in quiet.provenance["notes"] if text.startswith("amplitude")]
    assert "16 of 17 features" in note
    assert not any(text.startswith("amplitude") for text in full.provenance["notes"])
    assert int((full.scores > 0).sum()) == 17
    share = quiet.extras["phase_share"]
    assert float(share[3]) == pytest.approx(float(quiet.extras["mean_phase_share"]))
    assert int((share > 0).sum()) == 1


@pytest.mark.parametrize("share", [0.9e-6, 1.1e-6])
def test_a_millionth_of_the_root_mean_square_is_negligible(share):
    """One pair of amplitude 1 among 16 bins: the root mean square is the root of an eighth."""
    basis, present = DOMAINS.parse("fourier").bind(signal(16)), share > 1e-6
    loud, both = torch.zeros(1, 9, dtype=torch.complex128), torch.zeros(1, 9, dtype=torch.complex128)
    loud[0, 3], both[0, 3], both[0, 5] = 1, 1j, 1j
    quiet = loud.clone()
    quiet[0, 5] = share / math.sqrt(8)
    found = polar_gradients(basis, quiet, both + quiet)
    assert found.absent.tolist() == [[k not in (3, 5) or (k == 5 and not present) for k in range(9)]]
    assert float(found.by_amplitude[0, 5]) == pytest.approx(2 * share / math.sqrt(8) if present else 0)
    assert (float(found.share[0, 5]) > 0) == present
    assert float(found.share[0, 3]) == 0.5  # as much by amplitude as by phase
    # The same of the derivative: what is read by so little is not read.
    unread = torch.zeros(1, 9, dtype=torch.complex128)
    unread[0, 3], unread[0, 5] = 1, 1j * share / math.sqrt(8)
    found = polar_gradients(basis, both.imag.to(both.dtype), unread)
    assert found.share.tolist() == [[float(k == 5 and present) for k in range(9)]]
    assert float(found.mean_share[0]) == (0.5 if present else 0.0)


def test_channels_that_cancel_are_not_read():
    """Two channels turned together, of which one says the opposite of the other; and a derivative of exactly 1."""
    basis = DOMAINS.parse("fourier:grain=frequency").bind(signal(2, 8, channels=(0,)))
    stored, pulled = torch.zeros(1, 10, dtype=torch.complex128), torch.zeros(1, 10, dtype=torch.complex128)
    stored[0, [2, 7]], pulled[0, 2], pulled[0, 7] = 1, 1j, -1j
    found = polar_gradients(basis, stored, pulled)
    assert not bool(found.share.any())
    assert math.isnan(float(found.mean_share[0]))
    pulled[0, 2], pulled[0, 7] = 0.25j, 0.25j
    assert polar_gradients(basis, stored, pulled).share.tolist() == [[0, 0, 1, 0, 0]]


def test_silence_has_neither_amplitude_nor_phase():
    model = Smooth(3, 8).eval()
    for method in ("amplitude_gradient", "phase_gradient"):
        (one,) = attribute(model, torch.zeros(1, 8, dtype=torch.float64), method=method)
        assert not bool(one.scores.any())
        assert not bool(one.extras["phase_share"].any())
        assert math.isnan(float(one.extras["mean_phase_share"]))


def test_scaling_and_shifting_the_signal():
    """Ten times the signal into a tenth of the model has a tenth of the amplitude derivatives; shifts change none."""
    x, model = noise(2, 16), Smooth(3, 16).eval()
    _, _, found = extras(model, x)
    _, _, scaled = extras(lambda rows: model(rows / 10), 10 * x)
    torch.testing.assert_close(scaled["amplitude_gradient"], found["amplitude_gradient"] / 10)
    torch.testing.assert_close(scaled["phase_gradient"], found["phase_gradient"])
    _, _, shifted = extras(lambda rows: model(rows.roll(-3, 1)), x.roll(3, 1))
    for name in ("amplitude_gradient", "phase_gradient", "phase_share", "mean_phase_share"):
        torch.testing.assert_close(shifted[name], found[name])


@pytest.mark.parametrize("domain", ["cosine", "identity", "wavelet"])
def test_real_domains_have_no_phase(domain):
    with pytest.raises(SpecError, match=r"real and have no phase.*domain='fourier'"):
        attribute(Smooth(3, 12).eval(), noise(1, 12), method="phase_gradient", domain=domain)
