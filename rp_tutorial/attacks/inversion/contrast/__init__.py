"""Attackers for contrast, who see scores or weights of an undefended net: what its labels alone keep from them."""
