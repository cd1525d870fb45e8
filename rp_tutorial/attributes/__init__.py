"""What a release tells about one attribute: pieces of constant label, sets with units, RAP, posteriors."""
