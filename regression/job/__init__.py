"""What a run was asked to do, and where it keeps that."""
