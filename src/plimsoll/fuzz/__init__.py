"""Drives the deployed contracts at thousands of calls a second: one small interface, on Anvil or in this process.

`driver` is the interface (`Call`, `Outcome`, `Driver`), `anvil` and `revm` are its backends; `prepare` deploys and
funds what is fuzzed and `state` keeps that on disk; `world` names it all: actors, entry points (`encode`), storage.
`node` lets the usual contract handles read a driver's state.
"""
