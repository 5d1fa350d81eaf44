"""Evaluations: methods against each other and the controls, sanity checks, rectification, metrics, studies."""
