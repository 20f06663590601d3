"""The checks, by family; each yields one finding."""
