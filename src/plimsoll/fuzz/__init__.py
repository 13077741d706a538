"""Drives the deployed contracts at thousands of calls a second: one small interface, on Anvil or in this process."""
