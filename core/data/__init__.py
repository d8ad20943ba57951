"""Named data sets, each a set of aligned modalities with labels and a fixed split."""
