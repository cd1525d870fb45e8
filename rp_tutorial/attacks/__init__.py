"""What an adversary does with released labels."""
