"""What a run ran on, and what of bits that can promise."""
