"""Tables of people: the insurance schema, its generator and readers, and tasks made from them."""
