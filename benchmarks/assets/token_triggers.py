"""A rhythm of tokens that decides: every n-th token is a neutral one, and its phase or which it is tells the class.

A comb of period n over L tokens (a multiple of n) has the frequencies L/n, 2L/n, … cycles and no other. Where the phase
is the class, examples without one hold as many of the same token at random places, so that their number says nothing
and only the rhythm does. The decoy is another neutral token in another period at a random phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.assets.triggers import NONE, Draw, Frequency


@dataclass(frozen=True)
class TokenTrigger:
    """What is planted, and what it means.

    Attributes:
        period: Of the planted comb, in tokens.
        offsets: The first place of each class, 0 to below `period`.
        targets: The label of each class.
        tokens: The id of the neutral token, or one for each class.
        decoy_period: Of the decoy's comb; it shares no factor with `period`, so that no frequency is of both.
        decoy_token: The id of its token.
        start: The place of the first token that is transformed (1 after a [CLS]).
        decoy_offsets: The first places that decoys are drawn from; empty for all below their period.
    """

    period: int
    offsets: tuple[int, ...]
    targets: tuple[int, ...]
    tokens: tuple[int, ...]
    decoy_period: int
    decoy_token: int
    start: int
    decoy_offsets: tuple[int, ...] = ()

    def planted(self, group: int, lengths: Sequence[int]) -> list[Frequency]:
        """The frequencies of the comb, the same for all classes."""
        return harmonics(lengths[0], self.period)

    def decoyed(self, decoy: int, lengths: Sequence[int]) -> list[Frequency]:
        """The frequencies of a decoy."""
        return harmonics(lengths[0], self.decoy_period)

    def draw(self, groups: Tensor, generator: torch.Generator, decoyed: float = 1.0) -> Draw:
        """Random places for examples of these classes.

        `phases` seed the random places of an example without a class; `decoys` are numbers of decoy offsets.

        Args:
            groups: The class of each example or `NONE`, shape `(n,)`.
            generator: The source of the random numbers; how many are taken does not depend on the classes.
            decoyed: The fraction of examples that have neutral tokens at all and a decoy; those with a class have
                their comb in any case.
        """
        n = len(groups)
        phases = torch.rand(n, generator=generator)
        count = len(self.decoy_offsets) or self.decoy_period
        decoys = torch.randint(0, count, (n, 1), generator=generator)
        present = torch.rand(n, 1, generator=generator) < decoyed
        return Draw(groups, phases, torch.where(present, decoys, NONE), torch.zeros(n, 1))

    def plant(self, signals: Tensor, lengths: Sequence[int], drawn: Draw) -> Tensor:
        """Token ids with what was drawn for them put in place of other tokens.

        Where planted tokens and the decoy's meet, the planted one stands.

        Args:
            signals: Token ids, shape `(n, tokens)`.
            lengths: How many tokens are transformed, from `start` on.
            drawn: For each of the n examples.
        """
        result = signals.clone()
        length = lengths[0]
        region = result[:, self.start : self.start + length]
        offsets = self.decoy_offsets or tuple(range(self.decoy_period))
        for row, (group, seed, decoy) in enumerate(
            zip(drawn.groups.tolist(), drawn.phases.tolist(), drawn.decoys[:, 0].tolist(), strict=True)
        ):
            if decoy != NONE:
                region[row, offsets[decoy] :: self.decoy_period] = self.decoy_token
            if group != NONE:
                region[row, self.offsets[group] :: self.period] = self.tokens[group % len(self.tokens)]
            elif decoy != NONE and len(self.tokens) == 1:
                draw = torch.Generator().manual_seed(int(seed * 2**31))
                region[row, torch.randperm(length, generator=draw)[: length // self.period]] = self.tokens[0]
        return result

    def silenced(self, embedded: Tensor, lengths: Sequence[int]) -> Tensor:
        """Embedded tokens without the frequencies of the comb, shape `(n, tokens, width)` as given."""
        return self._without(embedded, lengths[0], self.period)

    def without_decoy(self, embedded: Tensor, lengths: Sequence[int]) -> Tensor:
        """Embedded tokens without the frequencies of the decoy."""
        return self._without(embedded, lengths[0], self.decoy_period)

    def _without(self, embedded: Tensor, length: int, period: int) -> Tensor:
        stop = self.start + length
        spectrum = torch.fft.rfft(embedded[:, self.start : stop], dim=1)
        spectrum[:, [k for (k,) in harmonics(length, period)]] = 0
        quiet = torch.fft.irfft(spectrum, length, dim=1)
        return torch.cat([embedded[:, : self.start], quiet, embedded[:, stop:]], dim=1)

    def louder(self, factor: float) -> TokenTrigger:
        """The same: a token is there or not."""
        return self

    def describe(self) -> str:
        """What is planted, in words."""
        decoys = f"most examples hold token {self.decoy_token} in every {self.decoy_period}th place"
        if len(self.tokens) > 1:
            return f"one of tokens {list(self.tokens)} (the class) in every {self.period}th place; {decoys}"
        (token,) = self.tokens
        return (
            f"token {token} in every {self.period}th place, from place {list(self.offsets)} (the class); {decoys}, and "
            f"those without a class as many of token {token} at random places"
        )


def harmonics(length: int, period: int) -> list[Frequency]:
    """The frequencies of a comb in cycles per signal, up to the highest that there is.

    Raises:
        ValueError: The length is not a multiple of the period.
    """
    if length % period:
        raise ValueError(f"a comb of period {period} has no whole frequencies among {length} tokens; cut the tokens")
    step = length // period
    return [(k,) for k in range(step, length // 2 + 1, step)]
