"""DMM and its relatives: what makes harder pairs, and with which margin."""
