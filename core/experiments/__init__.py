"""The claims put to the test: arms over one recipe, tuned on validation, compared seed by seed on the test part."""
