"""What an experiment is and how it is run: registered, resumable, remembered stage by stage."""
