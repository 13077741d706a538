"""Faults of nodes and chains, made on purpose: a proxy in front of Anvil, and what Anvil's chain can suffer."""
