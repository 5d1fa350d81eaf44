"""Explanations of whole datasets: runs that are planned once, stored in shards, and resumed after a stop."""

from hf_fourier.runs.results import Results

__all__ = ["Results"]
