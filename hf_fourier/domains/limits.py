"""The limits on what is transformed, checked before any work; `hf-fourier docs security` lists them."""

from __future__ import annotations

#: Entries of a signal that is transformed, and voxels of a volume that is read.
SIGNAL_ENTRIES = 2**27
#: Coefficients of a domain for each entry of the signal.
REDUNDANCY = 64
