"""mmprolong_data: the data contract of mmprolong, and reading. Importing it registers the builder with ``datasets``."""

from .registration import register, unregister

__all__ = ["register", "unregister"]

register()
