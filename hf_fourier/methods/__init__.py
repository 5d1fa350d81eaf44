"""Methods: each ranks the features of an example in any domain."""

from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.controls import LowFrequency, Magnitude, Random
from hf_fourier.methods.ffc import FFC

__all__ = ["FFC", "METHODS", "LowFrequency", "Magnitude", "Method", "Random", "Ranking"]
