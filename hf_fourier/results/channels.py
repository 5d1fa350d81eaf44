"""Scores by channel and band: which electrode, and which rhythm there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.table import Table


@dataclass(frozen=True, eq=False)
class ChannelScores:
    """Mean scores of several results, by channel and band.

    Attributes:
        values: Shape `(channels, bands)`; NaN where a channel has no such band.
        channels: The channels' names, or their numbers from 0.
        bands: The bands' names, in ascending order of frequency.
        count: How many results they are the mean of.
        method: The method's spec.
    """

    values: np.ndarray
    channels: tuple[str, ...]
    bands: tuple[str, ...]
    count: int
    method: str

    def table(self) -> Table:
        """One row per channel: its name, its score in each band, and the sum of them."""
        columns: dict[str, Sequence[Any]] = {"channel": self.channels}
        columns.update({band: self.values[:, i].tolist() for i, band in enumerate(self.bands)})
        columns["sum"] = np.nansum(self.values, axis=1).tolist()
        return Table(columns)

    def plot(self, path: str | PathLike[str] | None = None) -> Any:
        """Draw the scores: a map of the scalp per band for electrodes of the 10–10 system, else channels × bands.

        Args:
            path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            InputError: If the path has another ending.
            MissingExtraError: If matplotlib is not installed.
        """
        return drawn_by("figures.scalp:plot_channels", self, path)

    def __repr__(self) -> str:
        shape = f"{len(self.channels)} channels, {len(self.bands)} bands"
        return f"ChannelScores({self.method}: {shape}, mean of {self.count} results)"


def channel_scores(results: Attribution | Sequence[Attribution]) -> ChannelScores:
    """Average the scores of results by channel and band.

    Args:
        results: One result or several, explained in one domain with bands of each channel, such as
            `domain="fourier:bands=eeg,channels=apart"`.

    Raises:
        InputError: If there is none, features are not bands of a channel, or the results are of several methods or
            domains, or of other channels.
    """
    several = [results] if isinstance(results, Attribution) else list(results)
    if not several:
        raise InputError("no results", "at least one", "pass what explain returned")
    first = several[0].layout
    bands, channels = first.with_role("band"), first.with_role("channel")
    if len(bands) != 1 or len(channels) != 1:
        got, do = f"results in {first.domain}", "explain with domain='fourier:bands=eeg,channels=apart'"
        raise InputError(got, "bands of each channel", do)
    kinds = {(one.layout.domain, one.layout.signal, one.provenance.get("method")) for one in several}
    if len(kinds) > 1:
        got = f"results of {len(kinds)} methods, domains or kinds of signals"
        raise InputError(got, "one of each", "pass those of one explain call")
    names = channels[0].names or tuple(str(i) for i in range(int(channels[0].values.max()) + 1))
    values = np.full((len(names), len(bands[0].names)), np.nan)
    mean = np.mean([one.scores.double().numpy() for one in several], axis=0)
    values[channels[0].values.numpy(), bands[0].values.numpy()] = mean
    method = str(several[0].provenance.get("method", ""))
    return ChannelScores(values, tuple(names), bands[0].names, len(several), method)
