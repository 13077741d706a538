"""Seeded bugs: each changes one function of the contracts and must refute the properties named with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` in `file` becomes `new`; then every property of `refutes` (Contract.name) must fail."""

    file: str
    old: str
    new: str
    refutes: tuple[str, ...]


# Bugs of one group live in one copy of the contracts, so a group holds no two that meet in one property.
GROUPS: tuple[tuple[Mutant, ...], ...] = (
    (
        Mutant(
            "libraries/FixedMath.sol",
            "return quotient * d == product ? quotient : quotient + 1;",
            "return quotient;",
            (
                "FixedMathProofs.mulDivUp_is_the_ceiling",
                "InterestProofs.utilisation_is_between_zero_and_one",
                "MarginProofs.requirement_rounds_up",
                "LiquidationProofs.sale_price_rounds_up",
                "SideProofs.unit_gain_and_loss_enclose_the_amount",
            ),
        ),
        Mutant(
            "libraries/FixedMath.sol",
            "return a == 0 ? 0 : (a - 1) / d + 1;",
            "return a / d;",
            (
                "FixedMathProofs.divUp_is_the_ceiling",
                "InterestProofs.stored_debt_is_owed_in_full",
                "PricingProofs.notional_rounds_both_ways",
                "MarginProofs.ratio_rounds_up",
            ),
        ),
        Mutant(
            "libraries/FixedMath.sol",
            "int256(uint256(a) / d) : -int256((uint256(-a) - 1) / d + 1);",
            "int256(uint256(a) / d) : -int256(uint256(-a) / d);",
            (
                "FixedMathProofs.divFloor_is_the_floor",
                "FundingProofs.index_growth_is_the_floor",
                "SideProofs.profit_is_the_floor",
                "SideProofs.unit_value_rounds_for_the_pool",
            ),
        ),
        Mutant(
            "libraries/Cast.sol",
            "int256 sign = value >> (bits - 1);",
            "int256 sign = value >> bits;",
            (
                "FixedMathProofs.checkInt_passes_what_fits_and_nothing_else",
                "StateWordsProofs.account_cash",
                "StateWordsProofs.position_round_trip",
                "StateWordsProofs.funding_round_trip",
                "StateWordsProofs.money_round_trip",
            ),
        ),
    ),
    (
        Mutant(
            "libraries/Cast.sol",
            "require(value >> bits == 0, UintTooLarge(value, bits));",
            "require(value >> bits <= 1, UintTooLarge(value, bits));",
            (
                "FixedMathProofs.checkUint_passes_what_fits_and_nothing_else",
                "StateWordsProofs.account_market",
                "StateWordsProofs.account_lastCheck",
                "StateWordsProofs.sides_round_trip",
                "StateWordsProofs.debt_round_trip",
                "StateWordsProofs.account_pendingOrders",
                "StateWordsProofs.event_round_trip",
                "StateWordsProofs.dues_escrow",
                "EdgeWordsProofs.queue_round_trip",
                "EdgeWordsProofs.rules_round_trip",
                "EdgeWordsProofs.field_reads_what_was_placed",
                "EdgeWordsProofs.market_flags",
                "EdgeWordsProofs.pause_flags",
                "EdgeWordsProofs.settlement_counts",
                "EdgeWordsProofs.feed_round_trip",
                "EdgeWordsProofs.secondary_round_trip",
                "EdgeWordsProofs.deviated_since",
                "EdgeWordsProofs.order_is_that_of_its_hash",
            ),
        ),
        Mutant(
            "types/AccountWord.sol",
            "+ (1 << 184)) & VERSION_MASK;",
            "+ (1 << 184));",
            ("StateWordsProofs.account_version",),
        ),
        Mutant(
            "types/OracleWords.sol",
            "((price_ | ema_) >> 88) |",
            "(price_ >> 88) |",
            ("EdgeWordsProofs.state_round_trip",),
        ),
        Mutant(
            "libraries/FundingMath.sol",
            "return (bound, 2 * bound * time - (way > 0 ? missed : -missed));",
            "return (bound + 1, 2 * bound * time - (way > 0 ? missed : -missed));",
            ("FundingProofs.rate_stays_within_its_bounds",),
        ),
        Mutant(
            "libraries/InterestMath.sol",
            "return index + FixedMath.divUp(index * ratePerSecond * dt, WAD);",
            "return FixedMath.divUp(index * ratePerSecond * dt, WAD);",
            ("InterestProofs.index_never_falls",),
        ),
        Mutant(
            "libraries/PriceMatrix.sol",
            "PriceFlags.INVALID | PriceFlags.SEQUENCER_DOWN;",
            "PriceFlags.SEQUENCER_DOWN;",
            ("OracleProofs.reducing_risk_follows_the_table",),
        ),
        Mutant(
            "libraries/MarginMath.sol",
            "return profit <= 0 ? profit",
            "return profit < 0 ? profit / 2",
            ("MarginProofs.weighted_profit",),
        ),
        Mutant(
            "libraries/LiquidationMath.sol",
            "FixedMath.positivePart(equity));",
            "FixedMath.abs(equity));",
            ("LiquidationProofs.penalty_is_at_most_equity",),
        ),
        Mutant(
            "libraries/LiquidationMath.sol",
            "return FixedMath.min(FixedMath.min(charged_ + allowance, cap), wanted);",
            "return FixedMath.min(charged_ + allowance, wanted);",
            ("LiquidationProofs.reward_is_bounded",),
        ),
        Mutant(
            "libraries/EmaMath.sol",
            "return folded < MAX_VARIANCE ? folded : MAX_VARIANCE;",
            "return folded;",
            ("OracleProofs.variance_fits_its_field",),
        ),
    ),
    (
        Mutant(
            # A bug that liquidates would have the prover follow a whole liquidation.
            "LiquidationModule.sol",
            "if (!_below(h)) return _healthy(id, a, p);",
            "if (!_below(h)) return LiquidationResult.Full;",
            ("HealthProofs.healthy_long_is_never_liquidated", "HealthProofs.healthy_short_is_never_liquidated"),
        ),
        Mutant(
            "LiquidationModule.sol",
            "if (h.newest != 0 && h.newest <= a.lastCheck())",
            "if (h.newest != 0 && h.newest < a.lastCheck())",
            ("HealthProofs.account_just_checked_is_never_liquidated",),
        ),
        Mutant(
            "AdminModule.sol",
            "require(msg.sender == owner_ || adds, GuardianMayOnlyReduce());",
            "require(msg.sender == owner_ || adds || flags == 0, GuardianMayOnlyReduce());",
            ("RolesProofs.guardian_only_adds_pauses",),
        ),
        Mutant(
            "AdminModule.sol",
            "require(msg.sender == owner_ || reduceOnly, GuardianMayOnlyReduce());",
            "require(msg.sender != address(0), GuardianMayOnlyReduce());",
            ("RolesProofs.guardian_never_ends_reduce_only",),
        ),
        Mutant(
            "AdminModule.sol",
            "function sweepFees(PoolId pool, address to) external onlyOwner locked {",
            "function sweepFees(PoolId pool, address to) external onlyGuardian locked {",
            ("RolesProofs.setters_refuse_everyone_but_the_owner",),
        ),
        Mutant(
            "AdminModule.sol",
            "function lowerCaps(MarketId market, uint256 oiCap, uint256 skewCap) external onlyGuardian locked {",
            "function lowerCaps(MarketId market, uint256 oiCap, uint256 skewCap) external locked {",
            ("RolesProofs.guardian_setters_refuse_everyone_else",),
        ),
        Mutant(
            "AdminModule.sol",
            "require(msg.sender == pendingOwner_, NotOwner(msg.sender));",
            "require(pendingOwner_ != address(0), NotOwner(msg.sender));",
            ("RolesProofs.ownership_takes_two_steps",),
        ),
    ),
)
