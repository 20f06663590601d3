"""From curves to a verdict, as pure functions."""
