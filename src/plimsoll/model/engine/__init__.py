"""The protocol as an executable specification: every action on an immutable state, in exact integers.

`apply(state, action)` of `actions` gives the new state, or the name and arguments of the exact error. Read `state`
first, then `ledger` (what a call may do to pools, markets and positions), then the entry points: `accounts`, `orders`
with `fill`, `liquidation` with `sale`, `solvency`, `liquidity`, `admin`; prices come from `prices`.
"""
