"""The keeper: executes orders, liquidates, buys collateral on sale, deleverages and strikes LP epochs.

`mirror` holds what the logs say, `reader` asks for the rest at one block, `decide` turns both into actions without
doing anything, `execute` simulates and sends them; `keeper` joins them into one pass, `runner` repeats it.
"""
