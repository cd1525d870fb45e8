"""The paper's claims beside our measurements."""
