"""Builders as in `hf_fourier.demo.convert`; imported only when something is built."""
