"""Domains: linear, invertible maps in which features are ranked and deleted."""

from hf_fourier.domains.base import DOMAINS, Basis, DirectSum, Domain
from hf_fourier.domains.fourier import Fourier
from hf_fourier.domains.identity import Identity
from hf_fourier.domains.layout import Axis, Column, Layout, LeafShape

__all__ = ["DOMAINS", "Axis", "Basis", "Column", "DirectSum", "Domain", "Fourier", "Identity", "Layout", "LeafShape"]
