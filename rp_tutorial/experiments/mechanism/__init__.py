"""The experiment `inversion-mechanism`: why the label-only inversion does worse against noise."""
