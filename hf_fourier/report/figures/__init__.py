"""Figures of single results and of whole reports, by matplotlib."""
