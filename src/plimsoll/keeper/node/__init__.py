"""The keeper's side of the chain: requests to several nodes, heads, and blocks of logs proven complete."""
