"""What the inference interface releases: every defence is a label oracle."""
