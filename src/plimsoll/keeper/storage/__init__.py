"""What the keeper keeps: rows of the mirror and the way back, the journal of transactions, jobs' memory, the lease."""
