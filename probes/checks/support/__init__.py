"""What several checks measure with: watched training, traced replay, updates by hand."""
