"""`python -m hf_fourier` is `hf-fourier`."""

from hf_fourier.cli import main

main()
