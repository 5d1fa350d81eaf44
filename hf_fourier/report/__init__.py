"""Figures, reports and cards, made from results alone: nothing here needs a model."""
