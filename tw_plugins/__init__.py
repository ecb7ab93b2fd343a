"""ThreadWeaver (arXiv 2512.07843) for the RL frameworks people already run: the core, without any framework.

Importing this package costs nothing; every module imports what it needs.
"""

__version__ = "0.1.0"
