"""The chain side of the package: compiled contracts, JSON-RPC, Anvil, typed contract calls and signers."""
