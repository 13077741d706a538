"""The executable specification: the formulas of the contracts in exact integers.

Each module mirrors one Solidity library function by function (`funding` mirrors `FundingMath`, and so on) and gives the
same integer for all arguments within the ranges of the word types; `words` packs and unpacks those words. Integers here
do not overflow; where the chain would revert because a value is out of range, packing the word raises `WordError`.
"""
