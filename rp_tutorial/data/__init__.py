"""Tables and images, from the embedded generators to the papers' own files."""
