"""One module an experiment, each with its settings for every profile and one `run`."""
