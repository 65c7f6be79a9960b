"""The certificates an https address is held to: those of the system, or of one file for a private authority."""

import ssl

from edge.errors import ConfigError


def context(ca_file: str, named: str) -> ssl.SSLContext:
    """Return what a connection is verified by; there is no way to verify nothing.

    Args:
        ca_file: PEM file of the only certificates that are believed; empty: those of the system.
        named: Where the file was named, for the message.

    Raises:
        ConfigError: It cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    # A file without a certificate is an ssl.SSLError, which is an OSError.
    except OSError as error:
        raise ConfigError(f"{ca_file} holds no certificates that can be read.", f"Set {named}.") from error
