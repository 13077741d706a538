"""The running keeper: passes over blocks, jobs, transactions, and what holds them together."""
