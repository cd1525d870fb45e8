"""The networks behind the oracles."""
