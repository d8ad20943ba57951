"""Checkpoints of strangers: read in a fenced process, recognised, and looked into."""
