"""The keeper for an hour under every fault: chain, faults, and what is watched."""
