"""Where the project is: what a setting names in here, every process must be able to import."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
