"""Scripts that train a DQN, run as they are and judged by what was seen of them."""
