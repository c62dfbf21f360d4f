"""Credentials, principals, policy, and sealing of database values; pure."""

from relay.auth.master import (
    MasterKey,
    SealingKey,
    SecretKey,
    mint_master_key,
    parse_master_key,
    parse_master_keys,
    print_master_keys,
)
from relay.auth.policy import Action, Membership, Principal, PrincipalKind, Role, permits, require
from relay.auth.sealing import Sealer, UnsealError
from relay.auth.tokens import Token, TokenKind, keyed_hash, mint, parse
from relay.auth.wrapping import unwrap, wrap

__all__ = [
    "Action",
    "MasterKey",
    "Membership",
    "Principal",
    "PrincipalKind",
    "Role",
    "Sealer",
    "SealingKey",
    "SecretKey",
    "Token",
    "TokenKind",
    "UnsealError",
    "keyed_hash",
    "mint",
    "mint_master_key",
    "parse",
    "parse_master_key",
    "parse_master_keys",
    "permits",
    "print_master_keys",
    "require",
    "unwrap",
    "wrap",
]
