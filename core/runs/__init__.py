"""A recipe, its run folder and the trainer process: start, watch, cancel, resume, branch."""
