"""The one tree of errors. Expected outcomes are values; these are broken promises.

`InputError` is the user's to mend and ends a command with exit code 2; `RemoteError` is another
device's fault and never stops the program that met it; `ServiceError` is ours: a disk, a store or a
link of our own that does not do its work.
"""

from __future__ import annotations


class RedoubtError(Exception):
    """Base of all errors raised on purpose. Its text is a sentence a user can act on."""


class InputError(RedoubtError):
    """What the user gave cannot be used: says what was expected, what came, and where."""


class RemoteError(RedoubtError):
    """The other end broke its protocol or did not answer.

    `is_transient` tells whether asking again later can help.
    """

    is_transient = True


class RemoteProtocolError(RemoteError):
    """The other end answered, but not in the protocol it should speak."""


class RemoteTimeout(RemoteError):
    """The other end did not finish its answer before the deadline."""


class RemoteRefused(RemoteError):
    """The other end could not be reached, or closed the connection before it answered."""


class NeedsAuth(RemoteError):
    """The other end wants credentials that we do not have, or refused those that we gave."""

    is_transient = False


class ServiceError(RedoubtError):
    """A part of our own (disk, store, link) failed; nothing that was acknowledged is lost."""
