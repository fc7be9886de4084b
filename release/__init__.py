"""What is made once, before a run: the feature extractor and the releases of the code."""
