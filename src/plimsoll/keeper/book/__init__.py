"""What the keeper knows and how it judges it: mirror of the deployment, search for candidates, exact verdicts."""

from plimsoll.keeper.book.errors import BookError
from plimsoll.keeper.book.exact import Confirmed, confirm, draft_of
from plimsoll.keeper.book.mirror import Mirror
from plimsoll.keeper.book.observations import Observations
from plimsoll.keeper.book.records import Order, OrderKey, OrderRules, pool_of
from plimsoll.keeper.book.search import Search, Standing

__all__ = [
    "BookError",
    "Confirmed",
    "Mirror",
    "Observations",
    "Order",
    "OrderKey",
    "OrderRules",
    "Search",
    "Standing",
    "confirm",
    "draft_of",
    "pool_of",
]
