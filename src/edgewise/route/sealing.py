"""Seals what lies on the disk: AES-256-GCM. The door to `cryptography`."""

import hashlib
import os

from edgewise import extras
from edgewise.errors import IntegrityError

_NONCE_BYTES = 12
SALT_BYTES = 16


class Sealer:
    """Seals and opens bytes with one key. Made by the queue; any thread may use it.

    Parameters
    ----------
    secret
        A key or a passphrase of any length. It is stretched by scrypt (16 MiB, tens of
        milliseconds) and not kept.
    salt
        Random, one a file; no secret.
    """

    def __init__(self, secret: str, salt: bytes) -> None:
        with extras.needed("offline"):
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        told = secret.encode("utf-8", "surrogatepass")
        self._cipher = AESGCM(hashlib.scrypt(told, salt=salt, n=2**14, r=8, p=1, dklen=32))

    def seal(self, clear: bytes, about: str) -> bytes:
        """Seal bytes together with what they are about, which stays readable beside them."""
        # Random nonces are safe below 2**32 messages a key (NIST SP 800-38D, 8.3).
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = self._cipher.encrypt(nonce, clear, about.encode())
        return nonce + sealed

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """Open what `seal` gave.

        Raises
        ------
        IntegrityError
            When the key is another one, or the bytes or what they are about were changed.
        """
        with extras.needed("offline"):
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            clear: bytes = self._cipher.decrypt(nonce, rest, about.encode())
        except (InvalidTag, ValueError) as wrong:
            hint = "give the key that sealed it"
            raise IntegrityError("sealed by another key, or changed", hint=hint) from wrong
        return clear
