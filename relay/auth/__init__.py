"""Credentials, principals, policy, and sealing of database values; pure."""

from relay.auth.master import MasterKey, mint_master_key, parse_master_key
from relay.auth.pkce import (
    challenge,
    is_nonce,
    mint_nonce,
    mint_verifier,
    nonce_hash,
    parse_nonce_hash,
    print_nonce_hash,
)
from relay.auth.policy import Action, Membership, Principal, PrincipalKind, Role, permits, require
from relay.auth.rate import Allowance, RateLimiter
from relay.auth.sealing import Sealer, UnsealError
from relay.auth.tokens import Token, TokenKind, keyed_hash, mint, parse
from relay.auth.webhooks import sign_webhook, verify_webhook

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
    "challenge",
    "is_nonce",
    "keyed_hash",
    "mint",
    "mint_master_key",
    "mint_nonce",
    "mint_verifier",
    "nonce_hash",
    "parse",
    "parse_master_key",
    "parse_nonce_hash",
    "permits",
    "print_nonce_hash",
    "require",
    "sign_webhook",
    "verify_webhook",
]
