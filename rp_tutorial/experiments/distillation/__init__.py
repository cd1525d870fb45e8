"""The experiment `distillation`: what a copy of the released labels is worth."""
