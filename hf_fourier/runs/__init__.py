"""From one example to a data set: runs that are planned once, cut into shards, and go on where they were stopped."""

from hf_fourier.runs.results import Results

__all__ = ["Results"]
