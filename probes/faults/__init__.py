"""The fault catalogue, planted in the bundled core: one small override each."""
