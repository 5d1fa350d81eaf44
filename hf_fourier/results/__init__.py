"""Results: attributions, curves and spectra, in human units, and their files. Nothing here needs a model."""
