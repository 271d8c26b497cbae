"""Signed tokens (JSON Web Tokens) of issuers whose keys are in the configuration."""
