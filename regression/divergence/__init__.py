"""Where two runs of one seed part: the first event, tensor and element that differ."""
