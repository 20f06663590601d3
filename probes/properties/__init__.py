"""Properties of any DQN as functions of what was observed, however it was observed."""
