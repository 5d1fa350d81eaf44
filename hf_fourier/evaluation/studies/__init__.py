"""Studies: class swaps, class filters, gene deletion, transcript errors, transfer."""
