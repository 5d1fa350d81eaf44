"""Methods: each ranks the features of an example in any domain."""

from hf_fourier.methods.amplitude import AmplitudeGradient, PhaseGradient
from hf_fourier.methods.attexplore import AttEXplore
from hf_fourier.methods.band_mask import BandMask
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.captum import Captum
from hf_fourier.methods.closed_loop import ClosedLoop
from hf_fourier.methods.controls import LowFrequency, Magnitude, Random
from hf_fourier.methods.fampe import FAMPE
from hf_fourier.methods.ffc import FFC
from hf_fourier.methods.filters import Filters
from hf_fourier.methods.freqx import FreqX
from hf_fourier.methods.gradcam import GradCam
from hf_fourier.methods.gradients import GradientInput, IntegratedGradients, Saliency, SmoothGrad
from hf_fourier.methods.occlusion import Occlusion
from hf_fourier.methods.random_masks import RandomMasks
from hf_fourier.methods.rate_distortion import RateDistortion
from hf_fourier.methods.response import Response
from hf_fourier.methods.shap_gradients import ShapGradients
from hf_fourier.methods.shapley import Shapley
from hf_fourier.methods.tracking import Tracking
from hf_fourier.methods.wam import WAM
from hf_fourier.methods.zennit import Zennit

__all__ = [
    "FAMPE",
    "FFC",
    "METHODS",
    "WAM",
    "AmplitudeGradient",
    "AttEXplore",
    "BandMask",
    "Captum",
    "ClosedLoop",
    "Filters",
    "FreqX",
    "GradCam",
    "GradientInput",
    "IntegratedGradients",
    "LowFrequency",
    "Magnitude",
    "Method",
    "Occlusion",
    "PhaseGradient",
    "Random",
    "RandomMasks",
    "Ranking",
    "RateDistortion",
    "Response",
    "Saliency",
    "ShapGradients",
    "Shapley",
    "SmoothGrad",
    "Tracking",
    "Zennit",
]
