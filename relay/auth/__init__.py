"""Credentials, principals, policy, and sealing of database values; pure."""

from relay.auth.master import MasterKey, mint_master_key, parse_master_key
from relay.auth.policy import Action, Membership, Principal, PrincipalKind, Role, permits, require
from relay.auth.rate import Allowance, RateLimiter
from relay.auth.sealing import Sealer, UnsealError
from relay.auth.tokens import Token, TokenKind, keyed_hash, mint, parse

__all__ = [
    "Action",
    "Allowance",
    "MasterKey",
    "Membership",
    "Principal",
    "PrincipalKind",
    "RateLimiter",
    "Role",
    "Sealer",
    "Token",
    "TokenKind",
    "UnsealError",
    "keyed_hash",
    "mint",
    "mint_master_key",
    "parse",
    "parse_master_key",
    "permits",
    "require",
]
