"""How the keeper's decisions become transactions: worth, fees, nonces, journal, routes, confirmation."""
