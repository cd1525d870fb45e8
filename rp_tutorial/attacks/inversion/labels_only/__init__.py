"""Label-only attackers beside the boundary walk and the plain surrogates; each file registers one."""
