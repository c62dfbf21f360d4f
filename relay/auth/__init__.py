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
from relay.auth.networks import network_of
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
from relay.auth.preview_cookies import PURPOSE as PREVIEW_COOKIE
from relay.auth.preview_cookies import PreviewCookies, PreviewNote, Unreadable
from relay.auth.rate import Allowance, RateLimiter
from relay.auth.sealing import Sealer, UnsealError
from relay.auth.text_sealing import TextSealer
from relay.auth.tokens import Token, TokenKind, keyed_hash, mint, parse
from relay.auth.webhooks import sign_webhook, verify_webhook
from relay.auth.wrapping import unwrap, wrap

__all__ = [
    "PREVIEW_COOKIE",
    "Action",
    "Allowance",
    "MasterKey",
    "Membership",
    "PreviewCookies",
    "PreviewNote",
    "Principal",
    "PrincipalKind",
    "RateLimiter",
    "Role",
    "Sealer",
    "SealingKey",
    "SecretKey",
    "TextSealer",
    "Token",
    "TokenKind",
    "Unreadable",
    "UnsealError",
    "challenge",
    "is_nonce",
    "keyed_hash",
    "mint",
    "mint_master_key",
    "mint_nonce",
    "mint_verifier",
    "network_of",
    "nonce_hash",
    "parse",
    "parse_master_key",
    "parse_master_keys",
    "parse_nonce_hash",
    "permits",
    "print_master_keys",
    "print_nonce_hash",
    "require",
    "sign_webhook",
    "unwrap",
    "verify_webhook",
    "wrap",
]
