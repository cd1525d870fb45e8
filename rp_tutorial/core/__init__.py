"""What every room stands on: arguments, labels, random streams, threads, files. Nothing here knows of privacy."""
