"""The experiment `replication`: questions that one net an arm cannot decide, asked of many."""
