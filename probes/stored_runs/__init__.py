"""What stored runs show of themselves, without running anything."""
