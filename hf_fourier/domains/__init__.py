"""Domains: linear, invertible maps in which features are ranked and deleted."""

from hf_fourier.domains.base import DOMAINS, Basis, DirectSum, Domain
from hf_fourier.domains.compatibility import SAMPLES, compatibility_table
from hf_fourier.domains.cosine import Cosine
from hf_fourier.domains.fitted import Fitted
from hf_fourier.domains.fourier import Fourier
from hf_fourier.domains.identity import Identity
from hf_fourier.domains.layout import KINDS, Axis, Band, Column, Layout, SignalShape
from hf_fourier.domains.stft import Stft
from hf_fourier.domains.wavelet import Wavelet

__all__ = [
    "DOMAINS",
    "KINDS",
    "SAMPLES",
    "Axis",
    "Band",
    "Basis",
    "Column",
    "Cosine",
    "DirectSum",
    "Domain",
    "Fitted",
    "Fourier",
    "Identity",
    "Layout",
    "SignalShape",
    "Stft",
    "Wavelet",
    "compatibility_table",
]
