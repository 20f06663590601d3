"""What a run has recorded of itself, held against what is known of it from outside."""
