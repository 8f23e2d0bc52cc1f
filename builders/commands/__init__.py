"""Sub-commands of ``mmprolong``: one module each, named in ``setup.cfg``."""
