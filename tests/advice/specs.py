"""Advice about methods and domains."""

from __future__ import annotations

from typing import Any

from hf_fourier import FourierExplainer
from hf_fourier.domains import DOMAINS, SAMPLES
from hf_fourier.methods import METHODS
from tests.advice.case import PICTURES, Case, explained, net
from tests.models import tiny_models, tiny_tokenizers


def parsed(do: str, wrong: str, right: str) -> Case:
    registry = METHODS if wrong.split(":")[0] in METHODS else DOMAINS
    return Case(do, lambda: registry.parse(wrong), lambda: registry.parse(right))


def _bound(do: str, wrong: str, right: str) -> Case:
    """A domain that does not suit a picture, and one that does."""
    pixels = SAMPLES["pixels"]
    return Case(do, lambda: DOMAINS.parse(wrong).bind(pixels), lambda: DOMAINS.parse(right).bind(pixels))


def _of_another(as_goals: bool) -> Any:
    """A value is no label that an answer could name."""
    model = tiny_models.build("text-classification", "bert", num_labels=1, problem_type="regression")
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    return explain.re_explain(explain.explain(tiny_tokenizers.texts(1)), [0], as_goals=as_goals)


CASES = [
    parsed("choose one of them", "identity:grain=pixel", "identity:grain=position"),
    parsed("choose one of them", "fourier:grain=position", "fourier:grain=frequency"),
    parsed("choose one of them", "wavelet:db2,mode=mirror", "wavelet:db2,mode=reflect"),
    parsed("choose one of them", "ffc:rule=other", "ffc:rule=absolute"),
    parsed("choose one of them", "integrated_gradients:path=curved", "integrated_gradients:path=geometric"),
    parsed("choose one of them", "integrated_gradients:baseline=mean", "integrated_gradients:baseline=zero"),
    parsed("choose one of them", "wam:kind=xx", "wam:kind=ig"),
    parsed("choose one of them", "ffc:preset=none", "ffc:preset=cifar"),
    parsed("choose one of them", "fampe:measure=other", "fampe:measure=published"),
    parsed("correct `bands`", "fourier:bands=octaves", "fourier:bands=octave"),
    parsed("correct `bands`", "fourier:bands=9-4", "fourier:bands=4-9"),
    parsed("correct `directions`", "fourier:bands=octave,directions=0", "fourier:bands=octave,directions=2"),
    parsed("give `bands` too", "cosine:directions=2", "cosine:bands=octave,directions=2"),
    parsed("give `bands` too", "stft:times=2", "stft:bands=octave,times=2"),
    parsed("correct `times`", "stft:bands=octave,times=0", "stft:bands=octave,times=1"),
    parsed("leave `directions` out", "wavelet:bands=octave,directions=true", "wavelet:bands=octave"),
    _bound("correct `directions`", "fourier:axes=-1,bands=octave,directions=2", "fourier:bands=octave,directions=2"),
    _bound("correct `bands`", "fourier:bands=0-2+1-3", "fourier:bands=0-2+2-3"),
    _bound("give the edges in that unit", "fourier:bands=0-2 Hz", "fourier:bands=0-2 cycles/picture"),
    _bound("use 'octave', a number of bands, or edges", "fourier:bands=mel", "fourier:bands=2-3"),
    parsed("correct `level`", "wavelet:db2,level=0", "wavelet:db2,level=1"),
    parsed("correct `window` or `hop`", "stft:window=4,hop=8", "stft:window=8,hop=4"),
    parsed("correct `steps`", "ffc:steps=0", "ffc:steps=1"),
    parsed("correct `kappa`", "ffc:kappa=-1", "ffc:kappa=.03"),
    parsed("correct `lam`", "ffc:lam=nan", "ffc:lam=1"),
    parsed("correct `keeps`", "closed_loop:keeps=0", "closed_loop:keeps=.5"),
    parsed("choose one of them", "tracking:base=loudness", "tracking:base=magnitude"),
    parsed("correct `kappa`", "tracking:kappa=-1", "tracking:kappa=.1"),
    parsed("correct `keep`", "band_mask:keep=1", "band_mask:keep=.5"),
    parsed("correct `smooth`", "band_mask:smooth=-1", "band_mask:smooth=1"),
    parsed("correct `rates`", "rate_distortion:rates=3+1", "rate_distortion:rates=1+3"),
    parsed("correct `spatial`", "rate_distortion:spatial=-1", "rate_distortion:spatial=1"),
    parsed("choose one of them", "rate_distortion:of=power", "rate_distortion:of=amplitude"),
    parsed(
        "use replacement='phase'",
        "rate_distortion:of=phase,replacement=zero",
        "rate_distortion:of=phase,replacement=phase",
    ),
    Case(
        "use domain='fourier', or of='amplitude'",
        lambda: explained("rate_distortion:of=phase,steps=1", "identity"),
        lambda: [
            explained("rate_distortion:of=phase,steps=1", "fourier"),
            explained("rate_distortion:of=amplitude,steps=1", "identity"),
        ],
    ),
    parsed("correct `probes`", "response:probes=0", "response:probes=1"),
    parsed("choose another", "response:representation=output", "response:representation=logits"),
    Case(
        "correct `representation`",
        lambda: explained("response:representation=nothing"),
        lambda: explained("response:representation=0"),
    ),
    Case(
        "choose a classifier, or leave `as_goals` out",
        lambda: _of_another(True),
        lambda: _of_another(False),
    ),
    parsed("correct `steps`", "integrated_gradients:steps=1", "integrated_gradients:steps=2"),
    parsed("correct `samples`", "smoothgrad:samples=0", "smoothgrad:samples=2"),
    parsed("correct `samples`", "wam:samples=1", "wam:samples=2"),
    parsed("correct `samples`", "freqx:samples=5", "freqx:samples=4"),
    parsed("correct `bands`", "freqx:bands=0", "freqx:bands=4"),
    parsed("correct `smoothing`", "attexplore:smoothing=2", "attexplore:smoothing=3"),
    parsed("correct `copies`", "attexplore:copies=0", "attexplore:copies=1"),
    parsed("correct `epsilon`", "attexplore:epsilon=-1", "attexplore:epsilon=.1"),
    parsed("correct the spec", "ffc:kapa=.1", "ffc:kappa=.1"),
    Case("did you mean 'ffc'?", lambda: METHODS.parse("fffc"), lambda: METHODS.parse("ffc")),
    Case("choose one of them", lambda: METHODS.parse("zzz"), lambda: METHODS.parse("magnitude")),
    Case(
        "see `hf-fourier methods` or `hf-fourier domains`",
        lambda: METHODS.parse(3),
        lambda: METHODS.parse(next(iter(METHODS))),
    ),  # type: ignore[arg-type]
    Case(
        "see `pywt.wavelist(kind='discrete')`",
        lambda: explained(domain="wavelet:morl"),
        lambda: [explained(domain=f"wavelet:{name}") for name in __import__("pywt").wavelist(kind="discrete")[-1:]],
    ),
    Case(
        "correct `axes`",
        lambda: explained(domain="fourier:axes=depth"),
        lambda: explained(domain="fourier:axes=-1"),
    ),
    Case(
        "correct `axes`",
        lambda: explained(domain="fourier:axes=-1+-1"),
        lambda: explained(domain="fourier:axes=-2+-1"),
    ),
    Case(
        "use domain='fourier', or method='amplitude_gradient'",
        lambda: explained("phase_gradient", "identity"),
        lambda: [explained("phase_gradient", "fourier"), explained("amplitude_gradient", "identity")],
    ),
    Case(
        "use another domain",
        lambda: explained("low_frequency", "identity"),
        lambda: explained("low_frequency", "fourier"),
    ),
    Case("use domain='wavelet'", lambda: explained("wam", "fourier"), lambda: explained("wam", domain="wavelet")),
    Case(
        "pass baseline=zero",
        lambda: explained("integrated_gradients:steps=2,baseline=reference"),
        lambda: explained("integrated_gradients:steps=2,baseline=zero"),
    ),
    Case(
        "leave `layers` out",
        lambda: _of_function("freqx:samples=4,layers=conv"),
        lambda: _of_function("freqx:samples=4"),
    ),
    Case(
        "correct `layers`",
        lambda: explained("freqx:samples=4,layers=attention"),
        lambda: explained("freqx:samples=4,layers=0"),
    ),
]


def _of_function(method: str) -> object:
    from hf_fourier import attribute

    return attribute(lambda x: net()(x), PICTURES, method=method)
