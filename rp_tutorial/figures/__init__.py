"""Every chart of the book."""
